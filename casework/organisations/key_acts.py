"""Acts on an organisation's keys: each person signs with her own key, opened by her own password.

They run beside the service, at the server's terminal. Nobody else could sign, the operator included.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from audit.entry import AuthLevel, Outcome
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.absence import is_away
from casework.identity.members import LockedAccount, Position, UnlockedMember, locked_account, unlock
from casework.identity.wrapping import params_of
from casework.journal import JOURNAL, Deed, Who
from casework.keyring import lock_keys, open_grants
from casework.organisations.tables import key_directory, key_grant
from crypto.directory_entries import Body, DirectoryEntry, EntrySigner
from crypto.errors import PasswordRefused
from crypto.grant import make_grant
from crypto.kek import Kek
from crypto.password import stretch
from crypto.secret import Secret
from crypto.session import SessionKeys
from policies.engine import Decision
from policies.facts import Asker, ChangeFacts
from policies.grants import favourable_contexts
from policies.vocabulary import Action, Purpose, Role


class KeyActFault(StrEnum):
    """Why an act on keys was refused."""

    UNKNOWN_LOGIN = "unknown_login"
    LOGIN_TAKEN = "login_taken"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a fault, no secret
    MAY_NOT_CERTIFY = "may_not_certify"
    MAY_NOT_ORDER = "may_not_order"
    MAY_NOT_GRANT = "may_not_grant"
    HERSELF = "herself"
    ROWS_DAMAGED = "rows_damaged"
    DIRECTORY_MOVED = "directory_moved"
    CHARTER_NOT_ACCEPTED = "charter_not_accepted"
    CHARTER_IN_FORCE = "charter_in_force"
    SEVERAL_ROLES = "several_roles"
    ON_LEAVE = "on_leave"
    MAY_NOT_PROPOSE = "may_not_propose"
    MAY_NOT_APPROVE = "may_not_approve"
    APPROVED_ALREADY = "approved_already"
    NOT_PROPOSED = "not_proposed"
    RULES_IN_FORCE = "rules_in_force"


class KeyActRefused(Exception):
    """The step was not taken and nothing of it was written; `fault` says why, `login` whose."""

    def __init__(self, fault: KeyActFault, login: str) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.login = login


@dataclass(frozen=True, slots=True)
class Credentials:
    """The login and password of someone who signs."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A person who signs: her account, and her password stretched."""

    login: str
    account: LockedAccount
    stretched: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """A membership that may do what it is about to do, by this decision."""

    member: UnlockedMember
    decision: Decision

    @property
    def of_entries(self) -> EntrySigner:
        return EntrySigner(self.member.id.bytes, self.member.signing)


async def open_account(deployment: Deployment, org_id: UUID, given: Credentials) -> Opened:
    """Stretch the password of someone who signs; whether it is hers shows once her keys are opened.

    Raises:
        KeyActRefused: nobody of the organisation has this login, or the password could never have been set.

    """

    def find(unit: UnitOfWork) -> LockedAccount | None:
        unit.enter_organisation(org_id)
        return locked_account(unit.connection, org_id, given.login)

    account = await deployment.database.unit(find)
    if account is None:
        raise KeyActRefused(KeyActFault.UNKNOWN_LOGIN, given.login)
    async with deployment.password_turns:
        try:
            stretched = await asyncio.to_thread(
                stretch, given.password, account.row.kdf_salt, params_of(account.row)
            )
        except PasswordRefused:
            raise KeyActRefused(KeyActFault.WRONG_PASSWORD, given.login) from None
    return Opened(given.login, account, stretched)


async def record_refusal(
    deployment: Deployment, org_id: UUID, action: str, error: KeyActRefused | IntegrityError, login: str
) -> KeyActRefused:
    """Journal a refusal in a unit of its own, after the refused work was rolled back; returns what to raise.

    An entry that another process appended first shows as an `IntegrityError`.
    """
    refused = error if isinstance(error, KeyActRefused) else KeyActRefused(KeyActFault.DIRECTORY_MOVED, login)

    def record(unit: UnitOfWork) -> None:
        unit.enter_organisation(org_id)
        deed = Deed(action, outcome=Outcome.DENIED, reason=refused.fault)
        deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), Who(uuid4()), deed)

    await deployment.database.unit(record)
    return refused


class KeyAct:
    """One step inside its unit of work: the directory grows entry by entry, and each is journaled.

    `alone`: nobody uses the organisation's KEKs meanwhile; needed where one becomes the current one or goes.
    """

    def __init__(self, deployment: Deployment, unit: UnitOfWork, org_id: UUID, *, alone: bool = True) -> None:
        self.deployment = deployment
        self.unit = unit
        self.org_id = org_id
        unit.enter_organisation(org_id)
        # First: a directory that was read before the lock may not be the newest.
        lock_keys(unit.connection, org_id, shared=not alone)
        self.directory = deployment.directories.fresh(unit, org_id)
        self.engine = deployment.engine(unit, org_id)
        self._request = uuid4()

    def signers(self, opened: Opened, action: Action, change: ChangeFacts | None = None) -> list[Signer]:
        """The memberships of a person that may do this, to a proposed `change` where it is about one.

        Raises:
            KeyActRefused: the password is not hers; she is on leave; or she has not accepted the charter, in any of
                her roles.
            DirectoryRefused: she has seen a newer directory than the database's.

        """
        try:
            unlocked = unlock(self.deployment.peppers, opened.account, opened.stretched)
        except PasswordRefused:
            raise KeyActRefused(KeyActFault.WRONG_PASSWORD, opened.login) from None
        # As at sign-in: nobody else is told that she is away.
        if is_away(opened.account.row, self.unit.now):
            raise KeyActRefused(KeyActFault.ON_LEAVE, opened.login)
        for member in unlocked:
            self.directory.require_floor(member.floor)
        activated = [member for member in unlocked if self.directory.has_accepted(member.id.bytes)]
        if not activated:
            raise KeyActRefused(KeyActFault.CHARTER_NOT_ACCEPTED, opened.login)
        deciding = [(member, self._decide(member.position, action, change)) for member in activated]
        return [Signer(member, decision) for member, decision in deciding if decision is not None]

    def custodian(self, opened: Opened) -> Signer:
        """The membership with which a custodian certifies who is a member.

        Raises:
            KeyActRefused: the password is not hers, or she is none.

        """
        for signer in self.signers(opened, Action.MEMBER_MANAGE):
            if signer.member.position.role is Role.CUSTODIAN:
                return signer
        raise KeyActRefused(KeyActFault.MAY_NOT_CERTIFY, opened.login)

    def keks_of(self, signer: Signer) -> tuple[Kek, ...]:
        """Every KEK that the membership's standing grants give."""
        member = signer.member
        without_keks = SessionKeys(self.org_id.bytes, member.id.bytes, member.daily_private, ())
        return open_grants(self.unit.connection, self.directory, without_keks)

    def append(self, body: Body, signer: Signer) -> DirectoryEntry:
        return self._add(self.directory.next_entry(body, signer.of_entries))

    def grant(self, signer: Signer, kek: Kek, member: UUID) -> None:
        entry, sealed = make_grant(self.directory, kek, member.bytes, signer.of_entries)
        self._add(entry)
        self.unit.connection.execute(
            insert(key_grant).values(
                org_id=self.org_id,
                epoch=entry.epoch,
                member_id=member,
                compartment=kek.group,
                kek_no=kek.number,
                sealed=Sealed(sealed),
            )
        )
        self.record("key.grant", signer, {"member": str(member), "compartment": kek.group})

    def record(
        self, action: str, signer: Signer, detail: Mapping[str, object], count: int | None = None
    ) -> None:
        who = Who(
            self._request,
            member=signer.member.id,
            role=signer.member.position.role,
            auth=AuthLevel.PASSWORD,
            purpose=Purpose.ADMIN,
        )
        deed = Deed(
            action,
            policies=signer.decision.policies,
            policy_set=self.engine.hash,
            count=count,
            detail=detail,
        )
        org = (self.org_id, self.deployment.slugs[self.org_id])
        drop = self.directory.compartments[JOURNAL].drop
        self.deployment.journal.record(self.unit, org, who, deed, drop)

    def _add(self, entry: DirectoryEntry) -> DirectoryEntry:
        self.unit.connection.execute(
            insert(key_directory).values(org_id=self.org_id, epoch=entry.epoch, entry=entry.to_bytes())
        )
        self.directory = self.directory.extend([entry])
        self.deployment.directories.remember(self.unit, self.directory)
        return entry

    def _decide(self, position: Position, action: Action, change: ChangeFacts | None) -> Decision | None:
        """The decision that allows it in some favourable context: who works at the server's terminal has proved her
        password a moment ago, and the journal records that level and no higher one.
        """
        slug = self.deployment.slugs[self.org_id]
        asker = Asker(org=slug, role=position.role, professions=position.professions, active=True)
        decisions = (
            self.engine.decide_org(asker, action, context)
            if change is None
            else self.engine.decide_change(asker, action, change, context)
            for context in favourable_contexts()
        )
        return next((decision for decision in decisions if decision.allowed), None)
