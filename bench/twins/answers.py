"""From rows to casework's own wire types, and from a request to rows: for the two twins on SQLAlchemy Core."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, NotAuthorizedException, NotFoundException
from msgspec import UNSET, Struct
from sqlalchemy import Row

from bench.twins.queries import COUNT_CAP, Use, may_see
from bench.twins.signing_in import Member, is_over, row_of_token
from casework.cases.schemas import CaseItem, CasePage, CaseView
from casework.follow_ups.schemas import FollowUpPage, FollowUpView, NewFollowUp
from casework.follow_ups.types import HEAD_GROUP
from casework.ids import new_id

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
HEAD_FIELDS = ("type", "channel", "duration_minutes", "action", "next_step")
AnyRequest = Request[Any, Any, Any]


class Search(Struct, forbid_unknown_fields=True):
    name: str


class Found(Struct):
    case_id: UUID
    name_in_use: str
    score: float


class FoundPage(Struct):
    items: list[Found]


class HandedOver(Struct):
    case_id: UUID


def now() -> datetime:
    return datetime.now(UTC)


def token_row(request: AnyRequest) -> bytes:
    row = row_of_token(request.headers.get("authorization", ""))
    if row is None:
        raise NotAuthorizedException
    return row


def utc(moment: datetime) -> datetime:
    # SQLite's moments come back without their zone.
    return moment.replace(tzinfo=UTC)


def live(row: Row[Any] | None, moment: datetime) -> Row[Any]:
    """The session, if it is one and not over."""
    if row is None or is_over(utc(row.seen_at), utc(row.expires_at), moment):
        raise NotAuthorizedException
    return row


def member_of(row: Row[Any]) -> Member:
    if row.member_id is None or not row.active:
        raise NotAuthorizedException
    return Member(row.org_id, row.member_id, row.role)


async def use_of(request: AnyRequest, route: str) -> Use:
    return Use(route, request.headers.get("idempotency-key", ""), sha256(await request.body()).digest())


def same_request(row: Row[Any], use: Use) -> UUID:
    if bytes(row.body_hash) != use.body_hash:
        raise ClientException("Idempotency-Key: used with another body")
    resource: UUID = row.resource_id
    return resource


def require_seen(row: Row[Any] | None, member: Member) -> Row[Any]:
    if row is None or not may_see(row, member):
        raise NotFoundException
    return row


def case_view(case_id: UUID, rows: Sequence[Row[Any]]) -> CaseView:
    return CaseView(
        id=case_id,
        status=rows[0].status,
        version=rows[0].case_version,
        groups={row.compartment: row.content or {} for row in rows},
        versions={row.compartment: row.version for row in rows},
        withheld=[],
    )


def case_page(rows: Sequence[Row[Any]], count: int, limit: int) -> CasePage:
    shown = rows[:limit]
    return CasePage(
        items=[CaseItem(row.id, row.status, row.content) for row in shown],
        next=str(shown[-1].id) if len(rows) > limit else None,
        count=min(count, COUNT_CAP),
        count_is_capped=count > COUNT_CAP,
    )


def found_page(rows: Sequence[Row[Any]]) -> FoundPage:
    return FoundPage([Found(row.id, row.content["name_in_use"], 1.0) for row in rows])


def cursor_of(text: str | None) -> tuple[datetime, UUID] | None:
    if text is None:
        return None
    moment, _, last = text.partition("~")
    return datetime.fromisoformat(moment), UUID(last)


def follow_up_page(heads: Sequence[Row[Any]], texts: Sequence[Row[Any]], limit: int) -> FollowUpPage:
    by_id: dict[UUID, dict[str, Any]] = {}
    for row in texts:
        by_id.setdefault(row.follow_up_id, {})[row.compartment] = row.record
    shown = heads[:limit]
    last = shown[-1] if len(heads) > limit else None
    return FollowUpPage(
        items=[_follow_up(head, by_id.get(head.id, {})) for head in shown],
        next=f"{utc(last.occurred_at).isoformat()}~{last.id}" if last is not None else None,
    )


def _follow_up(head: Row[Any], records: Mapping[Any, Any]) -> FollowUpView:
    fields: Mapping[str, Any] = next((record for record in records.values() if "type" in record), {})
    return FollowUpView(
        id=head.id,
        occurred_at=utc(head.occurred_at),
        author=head.author_id,
        version=head.version,
        content={group: record["text"] for group, record in records.items() if "text" in record},
        withheld=[],
        **{name: fields[name] for name in HEAD_FIELDS if name in fields},
    )


def records_of(new: NewFollowUp, moment: datetime) -> dict[str, Any]:
    """The texts to store, by group; refuses what casework refuses."""
    head_group = HEAD_GROUP.get(new.type)
    if head_group is None:
        raise ClientException("type: not in vocabulary")
    if not EARLIEST <= new.occurred_at <= moment:
        raise ClientException("occurred_at: out of range")
    records: dict[Any, Any] = {group: {"text": text} for group, text in new.content.items() if text.strip()}
    if not records:
        raise ClientException("content: missing")
    head = {name: getattr(new, name) for name in HEAD_FIELDS if getattr(new, name) is not UNSET}
    records[head_group] = {**msgspec.to_builtins(head), **records.get(head_group, {})}
    return records


@dataclass(slots=True)
class Copies:
    """The rows of a case's copy in another organisation, by table."""

    case: dict[str, Any]
    groups: list[dict[str, Any]]
    follow_ups: list[dict[str, Any]]
    texts: list[dict[str, Any]]
    assignment: dict[str, Any]
    handoff: dict[str, Any]


def copies(
    member: Member,
    case_id: UUID,
    receiver: Member,
    chosen: set[str],
    source: tuple[str, Sequence[Row[Any]], Sequence[Row[Any]], Sequence[Row[Any]]],
    moment: datetime,
) -> Copies:
    """The copy of a case: of `source` (search name, groups, follow-ups, texts) what was chosen, under new ids."""
    search_name, groups, heads, texts = source
    org_id, new_case = receiver.org_id, new_id()
    new_ids = {head.id: new_id() for head in heads}
    return Copies(
        case={
            "org_id": org_id,
            "id": new_case,
            "status": "open",
            "restricted": False,
            "version": 1,
            "created_at": moment,
            "created_by": receiver.id,
            "last_contact_at": moment,
            "search_name": search_name if "identity" in chosen else "",
        },
        groups=[
            {
                "org_id": org_id,
                "case_id": new_case,
                "compartment": row.compartment,
                "id": new_id(),
                "version": int(row.compartment in chosen),
                "content": row.content if row.compartment in chosen else None,
            }
            for row in groups
        ],
        follow_ups=[
            {
                "org_id": org_id,
                "id": new_ids[head.id],
                "version": 1,
                "case_id": new_case,
                "author_id": receiver.id,
                "occurred_at": utc(head.occurred_at),
                "recorded_at": moment,
            }
            for head in heads
        ],
        texts=[
            {
                "org_id": org_id,
                "follow_up_id": new_ids[row.follow_up_id],
                "version": 1,
                "compartment": row.compartment,
                "record": row.record,
            }
            for row in texts
            if row.compartment in chosen
        ],
        assignment={"org_id": org_id, "case_id": new_case, "member_id": receiver.id, "since": moment},
        handoff={
            "id": new_id(),
            "from_org": member.org_id,
            "to_org": org_id,
            "from_case": case_id,
            "to_case": new_case,
            "state": "accepted",
            "sent_at": moment,
        },
    )
