"""`/api/v1/drafts`: the autosaved composer. A client deletes a draft once what it became is saved."""

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, delete, get, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from sqlalchemy.exc import IntegrityError

from casework.act import Act
from casework.cases.routes import parse_etag
from casework.drafts import service
from casework.drafts.schemas import DraftList, DraftSaved, DraftView, NewDraft
from casework.errors import PreconditionFailed, bad_field
from casework.routing import perform, requires
from policies.vocabulary import RECORD, Action

AnyRequest = Request[Any, Any, Any]


@put("/api/v1/drafts/{draft_id:uuid}", opt=requires(Action.CASE_LIST, *RECORD.values()))
async def save_draft(
    request: AnyRequest,
    draft_id: FromPath[UUID],
    data: JSONBody[NewDraft],
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
    if_none_match: Annotated[Literal["*"] | None, HeaderParameter(name="If-None-Match")] = None,
) -> Response[DraftSaved]:
    """Keep a draft about a case, under an id that the client has chosen.

    `If-None-Match: *` begins it, `If-Match` with the last version goes on with it: exactly one of them is sent.
    """
    if (if_match is None) == (if_none_match is None):
        raise bad_field("If-Match", "missing" if if_match is None else "not_with_if_none_match")
    version = parse_etag(if_match) if if_match is not None else None

    def save(act: Act) -> DraftSaved | PreconditionFailed:
        return service.save_draft(act, draft_id, data, version)

    try:
        return await perform(request, save)
    except IntegrityError:
        # The same draft was begun by a request that ran beside this one and is committed now: a 412.
        return await perform(request, save)


@get("/api/v1/drafts", opt=requires(Action.CASE_LIST))
async def list_drafts(request: AnyRequest, case_id: FromQuery[UUID]) -> Response[DraftList]:
    """The asker's own drafts about a case, last saved first, without their content."""
    return await perform(request, lambda act: service.list_drafts(act, case_id))


@get("/api/v1/drafts/{draft_id:uuid}", opt=requires(Action.CASE_LIST))
async def view_draft(request: AnyRequest, draft_id: FromPath[UUID]) -> Response[DraftView]:
    """A draft of the asker's own."""
    return await perform(request, lambda act: service.view_draft(act, draft_id))


@delete("/api/v1/drafts/{draft_id:uuid}", opt=requires(Action.CASE_LIST))
async def delete_draft(request: AnyRequest, draft_id: FromPath[UUID]) -> None:
    """Destroy a draft of the asker's own."""
    await perform(request, lambda act: service.delete_draft(act, draft_id))


ROUTES = (save_draft, list_drafts, view_draft, delete_draft)
