"""`/api/v1/organisation/settings`."""

from typing import Any

from litestar import Request, Response, get, put
from litestar.params import JSONBody

from casework.organisations import settings
from casework.organisations.schemas import NewOrgSettings, OrgSettings
from casework.problems import conflicts
from casework.routing import perform, requires
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]


@get("/api/v1/organisation/settings", opt=requires(Action.MEMBER_MANAGE))
async def view_settings(request: AnyRequest) -> Response[OrgSettings]:
    """When the organisation is open, and which networks it manages."""
    return await perform(request, settings.view_settings)


@put(
    "/api/v1/organisation/settings",
    opt=requires(Action.MEMBER_MANAGE),
    responses=conflicts("settings_moved"),
)
async def change_settings(request: AnyRequest, data: JSONBody[NewOrgSettings]) -> Response[OrgSettings]:
    """Change when the organisation is open and which networks it manages, with a reason; needs a step-up."""
    return await perform(request, lambda act: settings.change_settings(act, data))


ROUTES = (view_settings, change_settings)
