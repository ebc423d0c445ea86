"""The application: routes, headers, problems, and the parts that live as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from casework.audit_review.ledger_routes import ROUTES as LEDGER
from casework.audit_review.routes import ROUTES as AUDIT_REVIEW
from casework.cases.conflict_routes import ROUTES as CONFLICTS
from casework.cases.declaration_routes import ROUTES as DECLARATION
from casework.cases.restriction_routes import ROUTES as RESTRICTION
from casework.cases.routes import ROUTES as CASES
from casework.cases.team_routes import ROUTES as TEAMS
from casework.deployment import Deployment
from casework.drafts.routes import ROUTES as DRAFTS
from casework.errors import FieldError, Unavailable
from casework.follow_ups.routes import ROUTES as FOLLOW_UPS
from casework.handoffs.routes import ROUTES as HANDOFFS
from casework.identity.routes import ROUTES as IDENTITY
from casework.integration import Integration
from casework.json_input import MAX_BODY, JsonRequest
from casework.logs import access_log
from casework.organisations.charter_routes import ROUTES as CHARTER
from casework.organisations.compartment_routes import ROUTES as COMPARTMENTS
from casework.organisations.routes import ROUTES as ORGANISATIONS
from casework.organisations.settings_routes import ROUTES as SETTINGS
from casework.problems import answer
from casework.query_input import require_plain_query
from casework.rights.routes import ROUTES as RIGHTS
from casework.rollups import RollUps
from casework.standing import what_stops
from casework.upkeep import Upkeep
from casework.web.api_page import ROUTES as API_PAGE
from casework.web.api_page import openapi_config
from casework.web.health import ROUTES as HEALTH
from casework.web.options import answer_options
from casework.web.security import secure_headers

_MARKS = frozenset({"requires", "signed_in", "public"})
ROUTES: tuple[ControllerRouterHandler, ...] = (
    *IDENTITY,
    *ORGANISATIONS,
    *COMPARTMENTS,
    *CHARTER,
    *SETTINGS,
    *CASES,
    *RESTRICTION,
    *DECLARATION,
    *CONFLICTS,
    *TEAMS,
    *FOLLOW_UPS,
    *DRAFTS,
    *HANDOFFS,
    *RIGHTS,
    *AUDIT_REVIEW,
    *LEDGER,
    *API_PAGE,
    *HEALTH,
)


class UnmarkedRoute(Exception):
    """A route does not say who may use it."""


def create_app(deployment: Deployment) -> Litestar:
    """Make the application of an assembled deployment; it integrates the journal while it runs.

    Raises:
        UnmarkedRoute: a route says neither `requires`, nor `signed_in`, nor `public`.

    """
    app = Litestar(
        route_handlers=list(ROUTES),
        lifespan=[_running],
        middleware=[],
        request_class=JsonRequest,
        before_request=_before_every_route,
        exception_handlers={Exception: answer},
        request_max_body_size=MAX_BODY,
        openapi_config=openapi_config(),
        debug=False,
        logging_config=None,
    )
    app.state.deployment = deployment
    _require_marks(app)
    app.asgi_handler = secure_headers(access_log(app.asgi_handler))
    return app


@asynccontextmanager
async def _running(app: Litestar) -> AsyncIterator[None]:
    deployment: Deployment = app.state.deployment
    integration, upkeep, rollups = Integration(deployment), Upkeep(deployment), RollUps(deployment)
    app.state.integration = integration
    app.state.rollups = rollups
    await integration.begin()
    integration.start()
    upkeep.start()
    rollups.start()
    yield
    # First: the last round of integration takes what these told the journal.
    await rollups.stop()
    await upkeep.stop()
    await integration.stop()


async def _before_every_route(request: Request[Any, Any, Any]) -> Response[None] | None:
    _require_standing(request)
    require_plain_query(request)
    return answer_options(request)


def _require_standing(request: Request[Any, Any, Any]) -> None:
    """Serve nobody while an entry is missing or a commit may not last; the probes say which it is."""
    stops = [] if "probe" in request.route_handler.opt else what_stops(request.app.state.deployment)
    if stops:
        raise Unavailable(errors=[FieldError(standing, "unavailable") for standing in stops])


def _require_marks(app: Litestar) -> None:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            # The framework's own: OPTIONS, and the OpenAPI document.
            if not isinstance(handler, HTTPRouteHandler) or handler.fn.__module__.startswith("litestar."):
                continue
            if not _MARKS & set(handler.opt):
                raise UnmarkedRoute(handler.handler_name)
