"""`/api/v1/cases/{id}/follow-ups` and `/api/v1/follow-ups`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from casework.act import Act
from casework.cases.routes import parse_etag
from casework.errors import PreconditionFailed
from casework.follow_ups import corrections, service
from casework.follow_ups.schemas import (
    Correction,
    FollowUpCreated,
    FollowUpPage,
    FollowUpVersions,
    NewFollowUp,
)
from casework.problems import conflicts
from casework.routing import Made, perform, perform_once, requires
from policies.vocabulary import AMEND, READ, RECORD, Action

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


@post(
    "/api/v1/follow-ups/{follow_up_id:uuid}/corrections",
    opt=requires(*AMEND.values()),
    responses=conflicts("arrival_unopened", "key_not_granted"),
)
async def correct_follow_up(
    request: AnyRequest,
    follow_up_id: FromPath[UUID],
    data: JSONBody[Correction],
    if_match: Annotated[str, HeaderParameter(name="If-Match")],
) -> Response[FollowUpCreated]:
    """Correct a follow-up that is still at the version of `If-Match`; the old version stays."""
    version = parse_etag(if_match)

    def correct(act: Act) -> Made[FollowUpCreated] | PreconditionFailed:
        corrected = corrections.correct_follow_up(act, follow_up_id, data, version)
        if isinstance(corrected, PreconditionFailed):
            return corrected
        return Made(corrected.id, corrected)

    def again(act: Act, corrected: UUID) -> FollowUpCreated:
        return corrections.view_corrected(act, corrected, version + 1)

    return await perform_once(request, correct, again, status=201)


@get("/api/v1/follow-ups/{follow_up_id:uuid}/versions", opt=requires(Action.CASE_LIST, *READ.values()))
async def view_versions(request: AnyRequest, follow_up_id: FromPath[UUID]) -> Response[FollowUpVersions]:
    """Every version of a follow-up, oldest to newest, in the groups that the asker may read."""
    return await perform(request, lambda act: corrections.view_versions(act, follow_up_id))


ROUTES = (record_follow_up, list_follow_ups, correct_follow_up, view_versions)
