"""`/api/v1/cases/{id}/restriction` and `/api/v1/cases/{id}/notes`."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from casework.act import Act
from casework.cases import notes, restricting
from casework.cases.schemas import Lifting, NewNote, NewRestriction, NoteCreated, NoteList, Restriction
from casework.problems import conflicts
from casework.routing import Made, perform, perform_once, requires
from policies.vocabulary import READ, RECORD, Action

AnyRequest = Request[Any, Any, Any]


@post(
    "/api/v1/cases/{case_id:uuid}/restriction",
    opt=requires(Action.CASE_RESTRICT),
    responses=conflicts("already_restricted", "directory_moved"),
)
async def restrict_case(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewRestriction]
) -> Response[Restriction]:
    """Close a case to everybody but two or more named members, whatever the policies allow; needs a step-up.

    Whoever asks and does not name herself loses it.
    """

    def restrict(act: Act) -> Made[Restriction]:
        return Made(case_id, restricting.restrict_case(act, case_id, data))

    return await perform_once(request, restrict, restricting.view_restriction, status=201)


@get("/api/v1/cases/{case_id:uuid}/restriction", opt=requires(Action.CASE_LIST))
async def view_restriction(request: AnyRequest, case_id: FromPath[UUID]) -> Response[Restriction]:
    """Who is named for a case; nobody where it is not restricted."""
    return await perform(request, lambda act: restricting.view_restriction(act, case_id))


@put(
    "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}",
    opt=requires(Action.CASE_ASSIGN),
    responses=conflicts("not_restricted", "directory_moved"),
)
async def name_member(
    request: AnyRequest, case_id: FromPath[UUID], member_id: FromPath[UUID]
) -> Response[Restriction]:
    """Name one more member for a restricted case: its named members alone can; needs a step-up."""
    return await perform(request, lambda act: restricting.name_member(act, case_id, member_id))


@delete(
    "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}",
    status_code=200,
    opt=requires(Action.CASE_ASSIGN),
    responses=conflicts("not_restricted", "fewer_than_two", "directory_moved"),
)
async def unname_member(
    request: AnyRequest, case_id: FromPath[UUID], member_id: FromPath[UUID]
) -> Response[Restriction]:
    """Take a restricted case from one of its named members, and renew its keys; needs a step-up. Two are left."""
    return await perform(request, lambda act: restricting.unname_member(act, case_id, member_id))


@post(
    "/api/v1/cases/{case_id:uuid}/restriction/lifting",
    status_code=200,
    opt=requires(Action.CASE_RESTRICT),
    responses=conflicts("not_restricted", "directory_moved"),
)
async def lift_restriction(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[Lifting]
) -> Response[Restriction]:
    """Make a restricted case an ordinary one again: its named members alone can; needs a step-up."""

    def lift(act: Act) -> Made[Restriction]:
        return Made(case_id, restricting.lift(act, case_id, data.reason))

    return await perform_once(request, lift, restricting.view_restriction)


@post(
    "/api/v1/cases/{case_id:uuid}/notes",
    opt=requires(*RECORD.values()),
    responses=conflicts("key_not_granted"),
)
async def write_note(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewNote]
) -> Response[NoteCreated]:
    """Write a note that its author and the readers whom she names can open, and nobody else."""

    def write(act: Act) -> Made[NoteCreated]:
        created = notes.write_note(act, case_id, data)
        return Made(created.id, created)

    def again(act: Act, note_id: UUID) -> NoteCreated:
        return notes.view_written(act, case_id, note_id)

    return await perform_once(request, write, again, status=201)


@get("/api/v1/cases/{case_id:uuid}/notes", opt=requires(Action.CASE_LIST, *READ.values()))
async def list_notes(request: AnyRequest, case_id: FromPath[UUID]) -> Response[NoteList]:
    """The notes of a case that name the asker; nothing tells of the others."""
    return await perform(request, lambda act: notes.list_notes(act, case_id))


ROUTES = (
    restrict_case,
    view_restriction,
    name_member,
    unname_member,
    lift_restriction,
    write_note,
    list_notes,
)
