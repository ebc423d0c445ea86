"""`/api/v1/sessions`, `/api/v1/me` and `/api/v1/members`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from casework.act import Act
from casework.identity import leaves, passwords, sign_in, unlocking
from casework.identity.absence import Leave
from casework.identity.members import colleagues
from casework.identity.schemas import (
    Credentials,
    FactorGiven,
    LeaveView,
    Me,
    Members,
    MemberView,
    NewLeave,
    PasswordAgain,
    PasswordChange,
    Returned,
    Returning,
    SecondFactor,
    SessionBegun,
    Unlocked,
    Unlocking,
)
from casework.organisations.compartments import COMPARTMENTS
from casework.problems import conflicts
from casework.routing import (
    BEFORE_CHARTER,
    LIMITED,
    Made,
    anonymous,
    circumstances_of,
    deployment_of,
    encode_token,
    perform,
    perform_once,
    public,
    require_activation,
    requires,
    signed_in,
    token_of,
)
from policies.facts import CaseFacts
from policies.vocabulary import RECORD, Action, Group, Role

AnyRequest = Request[Any, Any, Any]


# The empty requirement: no token is asked for.
@post(
    "/api/v1/sessions",
    opt=public(because="signing in is how one begins to be someone") | LIMITED,
    security=[{}],
)
async def create_session(request: AnyRequest, data: JSONBody[Credentials]) -> SessionBegun:
    """Check login and password; the token opens nothing until the second factor is given."""
    who = anonymous(circumstances_of(request))
    role = data.role if data.role is not UNSET else None
    begun = await sign_in.sign_in(deployment_of(request), who, data.login, data.password, role)
    return SessionBegun(encode_token(begun.token), ["totp"], begun.expires_at)


@post(
    "/api/v1/sessions/current/second-factor",
    status_code=200,
    opt=public(because="the session is not complete before it") | LIMITED,
    responses=conflicts("role_needed", "session_complete"),
)
async def give_second_factor(request: AnyRequest, data: JSONBody[SecondFactor]) -> FactorGiven:
    """Complete the session with a TOTP code."""
    who = anonymous(circumstances_of(request))
    role = data.role if data.role is not UNSET else None
    await sign_in.give_second_factor(deployment_of(request), who, token_of(request), data.code, role)
    return FactorGiven([])


@post(
    "/api/v1/sessions/current/step-up",
    status_code=204,
    opt=signed_in(because="she proves her own password") | LIMITED,
)
async def step_up(request: AnyRequest, data: JSONBody[PasswordAgain]) -> None:
    """Open five minutes of sensitive acts."""
    who = anonymous(circumstances_of(request))
    await sign_in.step_up(deployment_of(request), who, token_of(request), data.password)


@delete("/api/v1/sessions/current", opt=signed_in(because="she ends her own session"))
async def end_session(request: AnyRequest) -> None:
    """Sign out."""
    who = anonymous(circumstances_of(request))
    await sign_in.sign_out(deployment_of(request), who, token_of(request))


@get("/api/v1/me", opt=signed_in(because="it names the asker to herself") | BEFORE_CHARTER)
async def me(request: AnyRequest) -> Response[Me]:
    """Who is signed in, in which organisation and role, which compartments her keys open, what she may open."""
    return await perform(request, describe)


@post(
    "/api/v1/me/password",
    status_code=204,
    opt=signed_in(because="she proves her own password and sets another") | LIMITED,
)
async def change_password(request: AnyRequest, data: JSONBody[PasswordChange]) -> None:
    """Set another password: the same keys under it. Her other sessions end."""
    await require_activation(request)
    who = anonymous(circumstances_of(request))
    await passwords.change_password(
        deployment_of(request), who, token_of(request), data.password, data.new_password
    )


@post("/api/v1/members/{member_id:uuid}/unlocking", status_code=200, opt=requires(Action.MEMBER_MANAGE))
async def unlock_member(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[Unlocking]
) -> Response[Unlocked]:
    """Let a colleague in again who is kept out because her password or code was wrong too often.

    Three times a day at most; the 50 codes that an account has in a day stay counted.
    """

    def unlock(act: Act) -> Made[Unlocked]:
        return Made(member_id, unlocking.unlock_member(act, member_id, data.reason))

    return await perform_once(request, unlock, unlocking.review_unlocking)


def describe(act: Act) -> Me:
    return Me(
        member_id=act.member_id,
        login=act.session.login,
        organisation=act.identity.slug,
        role=Role(act.session.role),
        professions=list(act.session.professions),
        compartments=[name for name in COMPARTMENTS if act.keyring.holds(name)],
        may_open_with=_may_open_with(act),
    )


def _may_open_with(act: Act) -> list[Group]:
    facts = CaseFacts.of_a_new_case()
    if not act.decide_case(Action.CASE_CREATE, facts).allowed:
        return []
    return [group for group in Group if act.decide_case(RECORD[group], facts).allowed]


@get("/api/v1/members", opt=requires(Action.CASE_ASSIGN, Action.MEMBER_MANAGE))
async def list_members(request: AnyRequest) -> Response[Members]:
    """The members of the organisation, for whoever may assign a case, if only one that names her.

    And for the custodian: under these ids she begins and confirms renewals, and unlocks.
    """
    return await perform(request, describe_members)


def describe_members(act: Act) -> Members:
    if not act.decide_if_stepped_up(Action.MEMBER_MANAGE).allowed:
        act.require_in_some_case(Action.CASE_ASSIGN)
    directory = act.deployment.directories.fresh(act.unit, act.org_id)
    return Members(
        [
            MemberView(
                id=member.id,
                login=member.login,
                role=member.position.role,
                professions=sorted(member.position.professions),
                active=member.active,
                secrecy_basis=member.secrecy_basis,
                leave=_to_be_shown(member.leave, act.unit.now),
                charter_accepted=directory.has_accepted(member.id.bytes),
            )
            for member in colleagues(act.unit.connection, act.org_id)
        ]
    )


def _to_be_shown(leave: Leave | None, now: datetime) -> LeaveView | None:
    return LeaveView(leave.since, leave.until) if leave is not None and now < leave.until else None


@put("/api/v1/members/{member_id:uuid}/leave", opt=requires(Action.MEMBER_MANAGE))
async def grant_leave(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[NewLeave]
) -> Response[LeaveView]:
    """Put a colleague on leave: she cannot act from one moment until another, and then can again by herself."""
    return await perform(request, lambda act: leaves.grant_leave(act, member_id, data))


@post(
    "/api/v1/members/{member_id:uuid}/return",
    status_code=200,
    opt=requires(Action.MEMBER_MANAGE),
    responses=conflicts("no_leave"),
)
async def end_leave(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[Returning]
) -> Response[Returned]:
    """End a colleague's leave before its time, or take it back."""
    return await perform(request, lambda act: leaves.end_leave(act, member_id, data.reason))


ROUTES = (
    create_session,
    give_second_factor,
    step_up,
    end_session,
    me,
    change_password,
    list_members,
    unlock_member,
    grant_leave,
    end_leave,
)
