"""Unlocking: whoever is kept out because somebody guessed at her login is let in again."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, and_, select

from casework.act import Act
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import NotFound
from casework.identity import limits
from casework.identity.schemas import Unlocked
from casework.identity.sign_in import find_account
from casework.identity.tables import account, membership
from casework.journal import JOURNAL, Deed, Who
from policies.vocabulary import Action

ACTION = "member.unlock"


class UnknownLogin(Exception):
    """No organisation has an account of this login."""


def unlock_member(act: Act, member_id: UUID, reason: str) -> Unlocked:
    """Forget the wrong passwords and codes of a colleague, for a reason that the auditor reads.

    How many codes her account has in a day stays counted: the operator alone sets that back (decision 0008).

    Raises:
        TooManyRequests: she was unlocked three times within a day.
        Forbidden: she does not manage members, has not stepped up, or asks for herself.
        NotFound: not a member of her organisation.

    """
    found = _find(act, member_id)
    is_herself = found is not None and found.account_id == act.session.account_id
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True, self_target=is_herself)
    if found is None:
        raise NotFound(ACTION, reason="not_found", tried={"member": str(member_id)})
    limits.unlock_by_colleague(act.deployment, act.unit, found.login, act.org_id)
    detail = {"member": str(member_id), "reason": reason}
    act.record(Deed(ACTION, policies=decision.policies, detail=detail))
    return Unlocked(member_id)


def review_unlocking(act: Act, member_id: UUID) -> Unlocked:
    """What a repeated request is answered; what was counted since is not forgotten again."""
    decision = act.require_org(Action.MEMBER_MANAGE, reason=True)
    act.record(Deed(ACTION, policies=decision.policies, detail={"member": str(member_id), "again": True}))
    return Unlocked(member_id)


async def unlock_login(deployment: Deployment, login: str) -> None:
    """Forget every try, by the operator at the server; the organisation's journal is told that nobody else was.

    Raises:
        UnknownLogin: nobody has it.

    """

    def work(unit: UnitOfWork) -> None:
        found = find_account(unit, login)
        if found is None:
            raise UnknownLogin
        limits.unlock(deployment, unit, login)
        drop = deployment.directories.drop(unit, found.org_id, JOURNAL)
        deed = Deed(ACTION, reason="operator", detail={"login": login})
        org = (found.org_id, deployment.slugs[found.org_id])
        deployment.journal.record(unit, org, Who(uuid4()), deed, drop)

    await deployment.database.unit(work)


def _find(act: Act, member_id: UUID) -> Row[Any, Any] | None:
    return act.unit.connection.execute(
        select(membership.c.account_id, account.c.login)
        .join_from(
            membership,
            account,
            and_(account.c.org_id == membership.c.org_id, account.c.id == membership.c.account_id),
        )
        .where(membership.c.org_id == act.org_id, membership.c.id == member_id)
    ).one_or_none()
