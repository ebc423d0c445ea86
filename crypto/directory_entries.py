"""Entries of an organisation's key directory: their kinds, bodies and one canonical form in bytes.

Canonical bytes: PAE("csm/directory/v1", org 16, epoch u32be, previous 32, kind, body, signer), where body
is the PAE of the kind's fields in the order in which they are declared below, and signer is "root" or a
16-byte membership id. Stored bytes: 01 | Ed25519 signature 64 over the canonical bytes | canonical bytes.
The hash of an entry, which the next one names, is SHA-256(PAE("csm/directory-entry/v1", canonical bytes,
signature)).
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, get_args

from crypto.directory_agreements import CharterAcceptedBody, CharterBody, PolicyApprovalBody
from crypto.directory_kinds import EntryKind
from crypto.errors import DirectoryFault, DirectoryRefused, EncodingRefused, SignatureRefused
from crypto.pae import pae, unpae
from crypto.signing import SigningKey, sound_public, verify
from crypto.widths import HASH_SIZE, ID_SIZE, SIGNATURE_SIZE, exactly, label_bytes, label_text, u32, u32_of

_LABEL = b"csm/directory/v1"
_HASH_LABEL = b"csm/directory-entry/v1"
_VERSION = b"\x01"
ROOT = b"root"
"""The signer of an entry that the organisation's root signed."""

NO_PREVIOUS = bytes(HASH_SIZE)
"""What the first entry names as its previous hash."""


@dataclass(frozen=True, slots=True)
class RootBody:
    """The first entry: the organisation's root and recovery keys."""

    KIND: ClassVar[EntryKind] = EntryKind.ROOT
    root_public: bytes
    recovery_public: bytes

    def parts(self) -> tuple[bytes, ...]:
        return sound_public(self.root_public), exactly(self.recovery_public, HASH_SIZE)

    @classmethod
    def from_parts(cls, root_public: bytes, recovery_public: bytes) -> "RootBody":
        return cls(root_public, recovery_public)


@dataclass(frozen=True, slots=True)
class MemberBody:
    """A membership with its role, professions and keys: new, or certified anew after a reset.

    ``professions`` are sorted and unique, so that one membership has one encoding.
    """

    KIND: ClassVar[EntryKind] = EntryKind.MEMBER
    member: bytes
    role: str
    professions: tuple[str, ...]
    daily_public: bytes
    signing_public: bytes

    def parts(self) -> tuple[bytes, ...]:
        if list(self.professions) != sorted(set(self.professions)):
            raise EncodingRefused("professions not sorted")
        return (
            exactly(self.member, ID_SIZE),
            label_bytes(self.role),
            pae(*map(label_bytes, self.professions)),
            exactly(self.daily_public, HASH_SIZE),
            sound_public(self.signing_public),
        )

    @classmethod
    def from_parts(
        cls, member: bytes, role: bytes, professions: bytes, daily_public: bytes, signing_public: bytes
    ) -> "MemberBody":
        named = tuple(map(label_text, unpae(professions)))
        return cls(member, label_text(role), named, daily_public, signing_public)


@dataclass(frozen=True, slots=True)
class MemberRemovedBody:
    """A membership that ended. Its id never comes back."""

    KIND: ClassVar[EntryKind] = EntryKind.MEMBER_REMOVED
    member: bytes

    def parts(self) -> tuple[bytes, ...]:
        return (exactly(self.member, ID_SIZE),)

    @classmethod
    def from_parts(cls, member: bytes) -> "MemberRemovedBody":
        return cls(member)


@dataclass(frozen=True, slots=True)
class CompartmentBody:
    """A group's current KEK and drop key: at founding, and at each rotation of either."""

    KIND: ClassVar[EntryKind] = EntryKind.COMPARTMENT
    group: str
    kek_no: int
    kid: bytes
    drop_no: int
    drop_public: bytes

    def parts(self) -> tuple[bytes, ...]:
        return (
            label_bytes(self.group),
            u32(self.kek_no),
            exactly(self.kid, HASH_SIZE),
            u32(self.drop_no),
            exactly(self.drop_public, HASH_SIZE),
        )

    @classmethod
    def from_parts(
        cls, group: bytes, kek_no: bytes, kid: bytes, drop_no: bytes, drop_public: bytes
    ) -> "CompartmentBody":
        return cls(label_text(group), u32_of(kek_no), kid, u32_of(drop_no), drop_public)


@dataclass(frozen=True, slots=True)
class KekRetiredBody:
    """The end of a rotation: nothing is under this older KEK any more, and nobody is given it again."""

    KIND: ClassVar[EntryKind] = EntryKind.KEK_RETIRED
    group: str
    kek_no: int

    def parts(self) -> tuple[bytes, ...]:
        return label_bytes(self.group), u32(self.kek_no)

    @classmethod
    def from_parts(cls, group: bytes, kek_no: bytes) -> "KekRetiredBody":
        return cls(label_text(group), u32_of(kek_no))


@dataclass(frozen=True, slots=True)
class GrantBody:
    """A KEK given to a member's certified keys; ``sealed_hash`` is SHA-256 of the sealed bytes."""

    KIND: ClassVar[EntryKind] = EntryKind.GRANT
    group: str
    kek_no: int
    kid: bytes
    member: bytes
    member_key_fp: bytes
    sealed_hash: bytes

    def parts(self) -> tuple[bytes, ...]:
        return (
            label_bytes(self.group),
            u32(self.kek_no),
            exactly(self.kid, HASH_SIZE),
            exactly(self.member, ID_SIZE),
            exactly(self.member_key_fp, HASH_SIZE),
            exactly(self.sealed_hash, HASH_SIZE),
        )

    @classmethod
    def from_parts(
        cls, group: bytes, kek_no: bytes, kid: bytes, member: bytes, member_key_fp: bytes, sealed_hash: bytes
    ) -> "GrantBody":
        return cls(label_text(group), u32_of(kek_no), kid, member, member_key_fp, sealed_hash)


@dataclass(frozen=True, slots=True)
class NamedSeal:
    """A member named for a restricted case, under her certified keys; ``sealed_hash`` is SHA-256 of her seal."""

    member: bytes
    member_key_fp: bytes
    sealed_hash: bytes


@dataclass(frozen=True, slots=True)
class RestrictionBody:
    """Who is named for a restricted case from now on; nobody where the restriction is lifted.

    ``number`` counts the entries about the case, which ``tag`` names without telling its id. ``named`` is sorted
    by member, so that one set has one encoding.
    """

    KIND: ClassVar[EntryKind] = EntryKind.RESTRICTION
    tag: bytes
    number: int
    part_id: bytes
    named: tuple[NamedSeal, ...]
    recovery_hash: bytes

    def parts(self) -> tuple[bytes, ...]:
        members = [seal.member for seal in self.named]
        if members != sorted(set(members)):
            raise EncodingRefused("members not sorted")
        return (
            exactly(self.tag, HASH_SIZE),
            u32(self.number),
            exactly(self.part_id, HASH_SIZE),
            pae(
                *(
                    exactly(part, width)
                    for seal in self.named
                    for part, width in (
                        (seal.member, ID_SIZE),
                        (seal.member_key_fp, HASH_SIZE),
                        (seal.sealed_hash, HASH_SIZE),
                    )
                )
            ),
            exactly(self.recovery_hash, HASH_SIZE),
        )

    @classmethod
    def from_parts(
        cls, tag: bytes, number: bytes, part_id: bytes, named: bytes, recovery_hash: bytes
    ) -> "RestrictionBody":
        parts = iter(unpae(named))
        try:
            seals = tuple(NamedSeal(*seal) for seal in zip(parts, parts, parts, strict=True))
        except ValueError:
            raise EncodingRefused("not a list of seals") from None
        return cls(tag, u32_of(number), part_id, seals, recovery_hash)


@dataclass(frozen=True, slots=True)
class _OneKeyBody:
    """A body that is one 32-byte value."""

    value: bytes

    def parts(self) -> tuple[bytes, ...]:
        return (exactly(self.value, HASH_SIZE),)


class _OneVerifyingKeyBody(_OneKeyBody):
    """A body that is one public key of Ed25519."""

    __slots__ = ()

    def parts(self) -> tuple[bytes, ...]:
        return (sound_public(self.value),)


class PolicyBody(_OneKeyBody):
    """The hash of a policy set, as older foundings signed it; which one is in force, the approvals say."""

    __slots__ = ()
    KIND: ClassVar[EntryKind] = EntryKind.POLICY

    @classmethod
    def from_parts(cls, value: bytes) -> "PolicyBody":
        return cls(value)


class RecoveryBody(_OneKeyBody):
    """A new recovery public key (X25519), after a use of the shares."""

    __slots__ = ()
    KIND: ClassVar[EntryKind] = EntryKind.RECOVERY

    @classmethod
    def from_parts(cls, value: bytes) -> "RecoveryBody":
        return cls(value)


class JournalBody(_OneVerifyingKeyBody):
    """The key (Ed25519) that verifies the checkpoints of the organisation's journal."""

    __slots__ = ()
    KIND: ClassVar[EntryKind] = EntryKind.JOURNAL

    @classmethod
    def from_parts(cls, value: bytes) -> "JournalBody":
        return cls(value)


@dataclass(frozen=True, slots=True)
class MinimumBody:
    """Numbers of crypto.algorithms: what new case keys are made under, the oldest that still opens."""

    KIND: ClassVar[EntryKind] = EntryKind.MINIMUM
    made: int
    accepted: int

    def parts(self) -> tuple[bytes, ...]:
        return u32(self.made), u32(self.accepted)

    @classmethod
    def from_parts(cls, made: bytes, accepted: bytes) -> "MinimumBody":
        return cls(u32_of(made), u32_of(accepted))


class RootChangedBody(_OneVerifyingKeyBody):
    """A new root public key (Ed25519), signed by the old root."""

    __slots__ = ()
    KIND: ClassVar[EntryKind] = EntryKind.ROOT_CHANGED

    @classmethod
    def from_parts(cls, value: bytes) -> "RootChangedBody":
        return cls(value)


@dataclass(frozen=True, slots=True)
class GrantEndedBody:
    """A group is no longer given to a member who stays one: her role or professions are others now."""

    KIND: ClassVar[EntryKind] = EntryKind.GRANT_ENDED
    member: bytes
    group: str

    def parts(self) -> tuple[bytes, ...]:
        return exactly(self.member, ID_SIZE), label_bytes(self.group)

    @classmethod
    def from_parts(cls, member: bytes, group: bytes) -> "GrantEndedBody":
        return cls(member, label_text(group))


Body = (
    RootBody
    | MemberBody
    | MemberRemovedBody
    | CompartmentBody
    | KekRetiredBody
    | GrantBody
    | PolicyBody
    | RecoveryBody
    | JournalBody
    | MinimumBody
    | RootChangedBody
    | RestrictionBody
    | GrantEndedBody
    | CharterBody
    | CharterAcceptedBody
    | PolicyApprovalBody
)

_BODIES: dict[EntryKind, type[Body]] = {body.KIND: body for body in get_args(Body)}


@dataclass(frozen=True, slots=True)
class EntrySigner:
    """Who signs an entry: ROOT or a membership id, with the key."""

    id: bytes
    key: SigningKey


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One signed change; nothing in it is true until verify_directory or Directory.extend has accepted it."""

    org: bytes
    epoch: int
    previous: bytes
    body: Body
    signer: bytes
    signature: bytes

    @property
    def kind(self) -> EntryKind:
        return self.body.KIND

    @property
    def canonical(self) -> bytes:
        return _canonical(self.org, self.epoch, self.previous, self.body, self.signer)

    @property
    def hash(self) -> bytes:
        return sha256(pae(_HASH_LABEL, self.canonical, self.signature)).digest()

    def to_bytes(self) -> bytes:
        """Return the stored form, for one column."""
        return _VERSION + self.signature + self.canonical

    @classmethod
    def from_bytes(cls, stored: bytes) -> "DirectoryEntry":
        """Return the entry of a stored form.

        Raises DirectoryRefused (malformed, unknown_kind) unless the bytes are exactly what to_bytes gives.
        """
        start = len(_VERSION) + SIGNATURE_SIZE
        if stored[: len(_VERSION)] != _VERSION:
            raise DirectoryRefused(DirectoryFault.MALFORMED)
        try:
            label, org, epoch, previous, kind, body, signer = unpae(stored[start:])
            entry = cls(
                org, u32_of(epoch), previous, _body(kind, body), signer, stored[len(_VERSION) : start]
            )
            canonical = entry.canonical
        except (EncodingRefused, ValueError, TypeError):  # TypeError: a body with another number of fields
            raise DirectoryRefused(DirectoryFault.MALFORMED) from None
        if label != _LABEL or canonical != stored[start:]:
            raise DirectoryRefused(DirectoryFault.MALFORMED)
        return entry

    def require_signature(self, public: bytes) -> None:
        """Raise DirectoryRefused (bad_signature) unless public signed this entry."""
        try:
            verify(public, self.canonical, self.signature)
        except SignatureRefused:
            raise DirectoryRefused(DirectoryFault.BAD_SIGNATURE) from None


def sign_entry(org: bytes, epoch: int, previous: bytes, body: Body, signer: EntrySigner) -> DirectoryEntry:
    """Return a signed entry. Raises EncodingRefused when a field of it has a wrong width or range."""
    signature = signer.key.sign(_canonical(org, epoch, previous, body, signer.id))
    return DirectoryEntry(org, epoch, previous, body, signer.id, signature)


def _body(kind: bytes, data: bytes) -> Body:
    try:
        known = EntryKind(kind.decode("ascii"))
    except ValueError:
        raise DirectoryRefused(DirectoryFault.UNKNOWN_KIND) from None
    return _BODIES[known].from_parts(*unpae(data))


def _canonical(org: bytes, epoch: int, previous: bytes, body: Body, signer: bytes) -> bytes:
    return pae(
        _LABEL,
        exactly(org, ID_SIZE),
        u32(epoch),
        exactly(previous, HASH_SIZE),
        body.KIND.encode("ascii"),
        pae(*body.parts()),
        signer if signer == ROOT else exactly(signer, ID_SIZE),
    )
