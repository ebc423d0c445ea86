"""`/api/v1/charter`."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import JSONBody

from casework.act import Act
from casework.organisations import charters
from casework.organisations.schemas import (
    Acceptance,
    CharterAccepted,
    CharterPublished,
    CharterView,
    NewCharter,
)
from casework.problems import conflicts
from casework.routing import BEFORE_CHARTER, perform, requires, signed_in
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]


@get(
    "/api/v1/charter",
    opt=signed_in(because="the charter of her own organisation, and whether she has accepted it")
    | BEFORE_CHARTER,
)
async def view_charter(request: AnyRequest) -> Response[CharterView]:
    """The welcome charter in force, and whether the asker has accepted it."""
    return await perform(request, charters.view)


@post(
    "/api/v1/charter",
    opt=requires(Action.MEMBER_MANAGE),
    responses=conflicts("charter_in_force", "directory_moved"),
)
async def publish_charter(request: AnyRequest, data: JSONBody[NewCharter]) -> Response[CharterPublished]:
    """Put a new version of the charter in force: until she has accepted it, nobody works."""

    def publish(act: Act) -> CharterPublished:
        return charters.publish(act, data.text, data.reason)

    return await perform(request, publish, status=201)


@post(
    "/api/v1/charter/acceptance",
    status_code=200,
    opt=signed_in(because="she accepts in her own name, with her own signature") | BEFORE_CHARTER,
    responses=conflicts("charter_not_in_force", "directory_moved"),
)
async def accept_charter(request: AnyRequest, data: JSONBody[Acceptance]) -> Response[CharterAccepted]:
    """Accept the version in force, after a step-up: it is signed with the asker's own key."""

    def accept(act: Act) -> CharterAccepted:
        return charters.accept(act, data.version)

    return await perform(request, accept)


ROUTES = (view_charter, publish_charter, accept_charter)
