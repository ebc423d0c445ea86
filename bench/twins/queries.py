"""The statements of the two twins on SQLAlchemy Core: casework's tables and facts, in plain columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Insert,
    Row,
    Select,
    Table,
    Update,
    and_,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from bench.twins.signing_in import Member
from bench.twins.tables import (
    account,
    assignment,
    break_glass,
    case_conflict,
    case_file,
    case_group,
    case_team,
    follow_up,
    follow_up_text,
    idempotency,
    membership,
    session,
    team_member,
)

COUNT_CAP = 1_000
FOUND_LIMIT = 20


def session_of(row: bytes) -> Select[Any]:
    return (
        select(
            session.c.org_id,
            session.c.account_id,
            session.c.member_id,
            session.c.seen_at,
            session.c.expires_at,
            membership.c.role,
            and_(account.c.active, membership.c.active).label("active"),
        )
        .join_from(
            session,
            membership,
            and_(membership.c.org_id == session.c.org_id, membership.c.id == session.c.member_id),
            isouter=True,
        )
        .join(
            account,
            and_(account.c.org_id == session.c.org_id, account.c.id == session.c.account_id),
        )
        .where(session.c.id == row)
    )


def touch_session(row: bytes, now: datetime) -> Update:
    return update(session).where(session.c.id == row).values(seen_at=now)


def facts(member: Member, now: datetime) -> dict[str, ColumnElement[bool]]:
    """Who is near the case of the enclosing query."""
    in_team = and_(team_member.c.org_id == case_team.c.org_id, team_member.c.team_id == case_team.c.team_id)
    return {
        "mine": _near(assignment, assignment.c.member_id == member.id),
        "my_team": _near(case_team, exists().where(in_team, team_member.c.member_id == member.id)),
        "restricted": case_file.c.restricted,
        "conflict": _near(case_conflict, case_conflict.c.member_id == member.id),
        "glass": _near(
            break_glass, and_(break_glass.c.member_id == member.id, break_glass.c.expires_at > now)
        ),
    }


def may_see(row: Row[Any], member: Member) -> bool:
    return not row.conflict and (row.mine or row.my_team or row.glass or member.role == "reception")


def _near(table: Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        exists()
        .where(table.c.org_id == case_file.c.org_id, table.c.case_id == case_file.c.id, condition)
        .correlate(case_file)
    )


def _listed(member: Member, now: datetime) -> list[ColumnElement[bool]]:
    """Which cases a list or a search goes through."""
    near = facts(member, now)
    conditions = [case_file.c.org_id == member.org_id, not_(near["conflict"])]
    if member.role != "reception":
        conditions.append(
            or_(near["mine"], and_(not_(near["restricted"]), or_(near["my_team"], near["glass"])))
        )
    return conditions


def case_with_groups(member: Member, case_id: UUID, now: datetime) -> Select[Any]:
    return (
        select(case_file.c.status, case_file.c.version.label("case_version"))
        .add_columns(*(expression.label(name) for name, expression in facts(member, now).items()))
        .add_columns(case_group.c.compartment, case_group.c.version, case_group.c.content)
        .join_from(
            case_file,
            case_group,
            and_(case_group.c.org_id == case_file.c.org_id, case_group.c.case_id == case_file.c.id),
        )
        .where(case_file.c.org_id == member.org_id, case_file.c.id == case_id)
    )


def case_alone(member: Member, case_id: UUID, now: datetime) -> Select[Any]:
    return (
        select(case_file.c.status)
        .add_columns(*(expression.label(name) for name, expression in facts(member, now).items()))
        .where(case_file.c.org_id == member.org_id, case_file.c.id == case_id)
    )


def count_cases(member: Member, now: datetime) -> Select[Any]:
    capped = select(case_file.c.id).where(*_listed(member, now)).limit(COUNT_CAP + 1).subquery()
    return select(func.count()).select_from(capped)


def page_of_cases(member: Member, now: datetime, after: UUID | None, limit: int) -> Select[Any]:
    conditions = _listed(member, now)
    if after is not None:
        conditions.append(case_file.c.id < after)
    return (
        select(case_file.c.id, case_file.c.status, case_group.c.content)
        .join_from(
            case_file,
            case_group,
            and_(
                case_group.c.org_id == case_file.c.org_id,
                case_group.c.case_id == case_file.c.id,
                case_group.c.compartment == "identity",
            ),
        )
        .where(*conditions)
        .order_by(case_file.c.id.desc())
        .limit(limit + 1)
    )


def found_by_name(member: Member, now: datetime, words: Iterable[str]) -> Select[Any]:
    named = [case_file.c.search_name.contains(word, autoescape=True) for word in words]
    return page_of_cases(member, now, None, FOUND_LIMIT).where(*named)


def latest_follow_ups(
    member: Member, case_id: UUID, cursor: tuple[datetime, UUID] | None, limit: int | None
) -> Select[Any]:
    newer = follow_up.alias("newer")
    later = exists().where(
        newer.c.org_id == follow_up.c.org_id,
        newer.c.id == follow_up.c.id,
        newer.c.version > follow_up.c.version,
    )
    query = select(follow_up).where(
        follow_up.c.org_id == member.org_id, follow_up.c.case_id == case_id, not_(later)
    )
    if cursor is not None:
        moment, last = cursor
        query = query.where(
            or_(
                follow_up.c.occurred_at < moment,
                and_(follow_up.c.occurred_at == moment, follow_up.c.id < last),
            )
        )
    query = query.order_by(follow_up.c.occurred_at.desc(), follow_up.c.id.desc())
    return query if limit is None else query.limit(limit + 1)


def texts_of(member: Member, heads: Sequence[Row[Any]]) -> Select[Any]:
    keys = [(head.id, head.version) for head in heads]
    return select(follow_up_text).where(
        follow_up_text.c.org_id == member.org_id,
        # SQLite finds no index by pairs: without this it reads every text of the organisation.
        follow_up_text.c.follow_up_id.in_([head.id for head in heads]),
        tuple_(follow_up_text.c.follow_up_id, follow_up_text.c.version).in_(keys),
    )


@dataclass(frozen=True, slots=True)
class Use:
    """One use of an Idempotency-Key."""

    route: str
    key: str
    body_hash: bytes


def done_before(member: Member, use: Use) -> Select[Any]:
    return select(idempotency.c.body_hash, idempotency.c.resource_id).where(
        idempotency.c.org_id == member.org_id,
        idempotency.c.member_id == member.id,
        idempotency.c.route == use.route,
        idempotency.c.key == use.key,
    )


def remember(member: Member, use: Use, resource: UUID, now: datetime) -> Insert:
    return insert(idempotency).values(
        org_id=member.org_id,
        member_id=member.id,
        route=use.route,
        key=use.key,
        body_hash=use.body_hash,
        resource_id=resource,
        created_at=now,
    )


def new_follow_up(
    member: Member, case_id: UUID, follow_up_id: UUID, occurred_at: datetime, now: datetime
) -> Insert:
    return insert(follow_up).values(
        org_id=member.org_id,
        id=follow_up_id,
        version=1,
        case_id=case_id,
        author_id=member.id,
        occurred_at=occurred_at,
        recorded_at=now,
    )


def texts(org_id: UUID, follow_up_id: UUID, records: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "org_id": org_id,
            "follow_up_id": follow_up_id,
            "version": 1,
            "compartment": group,
            "record": record,
        }
        for group, record in records.items()
    ]


def contact(member: Member, case_id: UUID, now: datetime) -> Update:
    return (
        update(case_file)
        .where(case_file.c.org_id == member.org_id, case_file.c.id == case_id)
        .values(version=case_file.c.version + 1, last_contact_at=now)
    )
