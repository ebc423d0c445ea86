"""The key directory of one organisation: who holds which public keys, roles and compartments.

A signed, hash-chained list with one number per change, its epoch. What does not lead back to the root is
refused, whatever the database says; what is older than a state already seen is refused too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from crypto.algorithms import CaseMinimum
from crypto.directory_agreements import PolicyApprovalBody
from crypto.directory_entries import (
    NO_PREVIOUS,
    ROOT,
    Body,
    DirectoryEntry,
    EntrySigner,
    RootBody,
    sign_entry,
)
from crypto.directory_rules import (
    ApprovedRules,
    Charter,
    CompartmentKeys,
    Grant,
    Ledger,
    MemberKeys,
    Restriction,
)
from crypto.errors import DirectoryFault, DirectoryRefused
from crypto.pae import pae
from crypto.signing import SigningKey
from crypto.widths import HASH_SIZE, ID_SIZE, exactly

_ROOT_LABEL = b"csm/root/v1"


@dataclass(frozen=True, slots=True)
class Floor:
    """The newest directory state that someone has seen: an older or another one is a rollback."""

    epoch: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """A verified directory. Only verify_directory and extend make one.

    ``heads[n - 1]`` is the hash of the entry with epoch n; ``kids`` maps (group, KEK number) to every
    certified key id that was not retired, ``grants`` an epoch to the grant made then, as far as it still
    stands; ``exposed`` are the (group, KEK number) that somebody held to whom they are given no more, and that
    are not retired; ``restrictions`` maps a case's tag to who is named for it (``crypto.restriction``);
    ``charter`` is the one in force, None where there is none, and ``accepted`` maps a member to the newest
    version that she has signed; ``rules`` are the sets of rules that enough have approved, oldest first, and
    ``approvals`` who has signed what still waits for a second signature.
    """

    org: bytes
    root_public: bytes
    recovery_public: bytes
    journal_key: bytes | None
    members: Mapping[bytes, MemberKeys]
    compartments: Mapping[str, CompartmentKeys]
    kids: Mapping[tuple[str, int], bytes]
    grants: Mapping[int, Grant]
    exposed: frozenset[tuple[str, int]]
    restrictions: Mapping[bytes, Restriction]
    case_minimum: CaseMinimum
    charter: Charter | None
    accepted: Mapping[bytes, int]
    rules: tuple[ApprovedRules, ...]
    approvals: Mapping[PolicyApprovalBody, tuple[bytes, ...]]
    heads: tuple[bytes, ...]
    _ledger: Ledger = field(repr=False, compare=False)

    @property
    def epoch(self) -> int:
        return len(self.heads)

    @property
    def head(self) -> bytes:
        return self.heads[-1]

    @property
    def floor(self) -> Floor:
        """What to remember, outside the database, of having seen this state."""
        return Floor(self.epoch, self.head)

    def contains(self, floor: Floor) -> bool:
        """Tell whether this state is the one that the floor names, or one that followed it."""
        return 1 <= floor.epoch <= self.epoch and self.heads[floor.epoch - 1] == floor.head

    def require_floor(self, floor: Floor) -> None:
        """Raise DirectoryRefused (rolled_back) unless this state contains the one that the floor names."""
        if not self.contains(floor):
            raise DirectoryRefused(DirectoryFault.ROLLED_BACK)

    def holds(self, member: bytes, group: str) -> bool:
        """Tell whether the member was granted the group's current KEK under her current keys."""
        compartment = self.compartments.get(group)
        return compartment is not None and (member, group, compartment.kek_no) in self._ledger.holdings

    def has_accepted(self, member: bytes) -> bool:
        """Tell whether the member has signed the charter in force; where there is none, nothing is asked."""
        return self.charter is None or self.accepted.get(member) == self.charter.version

    def rules_at(self, moment: int) -> ApprovedRules | None:
        """Return the approved rules in force at a moment, in Unix seconds: of those that have begun, the newest."""
        begun = [rules for rules in self.rules if rules.effective <= moment]
        return begun[-1] if begun else None

    def next_change_of_rules(self, moment: int) -> int | None:
        """Return when other approved rules begin after a moment, in Unix seconds, as far as is known."""
        return min((rules.effective for rules in self.rules if rules.effective > moment), default=None)

    def retiring(self, group: str) -> tuple[int, ...]:
        """Return the numbers of the group's older KEKs that are still live: its rotation is not at its end."""
        current = self.compartments[group].kek_no
        return tuple(sorted(number for name, number in self.kids if name == group and number != current))

    def grants_of(self, member: bytes) -> tuple[Grant, ...]:
        """Return the member's standing grants, oldest first."""
        return tuple(grant for grant in self.grants.values() if grant.member == member)

    def next_entry(self, body: Body, signer: EntrySigner) -> DirectoryEntry:
        """Return the signed entry that follows. Raises DirectoryRefused when it would be refused."""
        entry = sign_entry(self.org, self.epoch + 1, self.head, body, signer)
        self.extend([entry])
        return entry

    def extend(self, entries: Iterable[DirectoryEntry]) -> "Directory":
        """Return the directory with newly appended entries; only they are verified.

        Raises DirectoryRefused for a bad signature, a gap or broken chain, another organisation, an unknown
        or removed signer, a signer who is not entitled, or an entry that contradicts the state before it.
        """
        ledger = self._ledger.copy()
        heads = list(self.heads)
        for entry in entries:
            _require_next(self.org, heads, entry)
            ledger.apply(entry)
            heads.append(entry.hash)
        return _directory(ledger, heads)


def root_fingerprint(org: bytes, root_public: bytes) -> bytes:
    """Return SHA-256(PAE("csm/root/v1", org, root public)): printed when an organisation is made."""
    return sha256(pae(_ROOT_LABEL, exactly(org, ID_SIZE), exactly(root_public, HASH_SIZE))).digest()


def root_entry(org: bytes, root: SigningKey, recovery_public: bytes) -> DirectoryEntry:
    """Return the first entry of a directory, signed by the root that it names."""
    return sign_entry(org, 1, NO_PREVIOUS, RootBody(root.public, recovery_public), EntrySigner(ROOT, root))


def verify_directory(
    org: bytes, entries: Iterable[DirectoryEntry], fingerprint: bytes, floor: Floor | None
) -> Directory:
    """Return the verified directory of an organisation.

    ``fingerprint`` is the first root's, learnt out of band; a changed root leads back to it. ``floor`` is the
    newest state seen so far, None only where there was none yet. Raises DirectoryRefused.
    """
    remaining = iter(entries)
    first = next(remaining, None)
    if first is None or not isinstance(first.body, RootBody) or first.signer != ROOT:
        raise DirectoryRefused(DirectoryFault.NO_ROOT)
    _require_next(org, [], first)
    if root_fingerprint(org, first.body.root_public) != fingerprint:
        raise DirectoryRefused(DirectoryFault.WRONG_ROOT)
    first.require_signature(first.body.root_public)
    ledger = Ledger(org, first.body.root_public, first.body.recovery_public)
    directory = _directory(ledger, [first.hash]).extend(remaining)
    if floor is not None:
        directory.require_floor(floor)
    return directory


def _require_next(org: bytes, heads: list[bytes], entry: DirectoryEntry) -> None:
    if entry.org != org:
        raise DirectoryRefused(DirectoryFault.WRONG_ORGANISATION)
    if entry.epoch != len(heads) + 1:
        raise DirectoryRefused(DirectoryFault.GAP)
    if entry.previous != (heads[-1] if heads else NO_PREVIOUS):
        raise DirectoryRefused(DirectoryFault.BROKEN_CHAIN)


def _directory(ledger: Ledger, heads: list[bytes]) -> Directory:
    return Directory(
        org=ledger.org,
        root_public=ledger.root_public,
        recovery_public=ledger.recovery_public,
        journal_key=ledger.journal_key,
        members=MappingProxyType(ledger.members),
        compartments=MappingProxyType(ledger.compartments),
        kids=MappingProxyType(ledger.kids),
        grants=MappingProxyType(ledger.grants),
        exposed=frozenset(ledger.exposed),
        restrictions=MappingProxyType(ledger.restrictions),
        case_minimum=ledger.case_minimum,
        charter=ledger.charter,
        accepted=MappingProxyType(ledger.accepted),
        rules=ledger.rules,
        approvals=MappingProxyType(ledger.approvals),
        heads=tuple(heads),
        _ledger=ledger,
    )
