"""Restricted cases: a third part of every key of the case, which its named members hold and nobody else.

DEK = wrapped_part XOR shred_part (crypto.dek). In a restricted case the shred store keeps shred_part XOR
named_part instead: a KEK, the database and the shred store together open nothing without the named part, and it
lies nowhere but sealed to each named member's certified daily key and to recovery. HPKE Base names no sender, so
a seal counts only while the directory's newest entry about the case carries its hash; such an entry is signed by
somebody whom the one before it named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from crypto.algorithms import hkdf_expand
from crypto.directory import Directory
from crypto.directory_entries import DirectoryEntry, EntrySigner, NamedSeal, RestrictionBody
from crypto.directory_rules import Restriction
from crypto.errors import GrantRefused
from crypto.header import PREFIX, require_prefix
from crypto.hpke import hpke_open, hpke_seal, public_half
from crypto.pae import pae
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, xor

_TAG_LABEL = b"csm/restricted-case/v1"
_SEAL_LABEL = b"csm/restricted/v1"
_RECOVERY_LABEL = b"csm/restricted-recovery/v1"
_PART_ID_LABEL = b"csm/v1/named-part-id"
_NONE = bytes(HASH_SIZE)


@dataclass(frozen=True, slots=True)
class Restricting:
    """What a change of a case's named members leaves to be stored: the entry, and each seal by its member."""

    entry: DirectoryEntry
    seals: Mapping[bytes, bytes] = field(repr=False)
    recovery: bytes = field(repr=False)


def case_tag(org: bytes, case: bytes) -> bytes:
    """Return SHA-256(PAE("csm/restricted-case/v1", org, case)): how the directory names a case.

    Partners read the directory: they cannot tell the case's id from it, nor when it was opened.
    """
    return sha256(pae(_TAG_LABEL, exactly(org, ID_SIZE), exactly(case, ID_SIZE))).digest()


def restriction_of(directory: Directory, case: bytes) -> Restriction | None:
    """Return who is named for a case; None where it is not restricted, or no longer."""
    found = directory.restrictions.get(case_tag(directory.org, case))
    return found if found is not None and found.named else None


def blind_half(half: bytes, named_part: Secret) -> bytes:
    """Return a shred half with the named part laid over it, or taken off it again."""
    return xor(half, named_part.reveal())


def name_members(
    directory: Directory, case: bytes, named_part: Secret, members: Iterable[bytes], signer: EntrySigner
) -> Restricting:
    """Return what names exactly these members for a case, the named part sealed to each and to recovery.

    Seal: 01 | 01 | enc 32 | ciphertext 32 | tag 16; HPKE info = PAE("csm/restricted/v1", org, case tag, part id,
    member, member_key_fp), to recovery PAE("csm/restricted-recovery/v1", org, case tag, part id, recovery public),
    where part id = HKDF-Expand(named part, "csm/v1/named-part-id", 32). Raises GrantRefused for a member whom the
    directory does not certify, DirectoryRefused for fewer than two or a signer who is not named.
    """
    tag, part_id = case_tag(directory.org, case), _part_id(named_part)
    secret = exactly(named_part.reveal(), KEY_SIZE)
    seals, named = {}, []
    for member in sorted(set(members)):
        keys = directory.members.get(member)
        if keys is None:
            raise GrantRefused("member not certified")
        info = _info(directory.org, tag, part_id, member, keys.fingerprint)
        seals[member] = PREFIX + hpke_seal(keys.daily_public, info, secret)
        named.append(NamedSeal(member, keys.fingerprint, sha256(seals[member]).digest()))
    info = _recovery_info(directory.org, tag, part_id, directory.recovery_public)
    recovery = PREFIX + hpke_seal(directory.recovery_public, info, secret)
    number = _next_number(directory, tag)
    body = RestrictionBody(tag, number, part_id, tuple(named), sha256(recovery).digest())
    return Restricting(directory.next_entry(body, signer), seals, recovery)


def lift_restriction(directory: Directory, case: bytes, signer: EntrySigner) -> DirectoryEntry:
    """Return the entry that names nobody any more. Raises DirectoryRefused for a signer who is not named."""
    tag = case_tag(directory.org, case)
    body = RestrictionBody(tag, _next_number(directory, tag), _NONE, (), _NONE)
    return directory.next_entry(body, signer)


def open_named_part(
    directory: Directory, case: bytes, sealed: bytes, member: bytes, daily_private: Secret
) -> Secret:
    """Return the named part from a member's seal.

    Raises GrantRefused when the newest entry about the case does not name her with these bytes (unsigned,
    superseded, of another case or member, of keys that were reset) or they hold another part than the certified
    one (planted), SealBroken when they do not open with her daily key.
    """
    restriction = _standing(directory, case)
    named = restriction.named.get(member)
    if named is None:
        raise GrantRefused("not named")
    info = _info(directory.org, restriction.tag, restriction.part_id, member, named.member_key_fp)
    return _open(sealed, named.sealed_hash, daily_private, info, restriction.part_id)


def open_named_part_by_recovery(directory: Directory, case: bytes, sealed: bytes, private: Secret) -> Secret:
    """Return the named part from its recovery copy, with the private half that the shares gave.

    Raises GrantRefused and SealBroken as open_named_part does.
    """
    restriction = _standing(directory, case)
    info = _recovery_info(directory.org, restriction.tag, restriction.part_id, public_half(private))
    return _open(sealed, restriction.recovery_hash, private, info, restriction.part_id)


def _standing(directory: Directory, case: bytes) -> Restriction:
    restriction = restriction_of(directory, case)
    if restriction is None:
        raise GrantRefused("not a restricted case")
    return restriction


def _open(sealed: bytes, sealed_hash: bytes, private: Secret, info: bytes, part_id: bytes) -> Secret:
    if not compare_digest(sha256(sealed).digest(), sealed_hash):
        raise GrantRefused("not the certified bytes")
    require_prefix(sealed)
    named_part = Secret(hpke_open(private, info, sealed[len(PREFIX) :]))
    if len(named_part) != KEY_SIZE or not compare_digest(_part_id(named_part), part_id):
        raise GrantRefused("not the certified part")
    return named_part


def _next_number(directory: Directory, tag: bytes) -> int:
    before = directory.restrictions.get(tag)
    return before.number + 1 if before is not None else 1


def _part_id(named_part: Secret) -> bytes:
    return hkdf_expand(named_part.reveal(), _PART_ID_LABEL)


def _info(org: bytes, tag: bytes, part_id: bytes, member: bytes, member_key_fp: bytes) -> bytes:
    return pae(_SEAL_LABEL, org, tag, part_id, member, member_key_fp)


def _recovery_info(org: bytes, tag: bytes, part_id: bytes, recovery_public: bytes) -> bytes:
    return pae(_RECOVERY_LABEL, org, tag, part_id, recovery_public)
