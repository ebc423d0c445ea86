"""Renewals, grants and positions: `/api/v1/renewals`, `/api/v1/members/{id}/…`, `/api/v1/me/…`."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from casework.act import Act
from casework.errors import bad_field
from casework.identity import renewals
from casework.identity.members import Position
from casework.identity.renewals import Kind, TakenUp
from casework.identity.schemas import PasswordAgain
from casework.organisations import positions, renewing
from casework.organisations.schemas import (
    Granted,
    NewPosition,
    NewRenewal,
    PositionChanged,
    RenewalBegun,
    RenewalConfirmed,
    Taken,
    TakingUp,
    Words,
    WordsHeard,
)
from casework.problems import conflicts
from casework.routing import (
    LIMITED,
    anonymous,
    circumstances_of,
    deployment_of,
    perform,
    perform_prepared,
    public,
    require_activation,
    requires,
    signed_in,
    token_of,
)
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]


@post("/api/v1/members/{member_id:uuid}/renewal", opt=requires(Action.MEMBER_MANAGE))
async def begin_renewal(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[NewRenewal]
) -> Response[RenewalBegun]:
    """Begin the renewal of a colleague's keys or second factor; its secret is handed to her in person."""

    def begin(act: Act) -> RenewalBegun:
        return renewing.begin_renewal(act, member_id, Kind(data.kind), data.reason)

    return await perform(request, begin, status=201)


# The empty requirement: no token is asked for.
@post(
    "/api/v1/renewals",
    status_code=200,
    opt=public(because="she has lost what she would sign in with; the secret was handed to her") | LIMITED,
    security=[{}],
)
async def take_up_renewal(request: AnyRequest, data: JSONBody[TakingUp]) -> Taken:
    """Make new keys, or a new second factor, with the secret that was handed over; a colleague confirms them."""
    who, deployment = anonymous(circumstances_of(request)), deployment_of(request)
    if (data.new_password is UNSET) == (data.password is UNSET):
        raise bad_field("new_password", "one_of_two")
    if data.new_password is not UNSET:
        return _shown(
            await renewals.take_up_keys(deployment, who, data.login, data.secret, data.new_password)
        )
    assert data.password is not UNSET
    return _shown(await renewals.take_up_factor(deployment, who, data.login, data.secret, data.password))


@post(
    "/api/v1/members/{member_id:uuid}/renewal/confirmation",
    status_code=200,
    opt=requires(Action.MEMBER_MANAGE, Action.KEY_GRANT),
    responses=conflicts("renewal_moved", "directory_moved"),
)
async def confirm_renewal(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[WordsHeard]
) -> Response[RenewalConfirmed]:
    """Put new keys or a new second factor in force, with the eight words that she was heard to say."""
    asked: list[renewing.Question] = []

    def ask(act: Act) -> renewing.Question:
        asked.append(renewing.ask_confirmation(act, member_id))
        return asked[-1]

    def confirm(act: Act, expected: tuple[str, ...]) -> RenewalConfirmed:
        return renewing.confirm(act, member_id, asked[-1], expected, data.words)

    return await perform_prepared(request, ask, renewing.words_of, confirm)


@post(
    "/api/v1/members/{member_id:uuid}/grants",
    status_code=200,
    opt=requires(Action.KEY_GRANT),
    responses=conflicts("directory_moved"),
)
async def grant_keys(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[WordsHeard]
) -> Response[Granted]:
    """Give a colleague the compartments that are hers by the policies, with the eight words that she said."""
    asked: list[renewing.Question] = []

    def ask(act: Act) -> renewing.Question:
        asked.append(renewing.ask_grant(act, member_id))
        return asked[-1]

    def grant(act: Act, expected: tuple[str, ...]) -> Granted:
        return renewing.grant(act, member_id, asked[-1], expected, data.words)

    return await perform_prepared(request, ask, renewing.words_of, grant)


@put(
    "/api/v1/members/{member_id:uuid}/position",
    opt=requires(Action.MEMBER_MANAGE),
    responses=conflicts("directory_moved"),
)
async def change_position(
    request: AnyRequest, member_id: FromPath[UUID], data: JSONBody[NewPosition]
) -> Response[PositionChanged]:
    """Give a colleague another role or other professions, and say on what her professional secrecy rests."""

    def change(act: Act) -> PositionChanged:
        position = Position(data.role, frozenset(data.professions))
        return positions.change(act, member_id, position, data.secrecy_basis, data.reason)

    return await perform(request, change)


@get("/api/v1/me/words", opt=signed_in(because="the words of her own keys, for her to read out"))
async def show_own_words(request: AnyRequest) -> Response[Words]:
    """The eight words of the asker's own keys."""
    return await perform_prepared(request, renewing.ask_own_words, renewing.words_of, renewing.show_own_words)


@post(
    "/api/v1/me/keys",
    status_code=200,
    opt=signed_in(because="she proves her own password and makes new keys") | LIMITED,
)
async def rotate_own_keys(request: AnyRequest, data: JSONBody[PasswordAgain]) -> Taken:
    """Make new keys of one's own, which wait for a custodian and then for colleagues."""
    await require_activation(request)
    who = anonymous(circumstances_of(request))
    return _shown(await renewals.rotate_keys(deployment_of(request), who, token_of(request), data.password))


def _shown(taken: TakenUp) -> Taken:
    return Taken(list(taken.words), taken.totp_seed if taken.totp_seed is not None else UNSET)


ROUTES = (
    begin_renewal,
    take_up_renewal,
    confirm_renewal,
    grant_keys,
    change_position,
    show_own_words,
    rotate_own_keys,
)
