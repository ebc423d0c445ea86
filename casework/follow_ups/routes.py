"""`/api/v1/cases/{id}/follow-ups`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from casework.act import Act
from casework.follow_ups import service
from casework.follow_ups.schemas import FollowUpCreated, FollowUpPage, NewFollowUp
from casework.routing import Made, perform, perform_once, requires
from policies.vocabulary import READ, RECORD, Action

AnyRequest = Request[Any, Any, Any]


@post("/api/v1/cases/{case_id:uuid}/follow-ups", opt=requires(*RECORD.values()))
async def record_follow_up(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewFollowUp]
) -> Response[FollowUpCreated]:
    """Record a follow-up."""

    def record(act: Act) -> Made[FollowUpCreated]:
        created = service.record_follow_up(act, case_id, data)
        return Made(created.id, created)

    def again(act: Act, follow_up_id: UUID) -> FollowUpCreated:
        return service.view_recorded(act, case_id, follow_up_id)

    return await perform_once(request, record, again, status=201)


@get("/api/v1/cases/{case_id:uuid}/follow-ups", opt=requires(Action.CASE_LIST, *READ.values()))
async def list_follow_ups(
    request: AnyRequest,
    case_id: FromPath[UUID],
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
    cursor: FromQuery[str | None] = None,
) -> Response[FollowUpPage]:
    """The follow-ups of a case, newest first, in the groups that the asker may read."""
    after = service.parse_cursor(cursor)
    return await perform(request, lambda act: service.list_follow_ups(act, case_id, limit, after))


ROUTES = (record_follow_up, list_follow_ups)
