"""`/api/v1/journal`."""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.enums import MediaType
from litestar.params import FromPath, FromQuery, QueryParameter

from audit.bundle import write_bundle
from audit.entry import Outcome
from casework.act import Act
from casework.audit_review import service
from casework.audit_review.exporting import Chosen, record_export, write_export
from casework.audit_review.formats import Format
from casework.audit_review.schemas import EntryPage
from casework.errors import bad_field
from casework.problems import conflicts
from casework.routing import deployment_of, perform, perform_text, requires
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]
# What the column of an entry's index can hold.
LAST_INDEX = 2**63 - 1
ActionCode = Annotated[str | None, QueryParameter(pattern=r"^[a-z][a-z0-9_.]{0,99}$")]
Since = Annotated[datetime | None, QueryParameter(name="from")]
Until = Annotated[datetime | None, QueryParameter(name="to")]


@get("/api/v1/journal/entries", opt=requires(Action.JOURNAL_READ))
async def read_entries(
    request: AnyRequest,
    case: FromQuery[UUID | None] = None,
    member: FromQuery[UUID | None] = None,
    action: ActionCode = None,
    outcome: FromQuery[Outcome | None] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[int | None, QueryParameter(ge=0, le=LAST_INDEX)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
) -> Response[EntryPage]:
    """The journal of the asker's organisation, newest first."""
    search = _search(case, member, action, outcome, since, until)
    return await perform(request, lambda act: service.read_entries(act, search, cursor, limit))


@get(
    "/api/v1/journal/checkpoint",
    opt=requires(Action.JOURNAL_VERIFY),
    media_type=MediaType.TEXT,
    responses=conflicts("nothing_published"),
)
async def read_checkpoint(request: AnyRequest) -> Response[str]:
    """The newest checkpoint: a C2SP signed note."""
    return await perform_text(request, service.read_checkpoint)


@get(
    "/api/v1/journal/entries/{entry_id:uuid}/proof",
    opt=requires(Action.JOURNAL_VERIFY),
    media_type=MediaType.TEXT,
)
async def read_proof(request: AnyRequest, entry_id: FromPath[UUID]) -> Response[str]:
    """The tlog-proof of one entry."""
    return await perform_text(request, lambda act: service.read_proof(act, entry_id))


@get("/api/v1/journal/bundle", opt=requires(Action.JOURNAL_VERIFY), media_type="application/zip")
async def export_bundle(request: AnyRequest) -> Response[bytes]:
    """The whole log of the organisation, as `casework audit verify` reads it."""
    exported: list[UUID] = []

    def decide(act: Act) -> None:
        exported.append(service.record_bundle(act))

    # The entry is committed first; the bytes follow from one consistent view.
    await perform(request, decide)
    org_id = exported[-1]
    database = deployment_of(request).database
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.zip"
        await database.snapshot(lambda view: write_bundle(view, org_id.bytes, path), org_id)
        content = await asyncio.to_thread(path.read_bytes)
    return Response(
        content=content,
        media_type="application/zip",
        headers={"content-disposition": 'attachment; filename="journal.zip"'},
    )


@get(
    "/api/v1/journal/export",
    opt={**requires(Action.JOURNAL_READ), "also": (Format.FHIR.media_type,)},
    media_type=Format.CSV.media_type,
    responses=conflicts("too_many_entries"),
)
async def export_entries(
    request: AnyRequest,
    file_format: Annotated[Format, QueryParameter(name="format")],
    case: FromQuery[UUID | None] = None,
    member: FromQuery[UUID | None] = None,
    action: ActionCode = None,
    outcome: FromQuery[Outcome | None] = None,
    since: Since = None,
    until: Until = None,
) -> Response[bytes]:
    """What matches of the journal, oldest first: CSV (RFC 4180), or a Bundle of FHIR R4 AuditEvents.

    Codes, pseudonyms and the sentence of each entry; the details stay sealed.
    """
    search = _search(case, member, action, outcome, since, until)
    chosen: list[Chosen] = []
    await perform(request, lambda act: chosen.append(record_export(act, search)))
    wanted = chosen[-1]
    content = await deployment_of(request).database.snapshot(
        lambda view: write_export(view, wanted, file_format), wanted.org_id
    )
    ending = {Format.CSV: "csv", Format.FHIR: "json"}[file_format]
    return Response(
        content=content,
        media_type=file_format.media_type,
        headers={"content-disposition": f'attachment; filename="journal.{ending}"'},
    )


def _search(
    case: UUID | None,
    member: UUID | None,
    action: str | None,
    outcome: Outcome | None,
    since: datetime | None,
    until: datetime | None,
) -> service.Search:
    for name, moment in (("from", since), ("to", until)):
        if moment is not None and moment.tzinfo is None:
            raise bad_field(name, "not_a_time")
    return service.Search(case=case, member=member, action=action, outcome=outcome, since=since, until=until)


ROUTES = (read_entries, read_checkpoint, read_proof, export_bundle, export_entries)
