"""`/api/v1/cases`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, patch, post, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from casework.act import Act
from casework.cases import covering, emergency, key_renewal, reassignment, search, service, status
from casework.cases.schemas import (
    CONTENT,
    Assignments,
    BrokenGlass,
    CaseCreated,
    CaseMove,
    CaseMoved,
    CasePage,
    CasesToCover,
    CaseView,
    Emergency,
    GroupChanged,
    KeyRenewal,
    NewCase,
    Reassigned,
    Reassignment,
    RenewedKeys,
    Search,
    SearchResult,
)
from casework.errors import PreconditionFailed, bad_field
from casework.json_input import read_body
from casework.problems import conflicts
from casework.routing import LIMITED, Made, perform, perform_once, perform_prepared, requires
from policies.vocabulary import READ, RECORD, Action, Group, Status

AnyRequest = Request[Any, Any, Any]
VERSION_DIGITS = 9


@post("/api/v1/cases", opt=requires(Action.CASE_CREATE))
async def create_case(request: AnyRequest, data: JSONBody[NewCase]) -> Response[CaseCreated]:
    """Open a case; whoever opens it is assigned to it."""

    def create(act: Act) -> Made[CaseCreated]:
        created = service.create_case(act, data)
        return Made(created.id, created)

    return await perform_once(request, create, service.view_created, status=201)


@get("/api/v1/cases", opt=requires(Action.CASE_LIST))
async def list_cases(
    request: AnyRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
    cursor: FromQuery[UUID | None] = None,
    status: FromQuery[Status | None] = None,
) -> Response[CasePage]:
    """The cases that the asker may list, newest first."""
    return await perform(request, lambda act: service.list_cases(act, limit, cursor, status))


@get("/api/v1/cases/{case_id:uuid}", opt=requires(Action.CASE_LIST, *READ.values()))
async def view_case(request: AnyRequest, case_id: FromPath[UUID]) -> Response[CaseView]:
    """A case in the groups that the asker may read; the others are named as withheld."""
    return await perform(request, lambda act: service.view_case(act, case_id))


@patch(
    "/api/v1/cases/{case_id:uuid}/groups/{group:str}",
    opt=requires(*RECORD.values()),
    responses=conflicts("arrival_unopened", "key_not_granted"),
)
async def change_group(
    request: AnyRequest,
    case_id: FromPath[UUID],
    group: FromPath[Group],
    if_match: Annotated[str, HeaderParameter(name="If-Match")],
) -> Response[GroupChanged]:
    """Replace one group's content if it is still at the version of `If-Match`."""
    content = await read_body(request, CONTENT[group])

    def change(act: Act) -> GroupChanged | PreconditionFailed:
        return service.change_group(act, case_id, group, content, parse_etag(if_match))

    return await perform(request, change)


@get("/api/v1/cases/{case_id:uuid}/assignments", opt=requires(Action.CASE_LIST))
async def view_assignments(request: AnyRequest, case_id: FromPath[UUID]) -> Response[Assignments]:
    """Who is assigned to a case."""
    return await perform(request, lambda act: service.view_assignments(act, case_id))


@put(
    "/api/v1/cases/{case_id:uuid}/assignments",
    opt=requires(Action.CASE_ASSIGN),
    responses=conflicts("case_is_restricted"),
)
async def set_assignments(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[Assignments]
) -> Response[Assignments]:
    """Replace the members and teams of a case."""
    return await perform(request, lambda act: service.set_assignments(act, case_id, data))


@post(
    "/api/v1/cases/{case_id:uuid}/closure",
    status_code=200,
    opt=requires(Action.CASE_CLOSE),
    responses=conflicts("wrong_state"),
)
async def close_case(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[CaseMove]
) -> Response[CaseMoved]:
    """Close an open case: it is read as before, and reopened before anything is written."""

    def close(act: Act) -> Made[CaseMoved]:
        return Made(case_id, status.move_case(act, case_id, Status.CLOSED, data.reason))

    return await perform_once(request, close, status.view_moved)


@post(
    "/api/v1/cases/{case_id:uuid}/reopening",
    status_code=200,
    opt=requires(Action.CASE_REOPEN),
    responses=conflicts("wrong_state"),
)
async def reopen_case(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[CaseMove]
) -> Response[CaseMoved]:
    """Open a closed case again."""

    def reopen(act: Act) -> Made[CaseMoved]:
        return Made(case_id, status.move_case(act, case_id, Status.OPEN, data.reason))

    return await perform_once(request, reopen, status.view_moved)


@post("/api/v1/cases/{case_id:uuid}/keys", status_code=200, opt=requires(Action.CASE_RESTRICT))
async def renew_keys(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[KeyRenewal]
) -> Response[RenewedKeys]:
    """Seal a case anew under new keys, where the old ones may be known; needs a step-up and a reason.

    Whoever may restrict the case may. Keys that she does not hold are `waiting` for whoever holds them and opens or
    changes the case next. Nobody reads more or less by it.
    """

    def renew(act: Act) -> Made[RenewedKeys]:
        return Made(case_id, key_renewal.renew_keys(act, case_id, data))

    return await perform_once(request, renew, key_renewal.view_renewal)


@post("/api/v1/cases/{case_id:uuid}/break-glass", opt=requires(Action.CASE_BREAK_GLASS))
async def break_glass(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[Emergency]
) -> Response[BrokenGlass]:
    """Read a case for four hours without being assigned to it; needs a step-up, a reason and a purpose.

    It lifts the assignment, never a group, and never a restriction. The purpose in the body is the act's own.
    """

    def open_in_emergency(act: Act) -> Made[BrokenGlass]:
        return Made(*emergency.open_in_emergency(act, case_id, data))

    def again(act: Act, glass_id: UUID) -> BrokenGlass:
        return emergency.view_emergency(act, case_id, glass_id)

    return await perform_once(request, open_in_emergency, again, status=201)


@post("/api/v1/reassignments", status_code=200, opt=requires(Action.CASE_ASSIGN))
async def reassign(request: AnyRequest, data: JSONBody[Reassignment]) -> Response[Reassigned]:
    """Give the cases of a member who leaves to her colleagues.

    At most 500 cases a request: while some are `waiting`, ask again under another key.
    """

    def move(act: Act) -> Made[Reassigned]:
        return Made(data.from_, reassignment.reassign(act, data))

    def again(act: Act, _from: UUID) -> Reassigned:
        return reassignment.review_reassignment(act, data)

    return await perform_once(request, move, again)


@get("/api/v1/reassignments", opt=requires(Action.CASE_ASSIGN))
async def list_to_cover(request: AnyRequest, cursor: FromQuery[UUID | None] = None) -> Response[CasesToCover]:
    """The open cases to which nobody is assigned who is there: whoever is, is on leave or has left."""
    return await perform(request, lambda act: covering.list_to_cover(act, cursor))


@post(
    "/api/v1/search",
    opt=requires(Action.CASE_SEARCH, Action.CASE_LIST) | LIMITED,
    status_code=200,
    responses=conflicts("too_many_candidates"),
)
async def search_cases(request: AnyRequest, data: JSONBody[Search]) -> Response[SearchResult]:
    """The cases that fit a name, a date of birth or a phone best, of those that the asker may list and read."""
    wanted = search.wanted(data)
    return await perform_prepared(
        request,
        lambda act: search.ask(act, wanted),
        lambda deployment, searcher: search.find(deployment, searcher, wanted),
        lambda act, found: search.show(act, wanted, *found),
    )


def parse_etag(value: str) -> int:
    """The version in an ETag, strong or weak.

    Raises:
        BadInput: not a number in it.

    """
    text = value.removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > VERSION_DIGITS:
        raise bad_field("If-Match", "not_a_version")
    return int(text)


ROUTES = (
    create_case,
    list_cases,
    view_case,
    change_group,
    view_assignments,
    set_assignments,
    reassign,
    list_to_cover,
    close_case,
    reopen_case,
    renew_keys,
    break_glass,
    search_cases,
)
