"""SQLAlchemy Core on casework's own units of work: one writer thread on SQLite, a greenlet over asyncpg.

What is left between this and casework is what protects: sealing, policies, the journal.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar, Response, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import URL, Connection, insert, select, update

from bench.twins import queries
from bench.twins.answers import (
    AnyRequest,
    Copies,
    Search,
    case_page,
    case_view,
    copies,
    cursor_of,
    follow_up_page,
    found_page,
    live,
    member_of,
    records_of,
    require_seen,
    same_request,
    token_row,
    use_of,
    utc,
)
from bench.twins.names import searchable
from bench.twins.signing_in import (
    ABSOLUTE,
    TOUCH_EVERY,
    Member,
    accepted_step,
    new_token,
    password_is_async,
)
from bench.twins.tables import (
    account,
    assignment,
    case_file,
    case_group,
    follow_up,
    follow_up_text,
    handoff,
    membership,
    organisation,
    session,
)
from casework.clock import Clock
from casework.database import Database, UnitOfWork
from casework.follow_ups.schemas import FollowUpCreated, NewFollowUp
from casework.handoffs.schemas import NewHandoff
from casework.identity.schemas import Credentials, FactorGiven, SecondFactor, SessionBegun
from casework.ids import new_id
from casework.postgres import PostgresDatabase
from casework.sqlite import SqliteDatabase

_JSON = msgspec.json.Encoder()


async def perform(
    request: AnyRequest, work: Callable[[UnitOfWork, Member], Any], *, status: int = 200
) -> Response[bytes]:
    """Run `work` for the signed-in member in one unit, the answer rendered inside it."""
    row = token_row(request)

    def unit_of_work(unit: UnitOfWork) -> bytes:
        found = live(unit.connection.execute(queries.session_of(row)).one_or_none(), unit.now)
        if unit.now >= utc(found.seen_at) + TOUCH_EVERY:
            unit.connection.execute(queries.touch_session(row, unit.now))
        return _JSON.encode(work(unit, member_of(found)))

    body = await database_of(request).unit(unit_of_work)
    return Response(body, status_code=status, media_type="application/json")


def database_of(request: AnyRequest) -> Database:
    database: Database = request.app.state.database
    return database


@get("/api/v1/cases/{case_id:uuid}")
async def view_case(request: AnyRequest, case_id: FromPath[UUID]) -> Response[bytes]:
    def view(unit: UnitOfWork, member: Member) -> Any:
        rows = unit.connection.execute(queries.case_with_groups(member, case_id, unit.now)).all()
        require_seen(rows[0] if rows else None, member)
        return case_view(case_id, rows)

    return await perform(request, view)


@get("/api/v1/cases/{case_id:uuid}/follow-ups")
async def list_follow_ups(
    request: AnyRequest,
    case_id: FromPath[UUID],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> Response[bytes]:
    after = cursor_of(cursor)

    def listed(unit: UnitOfWork, member: Member) -> Any:
        run = unit.connection.execute
        require_seen(run(queries.case_alone(member, case_id, unit.now)).one_or_none(), member)
        heads = run(queries.latest_follow_ups(member, case_id, after, limit)).all()
        texts = run(queries.texts_of(member, heads[:limit])).all() if heads else []
        return follow_up_page(heads, texts, limit)

    return await perform(request, listed)


@get("/api/v1/cases")
async def list_cases(
    request: AnyRequest, limit: FromQuery[int] = 50, cursor: FromQuery[UUID | None] = None
) -> Response[bytes]:
    def listed(unit: UnitOfWork, member: Member) -> Any:
        count = unit.connection.execute(queries.count_cases(member, unit.now)).scalar_one()
        rows = unit.connection.execute(queries.page_of_cases(member, unit.now, cursor, limit)).all()
        return case_page(rows, count, limit)

    return await perform(request, listed)


@post("/api/v1/cases/{case_id:uuid}/follow-ups")
async def record_follow_up(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewFollowUp]
) -> Response[bytes]:
    use = await use_of(request, "POST follow-ups")

    def record(unit: UnitOfWork, member: Member) -> Any:
        records, run = records_of(data, unit.now), unit.connection.execute
        done = run(queries.done_before(member, use)).one_or_none()
        if done is not None:
            return FollowUpCreated(same_request(done, use), 1)
        follow_up_id = new_id()
        run(queries.remember(member, use, follow_up_id, unit.now))
        require_seen(
            run(queries.case_alone(member, case_id, unit.now).with_for_update()).one_or_none(), member
        )
        run(queries.new_follow_up(member, case_id, follow_up_id, data.occurred_at, unit.now))
        run(insert(follow_up_text), queries.texts(member.org_id, follow_up_id, records))
        run(queries.contact(member, case_id, unit.now))
        return FollowUpCreated(follow_up_id, 1)

    return await perform(request, record, status=201)


@post("/api/v1/search")
async def search(request: AnyRequest, data: JSONBody[Search]) -> Response[bytes]:
    words = searchable(data.name).split()

    def find(unit: UnitOfWork, member: Member) -> Any:
        return found_page(unit.connection.execute(queries.found_by_name(member, unit.now, words)).all())

    return await perform(request, find)


@post("/api/v1/cases/{case_id:uuid}/handoffs")
async def hand_over(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewHandoff]
) -> Response[bytes]:
    use = await use_of(request, "POST handoffs")

    def copy(unit: UnitOfWork, member: Member) -> Any:
        run = unit.connection.execute
        done = run(queries.done_before(member, use)).one_or_none()
        if done is not None:
            return {"case_id": same_request(done, use)}
        made = _copy(unit, member, case_id, data)
        run(queries.remember(member, use, made.case["id"], unit.now))
        store(unit.connection, made)
        return {"case_id": made.case["id"]}

    return await perform(request, copy, status=201)


def _copy(unit: UnitOfWork, member: Member, case_id: UUID, data: NewHandoff) -> Copies:
    run = unit.connection.execute
    groups = run(
        queries.case_with_groups(member, case_id, unit.now).add_columns(case_file.c.search_name)
    ).all()
    seen = require_seen(groups[0] if groups else None, member)
    heads = run(
        queries.latest_follow_ups(member, case_id, None, None).where(
            follow_up.c.id.in_(data.follow_ups or ())
        )
    ).all()
    texts = run(queries.texts_of(member, heads)).all()
    receiver = run(
        select(membership.c.org_id, membership.c.id, membership.c.role)
        .join(organisation, organisation.c.id == membership.c.org_id)
        .where(organisation.c.slug == data.to)
        .limit(1)
    ).one()
    source = (seen.search_name, groups, heads, texts)
    return copies(member, case_id, Member(*receiver), set(data.groups), source, unit.now)


def store(connection: Connection, made: Copies) -> None:
    connection.execute(insert(case_file), made.case)
    connection.execute(insert(case_group), made.groups)
    connection.execute(insert(follow_up), made.follow_ups)
    connection.execute(insert(follow_up_text), made.texts)
    connection.execute(insert(assignment), made.assignment)
    connection.execute(insert(handoff), made.handoff)


@post("/api/v1/sessions")
async def create_session(request: AnyRequest, data: JSONBody[Credentials]) -> SessionBegun:
    database = database_of(request)
    found = await database.unit(
        lambda unit: unit.connection.execute(
            select(account).where(account.c.login == data.login, account.c.active)
        ).one_or_none()
    )
    if found is None or not await password_is_async(found.password_hash, data.password):
        raise NotAuthorizedException
    token, row = new_token()

    def begin(unit: UnitOfWork) -> SessionBegun:
        expires_at = unit.now + ABSOLUTE
        unit.connection.execute(
            insert(session).values(
                id=row,
                org_id=found.org_id,
                account_id=found.id,
                member_id=None,
                seen_at=unit.now,
                expires_at=expires_at,
            )
        )
        return SessionBegun(token, ["totp"], expires_at)

    return await database.unit(begin)


@post("/api/v1/sessions/current/second-factor", status_code=200)
async def give_second_factor(request: AnyRequest, data: JSONBody[SecondFactor]) -> FactorGiven:
    row = token_row(request)

    def complete(unit: UnitOfWork) -> FactorGiven:
        run = unit.connection.execute
        pending = live(run(queries.session_of(row)).one_or_none(), unit.now)
        this = (account.c.org_id == pending.org_id, account.c.id == pending.account_id)
        found = run(select(account).where(*this)).one()
        step = accepted_step(found.totp_seed, data.code, found.totp_step, unit.now)
        if step is None:
            raise NotAuthorizedException
        consumed = run(update(account).where(*this, account.c.totp_step < step).values(totp_step=step))
        if consumed.rowcount != 1:
            raise NotAuthorizedException
        member_id = run(
            select(membership.c.id).where(
                membership.c.org_id == pending.org_id, membership.c.account_id == pending.account_id
            )
        ).scalar_one()
        run(update(session).where(session.c.id == row).values(member_id=member_id))
        return FactorGiven([])

    return await database_of(request).unit(complete)


ROUTES = (
    view_case,
    list_follow_ups,
    list_cases,
    record_follow_up,
    search,
    hand_over,
    create_session,
    give_second_factor,
)


def make_app(url: URL) -> Litestar:
    database: Database
    if url.get_backend_name() == "sqlite":
        database = SqliteDatabase(Path(url.database or ""), Clock())
    else:
        database = PostgresDatabase(url.set(drivername="postgresql+asyncpg"), url, Clock())

    async def start(app: Litestar) -> None:
        await database.start()
        app.state.database = database

    async def stop(_app: Litestar) -> None:
        await database.stop()

    return Litestar(
        list(ROUTES), on_startup=[start], on_shutdown=[stop], openapi_config=None, logging_config=None
    )
