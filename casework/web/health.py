"""`/health`: for the proxy and the supervisor before the service. It says which part fails, never why."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.openapi.datastructures import ResponseSpec

from casework.errors import FieldError, Unavailable
from casework.health import failing_parts
from casework.routing import PROBE, deployment_of, public


class Health(msgspec.Struct, frozen=True):
    """A service that is not well answers a problem instead."""

    status: str


WELL = Health("ok")


@get(
    "/health/live",
    opt=public(because="it says that the process runs, and nothing else") | PROBE,
    security=[{}],
)
async def live() -> Health:
    """Whether the process answers at all; asks neither database nor journal."""
    return WELL


@get(
    "/health/ready",
    opt=public(because="it names the part that fails, without a value, so that a proxy sends nobody here")
    | PROBE,
    security=[{}],
    responses={503: ResponseSpec(None, description="A part does not do its work; `errors` names it.")},
)
async def ready(request: Request[Any, Any, Any]) -> Health:
    """Whether requests may be sent: database, shred store, journal and storage do their work."""
    state = request.app.state
    failing = await failing_parts(deployment_of(request), state.integration, state.rollups)
    if failing:
        raise Unavailable(errors=[FieldError(part, "unavailable") for part in failing])
    return WELL


ROUTES = (live, ready)
