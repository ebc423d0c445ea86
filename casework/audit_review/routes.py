"""`/api/v1/journal`."""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from audit.bundle import write_bundle
from audit.entry import Outcome
from casework.act import Act
from casework.audit_review import findings, reviewing, service
from casework.audit_review.exporting import Chosen, record_export, write_export
from casework.audit_review.findings import Asked
from casework.audit_review.formats import Format
from casework.audit_review.schemas import (
    Coverage,
    EntryPage,
    FindingPage,
    Kind,
    NewReview,
    ReviewPage,
    ReviewView,
    State,
)
from casework.errors import bad_field
from casework.problems import conflicts
from casework.routing import Made, deployment_of, perform, perform_once, perform_text, requires
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]
# What the column of an entry's index can hold.
LAST_INDEX = 2**63 - 1
# A bundle with every detail in clear would be the journal of its readers, outside the service.
MOST_DISCLOSED = 100
Disclosed = Annotated[list[UUID] | None, QueryParameter(max_items=MOST_DISCLOSED)]
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


@get(
    "/api/v1/journal/bundle",
    opt=requires(Action.JOURNAL_VERIFY, Action.JOURNAL_DETAIL),
    media_type="application/zip",
    responses=conflicts("key_not_granted", "nothing_published"),
)
async def export_bundle(request: AnyRequest, details: Disclosed = None) -> Response[bytes]:
    """The whole log of the organisation, as `casework audit verify` reads it.

    `details`: ids of entries whose detail the bundle discloses in clear, each once or more, for whoever verifies it
    to compare with what the entry committed to. That asks for a step-up. Without them it asks for none: there is
    nothing in it that she could not read page by page, and verifying often should cost an auditor nothing.
    """
    committed: list[service.Taken] = []
    disclosed = frozenset(details or ())
    # The entry is committed first; the bytes follow from one consistent view.
    await perform(request, lambda act: committed.append(service.record_bundle(act, disclosed)))
    taken = committed[-1]
    database = deployment_of(request).database
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.zip"
        await database.snapshot(
            lambda view: write_bundle(view, taken.org_id.bytes, path, taken.details.items()), taken.org_id
        )
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
    file_format: Annotated[Format, QueryParameter(name="format")] = Format.CSV,
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
    _require_zones(since, until)
    return service.Search(case=case, member=member, action=action, outcome=outcome, since=since, until=until)


@get("/api/v1/journal/unexplained", opt=requires(Action.JOURNAL_READ))
async def list_unexplained(
    request: AnyRequest,
    only: Annotated[State | None, QueryParameter(name="state")] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[int | None, QueryParameter(ge=0, le=LAST_INDEX)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
) -> Response[FindingPage]:
    """What members read of persons and nothing explains: one finding a member, person and day."""
    return await _findings(request, Kind.UNEXPLAINED, only, (since, until), cursor, limit)


@get("/api/v1/journal/findings", opt=requires(Action.JOURNAL_READ))
async def list_findings(
    request: AnyRequest,
    kind: FromQuery[Kind] = Kind.UNEXPLAINED,
    only: Annotated[State | None, QueryParameter(name="state")] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[int | None, QueryParameter(ge=0, le=LAST_INDEX)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
) -> Response[FindingPage]:
    """One of the lists of what is to be reviewed, newest first."""
    return await _findings(request, kind, only, (since, until), cursor, limit)


@get("/api/v1/journal/coverage", opt=requires(Action.JOURNAL_READ))
async def count_coverage(request: AnyRequest, since: Since = None, until: Until = None) -> Response[Coverage]:
    """Of each list of findings, how much there is, how much is reviewed, and how much is overdue."""
    _require_zones(since, until)
    return await perform(request, lambda act: findings.count_coverage(act, since, until))


async def _findings(
    request: AnyRequest,
    kind: Kind,
    only: State | None,
    period: tuple[datetime | None, datetime | None],
    cursor: int | None,
    limit: int,
) -> Response[FindingPage]:
    _require_zones(*period)
    asked = Asked(kind, *period, only)
    return await perform(request, lambda act: findings.list_findings(act, asked, cursor, limit))


def _require_zones(since: datetime | None, until: datetime | None) -> None:
    for name, moment in (("from", since), ("to", until)):
        if moment is not None and moment.tzinfo is None:
            raise bad_field(name, "not_a_time")


@post(
    "/api/v1/journal/reviews",
    opt=requires(Action.JOURNAL_REVIEW),
    responses=conflicts("second_reviewer_needed"),
)
async def record_review(request: AnyRequest, data: JSONBody[NewReview]) -> Response[ReviewView]:
    """Record what was found of an entry; a misuse is confirmed by somebody else than who suspects it."""

    def record(act: Act) -> Made[ReviewView]:
        recorded = reviewing.record_review(act, data)
        return Made(recorded.id, recorded)

    return await perform_once(request, record, reviewing.view_recorded, status=201)


@get("/api/v1/journal/reviews", opt=requires(Action.JOURNAL_READ))
async def list_reviews(
    request: AnyRequest,
    entry: FromQuery[UUID | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=service.PAGE_LIMIT)] = 50,
) -> Response[ReviewPage]:
    """The reviews of the asker's organisation, newest first."""
    return await perform(request, lambda act: reviewing.list_reviews(act, entry, cursor, limit))


ROUTES = (
    read_entries,
    read_checkpoint,
    read_proof,
    export_bundle,
    export_entries,
    list_unexplained,
    list_findings,
    count_coverage,
    record_review,
    list_reviews,
)
