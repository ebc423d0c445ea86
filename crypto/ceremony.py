"""What the root signs: at the founding, before it exists only in the recovery shares, and when these are used.

Each use of the shares ends the root and the recovery key that they gave, and makes others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto.directory import Directory, root_entry, root_fingerprint, verify_directory
from crypto.directory_agreements import PolicyApprovalBody
from crypto.directory_entries import (
    ROOT,
    Body,
    CompartmentBody,
    DirectoryEntry,
    EntrySigner,
    JournalBody,
    MemberBody,
    RecoveryBody,
    RootChangedBody,
)
from crypto.drop import DropPrivate, new_drop_key, wrap_drop_private
from crypto.grant import make_grant
from crypto.kek import Kek, new_kek
from crypto.recovery import (
    TWO_OF_THREE,
    Split,
    recovery_key,
    require_seed_in_force,
    root_key,
    seal_kek_to_recovery,
    split_seed,
)
from crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class Founding:
    """What a founding leaves behind. The shares are printed once; everything else may be stored.

    ``wrapped_drops`` and ``recovery_copies`` are by group, ``grants`` by the epoch of their entry.
    """

    directory: Directory
    fingerprint: bytes
    entries: tuple[DirectoryEntry, ...]
    wrapped_drops: dict[str, bytes]
    recovery_copies: dict[str, bytes]
    grants: dict[int, bytes]
    shares: tuple[Secret, ...] = field(repr=False)


def found_organisation(
    org: bytes,
    members: Sequence[MemberBody],
    groups: Sequence[str],
    grants: Sequence[tuple[bytes, str]],
    policy_hash: bytes,
    journal_key: bytes,
    split: Split = TWO_OF_THREE,
) -> Founding:
    """Make root, recovery and compartments, and let the root certify the first members and grants.

    ``grants`` are (member, group) pairs of the members and groups given. ``policy_hash`` is SHA-256 of the file of
    the organisation's rules: signed by the root, it is the first set, in force from the beginning. No private key
    leaves this function except as shares, under a KEK, or sealed to a member or to recovery.
    """
    seed = Secret.random()
    root = EntrySigner(ROOT, root_key(seed))
    first = root_entry(org, root.key, recovery_key(seed).public)
    fingerprint = root_fingerprint(org, root.key.public)
    directory = verify_directory(org, [first], fingerprint, None)
    entries = [first]

    def append(entry: DirectoryEntry) -> None:
        nonlocal directory
        directory = directory.extend([entry])
        entries.append(entry)

    keks = {group: new_kek(org, group, 1) for group in groups}
    drops = {group: new_drop_key(org, group, 1) for group in groups}
    bodies: list[Body] = [JournalBody(journal_key), PolicyApprovalBody(1, policy_hash, 0), *members]
    bodies += [_compartment(keks[group], drops[group]) for group in groups]
    for body in bodies:
        append(directory.next_entry(body, root))
    sealed_grants = {}
    for member, group in grants:
        entry, sealed = make_grant(directory, keks[group], member, root)
        append(entry)
        sealed_grants[entry.epoch] = sealed
    return Founding(
        directory=directory,
        fingerprint=fingerprint,
        entries=tuple(entries),
        wrapped_drops={group: wrap_drop_private(keks[group], drops[group]) for group in groups},
        recovery_copies={group: seal_kek_to_recovery(directory, keks[group]) for group in groups},
        grants=sealed_grants,
        shares=tuple(Secret(share.encode("ascii")) for share in split_seed(seed, split)),
    )


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a use of the shares leaves behind. ``before`` is the directory in which the old recovery key stands,
    ``directory`` the one whose recovery key every copy must be sealed to anew; ``grants`` are by epoch. ``root`` is
    the new root, for what must still be certified in the same breath; it is to be forgotten then.
    """

    before: Directory
    directory: Directory
    entries: tuple[DirectoryEntry, ...]
    grants: dict[int, bytes]
    root: EntrySigner = field(repr=False)
    shares: tuple[Secret, ...] = field(repr=False)


def renew_recovery(
    directory: Directory,
    seed: Secret,
    newcomers: Sequence[MemberBody],
    grants: Sequence[tuple[bytes, Kek]],
    split: Split = TWO_OF_THREE,
) -> Renewal:
    """Let the root certify newcomers and grant (member, KEK) pairs, then replace it and the recovery key.

    The seed is what the shares in force give; new ones are returned, of a new seed. The old root signs nothing that
    follows. Raises SharesRefused for another seed, GrantRefused for a member or KEK that is not certified,
    DirectoryRefused for a newcomer whose id was removed.
    """
    require_seed_in_force(directory, seed)
    renewed = Secret.random()
    root, before, entries = EntrySigner(ROOT, root_key(seed)), directory, []
    sealed_grants = {}
    for newcomer in newcomers:
        entries.append(directory.next_entry(newcomer, root))
        directory = directory.extend(entries[-1:])
    for member, kek in grants:
        entry, sealed_grants[directory.epoch + 1] = make_grant(directory, kek, member, root)
        entries.append(entry)
        directory = directory.extend([entry])
    new_root = EntrySigner(ROOT, root_key(renewed))
    for body in (RecoveryBody(recovery_key(renewed).public), RootChangedBody(new_root.key.public)):
        entries.append(directory.next_entry(body, root))
        directory = directory.extend(entries[-1:])
    shares = tuple(Secret(share.encode("ascii")) for share in split_seed(renewed, split))
    return Renewal(before, directory, tuple(entries), sealed_grants, new_root, shares)


def _compartment(kek: Kek, drop: DropPrivate) -> CompartmentBody:
    return CompartmentBody(kek.group, kek.number, kek.kid, drop.public.number, drop.public.public)
