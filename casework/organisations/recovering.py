"""Recovery: the holders of shares, together, let in whoever shall hold the keys that nobody can hand on any more.

It runs as the owner of the schema, in one transaction with its journal entries: either the old shares are in force
afterwards or the new ones. The service's own role cannot change a recovery copy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from audit.entry import Outcome
from casework.anchors import Anchors
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.identity.members import (
    NewAccount,
    Position,
    accounts_of_members,
    colleagues,
    login_is_taken,
    store_account,
)
from casework.journal import JOURNAL, Deed, Who
from casework.organisations.founding import Ground
from casework.organisations.holders import granted_to, verified_directory
from casework.organisations.partners import decode_chain, own_chain
from casework.organisations.tables import kek_recovery, key_directory, key_grant
from crypto.ceremony import Renewal, renew_recovery
from crypto.directory import Directory, Floor
from crypto.directory_entries import Body, DirectoryEntry, RecoveryBody, RootBody
from crypto.errors import AlgorithmRefused, GrantRefused, SealBroken, SharesRefused
from crypto.kek import Kek
from crypto.recovery import (
    Split,
    open_recovery_kek,
    recovery_key,
    require_seed_in_force,
    seal_kek_to_recovery,
    set_mark,
)
from crypto.secret import Secret
from policies.engine import Engine
from policies.vocabulary import Action, Group, Profession, Role

ACTION = Action.KEY_RECOVER


class RecoveryFault(StrEnum):
    """Why nothing was recovered."""

    UNKNOWN_LOGIN = "unknown_login"
    LOGIN_TAKEN = "login_taken"
    REPLACED_SHARES = "replaced_shares"
    OTHER_SHARES = "other_shares"
    OTHER_WORDS = "other_words"
    COPY_DAMAGED = "copy_damaged"
    DIRECTORY_MOVED = "directory_moved"
    RESTRICTED_CASES = "restricted_cases"


class RecoveryRefused(Exception):
    """Nothing was written; `subject` is the login or the compartment that it is about, if any."""

    def __init__(self, fault: RecoveryFault, subject: str = "") -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.subject = subject


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """Who shall hold keys afterwards: members by login, and accounts that do not exist yet; and the new shares."""

    org_id: UUID
    slug: str
    engine: Engine
    holders: tuple[str, ...]
    newcomers: tuple[NewAccount, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class CertifiedKeys:
    """What the eight words of a member are over: her account, and the fingerprints of its certified keys."""

    account: UUID
    fingerprints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a recovery would do: the set of shares that it takes, and the compartments that each login would get.

    `certified` are the keys of the logins that exist, to which they would be granted.
    """

    mark: bytes
    root_fingerprint: bytes
    compartments: Mapping[str, tuple[str, ...]]
    certified: Mapping[str, CertifiedKeys]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it. The shares are shown once."""

    mark: bytes
    root_fingerprint: bytes
    compartments: Mapping[str, tuple[str, ...]]
    floor: Floor
    shares: tuple[Secret, ...] = field(repr=False)


class Copies:
    """What makes copies for recovery anew: `private` opens those that were made under the directory `before`.

    New ones are made under `directory`, which grows by what the new `root` certifies of them. `keks` is every key
    that the old copies gave, `holders` who may be given what nobody holds any more, `given` the cases they were.
    """

    def __init__(
        self,
        ground: Ground,
        org_id: UUID,
        renewal: Renewal,
        private: Secret,
        keks: Sequence[Kek],
        holders: Sequence[UUID],
    ) -> None:
        self.connection = ground.connection
        self.now = ground.now
        self.org_id = org_id
        self.before = renewal.before
        self.directory = renewal.directory
        self.private = private
        self.root = renewal.root
        self.keks = keks
        self.holders = holders
        self.given: list[UUID] = []

    def certify(self, body: Body) -> None:
        """Append an entry of the new root, for copies whose hash the directory names."""
        entry = self.directory.next_entry(body, self.root)
        self.directory = self.directory.extend([entry])
        _append(self.connection, self.org_id, [entry])


# Whatever else is sealed to recovery adds a function of this form, which opens its rows and seals them anew.
Renew = Callable[[Copies], None]


def foresee(connection: Connection, anchors: Anchors, plan: RecoveryPlan) -> Outlook:
    """What the plan would do; changes nothing.

    Raises:
        RecoveryRefused: a login is unknown, or taken.
        AnchorMissing, DirectoryRefused: see `verified_directory`.

    """
    directory = verified_directory(connection, anchors, plan.org_id)
    for newcomer in plan.newcomers:
        if login_is_taken(connection, newcomer.login):
            raise RecoveryRefused(RecoveryFault.LOGIN_TAKEN, newcomer.login)
    found = _beneficiaries(connection, directory, plan)
    accounts = accounts_of_members(connection, plan.org_id)
    certified = {}
    for login in plan.holders:
        hers = [one.member for one in found if one.login == login]
        fingerprints = tuple(directory.members[member.bytes].fingerprint for member in hers)
        certified[login] = CertifiedKeys(accounts[hers[0]], fingerprints)
    mark, root = set_mark(directory.recovery_public), anchors.root(plan.org_id)
    return Outlook(mark, root, _by_login(plan, found), certified)


def recover(
    ground: Ground, plan: RecoveryPlan, seen: Outlook, seed: Secret, renewals: Sequence[Renew]
) -> Recovered:
    """Grant the plan's members every key of the compartments that their certified roles may hold; renew the shares.

    `seen` is what the holders of shares saw, and the keys whose words were heard: anything else is refused.
    Everything is written through `ground.connection`: newcomers, grants, the new recovery key and root, copies for
    them, entries in both logs. The caller remembers `floor` once that is committed.

    Raises:
        RecoveryRefused: see `RecoveryFault`; `GrantRefused`, `DirectoryRefused`: the database is not what the
            directory certifies.

    """
    connection, org_id = ground.connection, plan.org_id
    anchors = Anchors(ground.state_dir)
    if foresee(connection, anchors, plan) != seen:
        # Somebody's keys were certified anew meanwhile: nobody has heard the words of those.
        raise RecoveryRefused(RecoveryFault.DIRECTORY_MOVED)
    directory = verified_directory(connection, anchors, org_id)
    _require_in_force(connection, directory, org_id, seed)
    private = recovery_key(seed).private
    keks = open_copies(connection, directory, org_id, private)
    beneficiaries = _beneficiaries(connection, directory, plan)
    grants = [
        (one.member.bytes, kek) for one in beneficiaries for kek in keks if kek.group in one.compartments
    ]
    newcomers = [member.body for new in plan.newcomers for member in new.memberships]
    renewal = renew_recovery(directory, seed, newcomers, grants, plan.split)
    _store(ground, org_id, plan, renewal)
    readers = [one.member for one in beneficiaries if not one.compartments.isdisjoint(Group)]
    copies = Copies(ground, org_id, renewal, private, keks, readers)
    for renew in renewals:
        renew(copies)
    _record(ground, plan, renewal, beneficiaries, copies)
    return Recovered(
        set_mark(renewal.directory.recovery_public),
        anchors.root(org_id),
        _by_login(plan, beneficiaries),
        copies.directory.floor,
        renewal.shares,
    )


def open_copies(
    connection: Connection, directory: Directory, org_id: UUID, private: Secret
) -> tuple[Kek, ...]:
    """Every KEK that has a copy for recovery, oldest first.

    Raises:
        RecoveryRefused: COPY_DAMAGED: one does not open, or a compartment's current KEK has none. To go on would
            lose that key for good: the new recovery key would have no copy of it.

    """
    rows = connection.execute(
        select(kek_recovery.c.compartment, kek_recovery.c.kek_no, kek_recovery.c.sealed)
        .where(kek_recovery.c.org_id == org_id)
        .order_by(kek_recovery.c.compartment, kek_recovery.c.kek_no)
    ).all()
    keks = []
    for row in rows:
        try:
            keks.append(open_recovery_kek(directory, row.compartment, row.kek_no, row.sealed.blob, private))
        except (AlgorithmRefused, GrantRefused, SealBroken):
            raise RecoveryRefused(RecoveryFault.COPY_DAMAGED, row.compartment) from None
    opened = {(kek.group, kek.number) for kek in keks}
    for compartment, current in directory.compartments.items():
        if (compartment, current.kek_no) not in opened:
            raise RecoveryRefused(RecoveryFault.COPY_DAMAGED, compartment)
    return tuple(keks)


def renew_kek_copies(copies: Copies) -> None:
    """Destroy every copy for the old recovery key, and make the same for the new one."""
    for kek in copies.keks:
        copies.connection.execute(
            update(kek_recovery)
            .where(
                kek_recovery.c.org_id == copies.org_id,
                kek_recovery.c.compartment == kek.group,
                kek_recovery.c.kek_no == kek.number,
            )
            .values(sealed=Sealed(seal_kek_to_recovery(copies.directory, kek)))
        )


def record_refusal(ground: Ground, plan: RecoveryPlan, reason: str) -> None:
    """Write in both logs that shares were tried and nothing was recovered, once that was rolled back."""
    unit, who = UnitOfWork(ground.connection, ground.now), Who(uuid4())
    deed = Deed(ACTION, outcome=Outcome.DENIED, reason=reason, id=uuid4())
    ground.journal.record(unit, None, who, deed)
    ground.journal.record(unit, (plan.org_id, plan.slug), who, deed)


@dataclass(frozen=True, slots=True)
class _Beneficiary:
    """A membership that shall hold keys, and of which compartments."""

    member: UUID
    login: str
    compartments: frozenset[str]


def _beneficiaries(connection: Connection, directory: Directory, plan: RecoveryPlan) -> list[_Beneficiary]:
    known = colleagues(connection, plan.org_id)
    found = []
    for login in plan.holders:
        hers = [
            one for one in known if one.login == login and one.active and one.id.bytes in directory.members
        ]
        if not hers:
            raise RecoveryRefused(RecoveryFault.UNKNOWN_LOGIN, login)
        for one in hers:
            # The certified role: the tables alone give none.
            keys = directory.members[one.id.bytes]
            position = Position(Role(keys.role), frozenset(map(Profession, keys.professions)))
            found.append(_Beneficiary(one.id, login, granted_to(plan.engine, position)))
    found += [
        _Beneficiary(member.id, new.login, granted_to(plan.engine, member.position))
        for new in plan.newcomers
        for member in new.memberships
    ]
    return found


def _by_login(plan: RecoveryPlan, beneficiaries: Sequence[_Beneficiary]) -> dict[str, tuple[str, ...]]:
    logins = (*plan.holders, *(new.login for new in plan.newcomers))
    return {
        login: tuple(
            sorted(frozenset[str]().union(*(one.compartments for one in beneficiaries if one.login == login)))
        )
        for login in logins
    }


def _require_in_force(connection: Connection, directory: Directory, org_id: UUID, seed: Secret) -> None:
    """Refuse another seed, and tell one that was replaced from one that was never this organisation's."""
    try:
        require_seed_in_force(directory, seed)
    except SharesRefused:
        bodies = [entry.body for entry in decode_chain(own_chain(connection, org_id))]
        former = {body.value for body in bodies if isinstance(body, RecoveryBody)}
        former |= {body.recovery_public for body in bodies if isinstance(body, RootBody)}
        is_former = recovery_key(seed).public in former
        fault = RecoveryFault.REPLACED_SHARES if is_former else RecoveryFault.OTHER_SHARES
        raise RecoveryRefused(fault) from None


def _store(ground: Ground, org_id: UUID, plan: RecoveryPlan, renewal: Renewal) -> None:
    connection = ground.connection
    _append(connection, org_id, renewal.entries)
    for epoch, sealed in renewal.grants.items():
        grant = renewal.directory.grants[epoch]
        connection.execute(
            insert(key_grant).values(
                org_id=org_id,
                epoch=epoch,
                member_id=UUID(bytes=grant.member),
                compartment=grant.group,
                kek_no=grant.kek_no,
                sealed=Sealed(sealed),
            )
        )
    for new in plan.newcomers:
        store_account(connection, ground.pepper, org_id, new, renewal.directory.floor, ground.now)


def _append(connection: Connection, org_id: UUID, entries: Sequence[DirectoryEntry]) -> None:
    rows = [{"org_id": org_id, "epoch": entry.epoch, "entry": entry.to_bytes()} for entry in entries]
    try:
        connection.execute(insert(key_directory), rows)
    except IntegrityError:
        # Somebody else's change took the number first: ours was decided on a directory that is no more.
        raise RecoveryRefused(RecoveryFault.DIRECTORY_MOVED) from None


def _record(
    ground: Ground,
    plan: RecoveryPlan,
    renewal: Renewal,
    beneficiaries: Sequence[_Beneficiary],
    copies: Copies,
) -> None:
    """One entry for the use of the shares, under one id in both logs; in its own, one more for each gift."""
    unit, who = UnitOfWork(ground.connection, ground.now), Who(uuid4())
    org, drop = (plan.org_id, plan.slug), renewal.directory.compartments[JOURNAL].drop
    used = Deed(ACTION, policy_set=plan.engine.hash, count=len(renewal.grants), id=uuid4())
    ground.journal.record(unit, None, who, used)
    ground.journal.record(unit, org, who, used)
    for new in plan.newcomers:
        for member in new.memberships:
            detail = {
                "member": str(member.id),
                "role": member.position.role,
                "professions": sorted(member.position.professions),
            }
            ground.journal.record(unit, org, who, Deed("member.add", reason="recovery", detail=detail), drop)
    for one in beneficiaries:
        for compartment in sorted(one.compartments):
            detail = {"member": str(one.member), "compartment": compartment}
            ground.journal.record(unit, org, who, Deed("key.grant", reason="recovery", detail=detail), drop)
    for case in copies.given:
        named = {"case": str(case), "members": [str(member) for member in copies.holders]}
        ground.journal.record(unit, org, who, Deed("key.grant", reason="recovery", detail=named), drop)
