"""Another role or other professions of a member: a custodian signs them; what is no longer hers ends at once.

What is hers now and was not, a holder grants her who heard her eight words (`casework.organisations.renewing`).
What she had and may have no longer is due to be rotated (`casework.organisations.due`): she may have kept it.
"""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from casework.act import Act
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import NotFound, bad_field
from casework.identity import sessions
from casework.identity.members import (
    Position,
    SecrecyBasis,
    account_of_member,
    active_positions,
    locked_account,
    set_position,
    set_secrecy_basis,
)
from casework.journal import Deed
from casework.keyring import lock_keys
from casework.organisations.entries import append_in_act
from casework.organisations.holders import granted_to
from casework.organisations.key_acts import (
    Credentials,
    KeyAct,
    KeyActFault,
    KeyActRefused,
    Opened,
    open_account,
    record_refusal,
)
from casework.organisations.schemas import PositionChanged
from crypto.directory import Directory
from crypto.directory_entries import Body, EntrySigner, GrantEndedBody, MemberBody
from policies.engine import Engine
from policies.vocabulary import Action

CHANGE = "member.change"


@dataclass(frozen=True, slots=True)
class Change:
    """What a custodian signs; the compartments that wait for a holder's grant, and those whose rotation starts."""

    member: UUID
    position: Position
    bodies: tuple[Body, ...]
    waiting: tuple[str, ...]
    ended: tuple[str, ...]

    def detail(self, before: Position, basis: SecrecyBasis) -> dict[str, object]:
        return {
            "member": str(self.member),
            "before": _words(before),
            "after": _words(self.position),
            "secrecy_basis": basis,
            "waiting": list(self.waiting),
            "ended": list(self.ended),
        }


def change(
    act: Act, member_id: UUID, position: Position, basis: SecrecyBasis, reason: str
) -> PositionChanged:
    """Give a colleague another position, in the role under which she has this id; all her sessions end.

    Raises:
        Forbidden: she does not manage members, has not stepped up, or asks for herself.
        NotFound: not a certified member of her organisation.
        BadInput: she has this role already, under another id.
        Conflict: another change of the directory came first.

    """
    # First: what is rotated meanwhile must not be given to who may no longer have it.
    lock_keys(act.unit.connection, act.org_id, shared=True)
    found = account_of_member(act.unit.connection, act.org_id, member_id)
    is_herself = found is not None and found.id == act.session.account_id
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True, self_target=is_herself)
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    if found is None or member_id.bytes not in directory.members:
        raise NotFound(CHANGE, reason="not_found", tried={"member": str(member_id)})
    held = active_positions(act.unit.connection, act.org_id, found.id)
    before = held.pop(member_id)
    if position.role in {other.role for other in held.values()}:
        raise bad_field("role", "already_held")
    changed = plan(act.engine, directory, member_id, position)
    signer = EntrySigner(act.member_id.bytes, act.require_signing_key(Action.MEMBER_MANAGE))
    for body in changed.bodies:
        directory = append_in_act(act, directory, directory.next_entry(body, signer))
    _carry_out(act.unit.connection, act.org_id, found.id, changed, basis)
    detail = {**changed.detail(before, basis), "reason": reason}
    act.record(Deed(CHANGE, policies=decision.policies, detail=detail))
    return PositionChanged(member_id, list(changed.waiting), list(changed.ended))


async def change_at_terminal(
    deployment: Deployment,
    slug: str,
    login: str,
    position: Position,
    basis: SecrecyBasis,
    custodian: Credentials,
) -> Change:
    """As `change`, of whoever has this login and one role, by a custodian at the server's terminal.

    Raises:
        KeyActRefused: no such active account, or of several roles; the custodian's password is wrong, she may not,
            or it is herself. It is journaled as a denial.
        DirectoryRefused: the database is not what the directory certifies.

    """
    org_id = next(found for found, known in deployment.slugs.items() if known == slug)
    try:
        signer = await open_account(deployment, org_id, custodian)
        return await deployment.database.unit(
            partial(_change, deployment, org_id, signer, login, position, basis)
        )
    except (KeyActRefused, IntegrityError) as error:
        raise await record_refusal(deployment, org_id, CHANGE, error, login) from None


def plan(engine: Engine, directory: Directory, member: UUID, position: Position) -> Change:
    """What changes where a certified member comes to have a position."""
    keys = directory.members[member.bytes]
    professions = tuple(sorted(position.professions))
    bodies: list[Body] = []
    if (keys.role, keys.professions) != (position.role, professions):
        bodies.append(
            MemberBody(member.bytes, position.role, professions, keys.daily_public, keys.signing_public)
        )
    wanted = granted_to(engine, position)
    held = {grant.group for grant in directory.grants_of(member.bytes)}
    ended = tuple(sorted(held - wanted))
    bodies += [GrantEndedBody(member.bytes, group) for group in ended]
    waiting = tuple(sorted(group for group in wanted if not directory.holds(member.bytes, group)))
    return Change(member, position, tuple(bodies), waiting, ended)


def _change(
    deployment: Deployment,
    org_id: UUID,
    custodian: Opened,
    login: str,
    position: Position,
    basis: SecrecyBasis,
    unit: UnitOfWork,
) -> Change:
    act = KeyAct(deployment, unit, org_id)
    signer = act.custodian(custodian)
    if login == custodian.login:
        raise KeyActRefused(KeyActFault.HERSELF, login)
    locked = locked_account(unit.connection, org_id, login)
    if locked is None:
        raise KeyActRefused(KeyActFault.UNKNOWN_LOGIN, login)
    held = active_positions(unit.connection, org_id, locked.row.id)
    if len(held) != 1:
        raise KeyActRefused(KeyActFault.SEVERAL_ROLES, login)
    ((member, before),) = held.items()
    if member.bytes not in act.directory.members:
        raise KeyActRefused(KeyActFault.UNKNOWN_LOGIN, login)
    changed = plan(act.engine, act.directory, member, position)
    for body in changed.bodies:
        act.append(body, signer)
    _carry_out(unit.connection, org_id, locked.row.id, changed, basis)
    act.record(CHANGE, signer, changed.detail(before, basis))
    return changed


def _carry_out(
    connection: Connection, org_id: UUID, account_id: UUID, changed: Change, basis: SecrecyBasis
) -> None:
    set_secrecy_basis(connection, org_id, account_id, basis)
    if not changed.bodies:
        return
    set_position(connection, org_id, changed.member, changed.position)
    # The sealed grants stay until the rotation's end: no entry certifies them, and a new session opens none.
    sessions.end_all(connection, org_id, account_id)


def _words(position: Position) -> str:
    return " ".join([position.role, *sorted(position.professions)])
