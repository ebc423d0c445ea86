"""Joining: a custodian certifies a new member's keys, and holders give her what the policies derive.

Each of them signs with her own key, opened by her own password; nobody else could, the operator included.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from audit.entry import AuthLevel, Outcome
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.members import (
    LockedAccount,
    NewAccount,
    Position,
    UnlockedMember,
    locked_account,
    login_is_taken,
    store_account,
    unlock,
)
from casework.identity.wrapping import params_of
from casework.journal import JOURNAL, Deed, Who
from casework.keyring import open_grants
from casework.organisations.tables import key_directory, key_grant
from crypto.directory_entries import DirectoryEntry, EntrySigner
from crypto.errors import PasswordRefused
from crypto.grant import make_grant
from crypto.kek import Kek
from crypto.password import stretch
from crypto.secret import Secret
from crypto.session import SessionKeys
from policies.engine import Decision, Engine
from policies.facts import Asker
from policies.grants import favourable_contexts, granted_groups
from policies.vocabulary import Action, Purpose, Role


class JoiningFault(StrEnum):
    """Why nobody joined."""

    UNKNOWN_LOGIN = "unknown_login"
    LOGIN_TAKEN = "login_taken"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a fault, no secret
    MAY_NOT_CERTIFY = "may_not_certify"
    MAY_NOT_GRANT = "may_not_grant"
    DIRECTORY_MOVED = "directory_moved"


class JoiningRefused(Exception):
    """Nothing was written; `fault` says why, `login` whose."""

    def __init__(self, fault: JoiningFault, login: str) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.login = login


@dataclass(frozen=True, slots=True)
class Credentials:
    """The login and password of someone who signs."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it: the compartments given, and those that still wait for a holder."""

    member_id: UUID
    granted: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A person who signs, for the length of one unit of work."""

    login: str
    account: LockedAccount
    stretched: Secret = field(repr=False)


async def join(
    deployment: Deployment,
    slug: str,
    new: NewAccount,
    custodian: Credentials,
    holders: Sequence[Credentials],
) -> Joined:
    """Add a member with one membership to the organisation `slug`. Blocks for an Argon2id stretch a password.

    Raises:
        JoiningRefused: somebody who signs is unknown, mistyped her password or may not; the login is taken;
            another change of the directory came first. It is journaled as a denial.
        DirectoryRefused, GrantRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signers = {given.login: await _open(deployment, org_id, given) for given in (custodian, *holders)}
        joined = await deployment.database.unit(
            lambda unit: _Joining(deployment, unit, org_id, new).run(
                signers[custodian.login], [signers[holder.login] for holder in holders]
            )
        )
    except (JoiningRefused, IntegrityError) as error:
        refused = error if isinstance(error, JoiningRefused) else None
        reason = refused.fault if refused is not None else JoiningFault.DIRECTORY_MOVED
        await deployment.database.unit(lambda unit: _record_denial(deployment, unit, org_id, reason))
        raise refused or JoiningRefused(reason, new.login) from None
    # Only now: a floor raised for a commit that failed would lock the organisation out.
    await deployment.database.unit(lambda unit: _remember(deployment, unit, org_id))
    return joined


async def _open(deployment: Deployment, org_id: UUID, given: Credentials) -> _Opened:
    def find(unit: UnitOfWork) -> LockedAccount | None:
        unit.enter_organisation(org_id)
        return locked_account(unit.connection, org_id, given.login)

    account = await deployment.database.unit(find)
    if account is None:
        raise JoiningRefused(JoiningFault.UNKNOWN_LOGIN, given.login)
    async with deployment.password_turns:
        try:
            stretched = await asyncio.to_thread(
                stretch, given.password, account.row.kdf_salt, params_of(account.row)
            )
        except PasswordRefused:
            raise JoiningRefused(JoiningFault.WRONG_PASSWORD, given.login) from None
    return _Opened(given.login, account, stretched)


class _Joining:
    """One joining inside its unit of work: the directory grows entry by entry, and each is journaled."""

    def __init__(self, deployment: Deployment, unit: UnitOfWork, org_id: UUID, new: NewAccount) -> None:
        self._deployment = deployment
        self._unit = unit
        self._org_id = org_id
        self._new = new
        (self._member,) = new.memberships
        self._engine = deployment.engine(org_id)
        unit.enter_organisation(org_id)
        self._directory = deployment.directories.fresh(unit.connection, org_id)
        self._request = uuid4()

    def run(self, custodian: _Opened, holders: Sequence[_Opened]) -> Joined:
        if login_is_taken(self._unit.connection, self._new.login):
            raise JoiningRefused(JoiningFault.LOGIN_TAKEN, self._new.login)
        self._unit.enter_organisation(self._org_id)
        self._certify(custodian)
        position = self._member.position
        wanted = granted_groups(self._engine, position.role, position.professions)
        for holder in holders:
            self._take_from(holder, wanted)
        member = self._member.id.bytes
        granted = {group for group in wanted if self._directory.holds(member, group)}
        store_account(
            self._unit.connection,
            self._deployment.pepper,
            self._org_id,
            self._new,
            self._directory.floor,
            self._unit.now,
        )
        return Joined(self._member.id, tuple(sorted(granted)), tuple(sorted(wanted - granted)))

    def _certify(self, custodian: _Opened) -> None:
        for signer in self._unlocked(custodian):
            decision = self._decide(signer, Action.MEMBER_MANAGE)
            if signer.position.role is Role.CUSTODIAN and decision is not None:
                self._append(
                    self._directory.next_entry(
                        self._member.body, EntrySigner(signer.id.bytes, signer.signing)
                    )
                )
                position = self._member.position
                self._record(
                    "member.add",
                    signer,
                    decision,
                    {"role": position.role, "professions": sorted(position.professions)},
                )
                return
        raise JoiningRefused(JoiningFault.MAY_NOT_CERTIFY, custodian.login)

    def _take_from(self, holder: _Opened, wanted: frozenset[str]) -> None:
        deciding = [(signer, self._decide(signer, Action.KEY_GRANT)) for signer in self._unlocked(holder)]
        entitled = [(signer, decision) for signer, decision in deciding if decision is not None]
        if not entitled:
            raise JoiningRefused(JoiningFault.MAY_NOT_GRANT, holder.login)
        for signer, decision in entitled:
            without_keks = SessionKeys(self._org_id.bytes, signer.id.bytes, signer.daily_private, ())
            for kek in open_grants(self._unit.connection, self._directory, without_keks):
                if kek.group in wanted and not self._has(kek):
                    self._grant(signer, decision, kek)

    def _grant(self, signer: UnlockedMember, decision: Decision, kek: Kek) -> None:
        granter = EntrySigner(signer.id.bytes, signer.signing)
        entry, sealed = make_grant(self._directory, kek, self._member.id.bytes, granter)
        self._append(entry)
        self._unit.connection.execute(
            insert(key_grant).values(
                org_id=self._org_id,
                epoch=entry.epoch,
                member_id=self._member.id,
                compartment=kek.group,
                kek_no=kek.number,
                sealed=Sealed(sealed),
            )
        )
        self._record("key.grant", signer, decision, {"compartment": kek.group})

    def _has(self, kek: Kek) -> bool:
        return any(
            (grant.group, grant.kek_no) == (kek.group, kek.number)
            for grant in self._directory.grants_of(self._member.id.bytes)
        )

    def _unlocked(self, signer: _Opened) -> tuple[UnlockedMember, ...]:
        try:
            unlocked = unlock(self._deployment.peppers, signer.account, signer.stretched)
        except PasswordRefused:
            raise JoiningRefused(JoiningFault.WRONG_PASSWORD, signer.login) from None
        for member in unlocked:
            self._directory.require_floor(member.floor)
        return unlocked

    def _append(self, entry: DirectoryEntry) -> None:
        self._unit.connection.execute(
            insert(key_directory).values(org_id=self._org_id, epoch=entry.epoch, entry=entry.to_bytes())
        )
        self._directory = self._directory.extend([entry])

    def _decide(self, signer: UnlockedMember, action: Action) -> Decision | None:
        return _allowed(self._engine, self._deployment.slugs[self._org_id], signer.position, action)

    def _record(
        self, action: str, signer: UnlockedMember, decision: Decision, detail: dict[str, object]
    ) -> None:
        who = Who(
            self._request,
            member=signer.id,
            role=signer.position.role,
            auth=AuthLevel.PASSWORD,
            purpose=Purpose.ADMIN,
        )
        deed = Deed(
            action,
            policies=decision.policies,
            policy_set=self._engine.hash,
            detail={"member": str(self._member.id), **detail},
        )
        org = (self._org_id, self._deployment.slugs[self._org_id])
        self._deployment.journal.record(
            self._unit, org, who, deed, self._directory.compartments[JOURNAL].drop
        )


def _allowed(engine: Engine, slug: str, position: Position, action: Action) -> Decision | None:
    """The decision that allows it in some favourable context: who works at the server's terminal has proved her
    password a moment ago, and the journal records that level and no higher one.
    """
    asker = Asker(org=slug, role=position.role, professions=position.professions, active=True)
    decisions = (engine.decide_org(asker, action, context) for context in favourable_contexts())
    return next((decision for decision in decisions if decision.allowed), None)


def _record_denial(deployment: Deployment, unit: UnitOfWork, org_id: UUID, fault: JoiningFault) -> None:
    """Write the refusal in a unit of its own, after the refused work was rolled back."""
    unit.enter_organisation(org_id)
    deed = Deed("member.add", outcome=Outcome.DENIED, reason=fault)
    deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), Who(uuid4()), deed)


def _remember(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> None:
    unit.enter_organisation(org_id)
    deployment.directories.fresh(unit.connection, org_id)
