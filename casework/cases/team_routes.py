"""`/api/v1/teams`."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post, put
from litestar.params import FromPath, JSONBody

from casework.act import Act
from casework.cases import teams
from casework.cases.schemas import NewTeam, TeamClosing, TeamList, TeamView
from casework.routing import Made, perform, perform_once, requires
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]


@get("/api/v1/teams", opt=requires(Action.CASE_ASSIGN))
async def list_teams(request: AnyRequest) -> Response[TeamList]:
    """The teams to which cases are assigned, and who belongs to each."""
    return await perform(request, teams.list_teams)


@post("/api/v1/teams", opt=requires(Action.CASE_ASSIGN))
async def create_team(request: AnyRequest, data: JSONBody[NewTeam]) -> Response[TeamView]:
    """Make a team of colleagues; needs a step-up."""

    def create(act: Act) -> Made[TeamView]:
        made = teams.create_team(act, data)
        return Made(made.id, made)

    return await perform_once(request, create, teams.view_team, status=201)


@put("/api/v1/teams/{team_id:uuid}", opt=requires(Action.CASE_ASSIGN))
async def change_team(
    request: AnyRequest, team_id: FromPath[UUID], data: JSONBody[NewTeam]
) -> Response[TeamView]:
    """Rename a team and replace who belongs to it; needs a step-up."""
    return await perform(request, lambda act: teams.change_team(act, team_id, data))


@post("/api/v1/teams/{team_id:uuid}/closure", status_code=200, opt=requires(Action.CASE_ASSIGN))
async def close_team(
    request: AnyRequest, team_id: FromPath[UUID], data: JSONBody[TeamClosing]
) -> Response[TeamView]:
    """End a team: nobody belongs to it any more, and no case is its; needs a step-up."""
    return await perform(request, lambda act: teams.close_team(act, team_id, data.reason))


ROUTES = (list_teams, create_team, change_team, close_team)
