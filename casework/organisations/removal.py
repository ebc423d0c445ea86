"""Removal of a member: a custodian signs it; her sessions end with it, and what she knew becomes due at once."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity import sessions
from casework.identity.members import close_account
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
)
from casework.organisations.teams import leave_teams
from crypto.directory_entries import MemberRemovedBody


@dataclass(frozen=True, slots=True)
class Removed:
    """What the removal ended: her memberships and her sessions."""

    members: tuple[UUID, ...]
    sessions: int


async def remove(deployment: Deployment, slug: str, login: str, custodian: Credentials) -> Removed:
    """Remove the person behind a login from the organisation `slug`, with all her memberships.

    From the commit on she is nobody: no session, no sign-in, no signature. The keys that she may have kept are due
    to be rotated (`casework.organisations.rotation`). A login that was removed already is refused as unknown.

    Raises:
        KeyActRefused: no such active account; the custodian's password is wrong, she may not, or it is herself.
            It is journaled as a denial.
        DirectoryRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signer = await open_account(deployment, org_id, custodian)
        removed = await deployment.database.unit(partial(_remove, deployment, org_id, signer, login))
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, "member.remove", error, login) from None
    return removed


def _remove(deployment: Deployment, org_id: UUID, custodian: Opened, login: str, unit: UnitOfWork) -> Removed:
    act = KeyAct(deployment, unit, org_id)
    signer = act.custodian(custodian)
    if login == custodian.login:
        raise KeyActRefused(KeyActFault.HERSELF, login)
    account = close_account(unit.connection, org_id, login)
    if account is None:
        raise KeyActRefused(KeyActFault.UNKNOWN_LOGIN, login)
    # The tables may lie about who is certified: an entry about somebody who is not would be refused for ever.
    members = tuple(member for member in account.members if member.bytes in act.directory.members)
    leave_teams(unit.connection, org_id, account.members, unit.now)
    for member in members:
        act.append(MemberRemovedBody(member.bytes), signer)
        act.record("member.remove", signer, {"member": str(member)})
    return Removed(members, sessions.end_all(unit.connection, org_id, account.id))
