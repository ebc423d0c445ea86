"""SQLAlchemy Core in the usual way: Litestar, an async engine, one connection and transaction for each request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from litestar import Litestar, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import URL, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.twins import queries
from bench.twins.answers import (
    AnyRequest,
    Copies,
    FoundPage,
    HandedOver,
    Search,
    case_page,
    case_view,
    copies,
    cursor_of,
    follow_up_page,
    found_page,
    live,
    member_of,
    now,
    records_of,
    require_seen,
    same_request,
    token_row,
    use_of,
    utc,
)
from bench.twins.engines import make_engine
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
from casework.cases.schemas import CasePage, CaseView
from casework.follow_ups.schemas import FollowUpCreated, FollowUpPage, NewFollowUp
from casework.handoffs.schemas import NewHandoff
from casework.identity.schemas import Credentials, FactorGiven, SecondFactor, SessionBegun
from casework.ids import new_id


def _begin(request: AnyRequest) -> Any:
    return request.app.state.engine.begin()


@asynccontextmanager
async def signed_in(request: AnyRequest) -> AsyncIterator[tuple[AsyncConnection, Member]]:
    row, moment = token_row(request), now()
    async with _begin(request) as connection:
        found = live((await connection.execute(queries.session_of(row))).one_or_none(), moment)
        if moment >= utc(found.seen_at) + TOUCH_EVERY:
            await connection.execute(queries.touch_session(row, moment))
        yield connection, member_of(found)


@get("/api/v1/cases/{case_id:uuid}")
async def view_case(request: AnyRequest, case_id: FromPath[UUID]) -> CaseView:
    async with signed_in(request) as (connection, member):
        rows = (await connection.execute(queries.case_with_groups(member, case_id, now()))).all()
    require_seen(rows[0] if rows else None, member)
    return case_view(case_id, rows)


@get("/api/v1/cases/{case_id:uuid}/follow-ups")
async def list_follow_ups(
    request: AnyRequest,
    case_id: FromPath[UUID],
    limit: FromQuery[int] = 50,
    cursor: FromQuery[str | None] = None,
) -> FollowUpPage:
    after = cursor_of(cursor)
    async with signed_in(request) as (connection, member):
        seen = await connection.execute(queries.case_alone(member, case_id, now()))
        require_seen(seen.one_or_none(), member)
        heads = (await connection.execute(queries.latest_follow_ups(member, case_id, after, limit))).all()
        texts = (await connection.execute(queries.texts_of(member, heads[:limit]))).all() if heads else []
    return follow_up_page(heads, texts, limit)


@get("/api/v1/cases")
async def list_cases(
    request: AnyRequest, limit: FromQuery[int] = 50, cursor: FromQuery[UUID | None] = None
) -> CasePage:
    moment = now()
    async with signed_in(request) as (connection, member):
        count = (await connection.execute(queries.count_cases(member, moment))).scalar_one()
        rows = (await connection.execute(queries.page_of_cases(member, moment, cursor, limit))).all()
    return case_page(rows, count, limit)


@post("/api/v1/cases/{case_id:uuid}/follow-ups")
async def record_follow_up(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewFollowUp]
) -> FollowUpCreated:
    moment, use = now(), await use_of(request, "POST follow-ups")
    records, follow_up_id = records_of(data, moment), new_id()
    async with signed_in(request) as (connection, member):
        done = (await connection.execute(queries.done_before(member, use))).one_or_none()
        if done is not None:
            return FollowUpCreated(same_request(done, use), 1)
        await connection.execute(queries.remember(member, use, follow_up_id, moment))
        seen = await connection.execute(queries.case_alone(member, case_id, moment).with_for_update())
        require_seen(seen.one_or_none(), member)
        await connection.execute(
            queries.new_follow_up(member, case_id, follow_up_id, data.occurred_at, moment)
        )
        await connection.execute(insert(follow_up_text), queries.texts(member.org_id, follow_up_id, records))
        await connection.execute(queries.contact(member, case_id, moment))
    return FollowUpCreated(follow_up_id, 1)


@post("/api/v1/search", status_code=200)
async def search(request: AnyRequest, data: JSONBody[Search]) -> FoundPage:
    words = searchable(data.name).split()
    async with signed_in(request) as (connection, member):
        return found_page((await connection.execute(queries.found_by_name(member, now(), words))).all())


@post("/api/v1/cases/{case_id:uuid}/handoffs")
async def hand_over(request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewHandoff]) -> HandedOver:
    moment, use = now(), await use_of(request, "POST handoffs")
    async with signed_in(request) as (connection, member):
        done = (await connection.execute(queries.done_before(member, use))).one_or_none()
        if done is not None:
            return HandedOver(same_request(done, use))
        made = await _copy(connection, member, case_id, data)
        await connection.execute(queries.remember(member, use, made.case["id"], moment))
        await connection.execute(insert(case_file), made.case)
        await connection.execute(insert(case_group), made.groups)
        await connection.execute(insert(follow_up), made.follow_ups)
        await connection.execute(insert(follow_up_text), made.texts)
        await connection.execute(insert(assignment), made.assignment)
        await connection.execute(insert(handoff), made.handoff)
    return HandedOver(made.case["id"])


async def _copy(connection: AsyncConnection, member: Member, case_id: UUID, data: NewHandoff) -> Copies:
    moment, run = now(), connection.execute
    query = queries.case_with_groups(member, case_id, moment).add_columns(case_file.c.search_name)
    groups = (await run(query)).all()
    seen = require_seen(groups[0] if groups else None, member)
    latest = queries.latest_follow_ups(member, case_id, None, None)
    heads = (await run(latest.where(follow_up.c.id.in_(data.follow_ups or ())))).all()
    texts = (await run(queries.texts_of(member, heads))).all()
    receiver = await run(
        select(membership.c.org_id, membership.c.id, membership.c.role)
        .join(organisation, organisation.c.id == membership.c.org_id)
        .where(organisation.c.slug == data.to)
        .limit(1)
    )
    source = (seen.search_name, groups, heads, texts)
    return copies(member, case_id, Member(*receiver.one()), set(data.groups), source, moment)


@post("/api/v1/sessions")
async def create_session(request: AnyRequest, data: JSONBody[Credentials]) -> SessionBegun:
    async with _begin(request) as connection:
        query = select(account).where(account.c.login == data.login, account.c.active)
        found = (await connection.execute(query)).one_or_none()
    if found is None or not await password_is_async(found.password_hash, data.password):
        raise NotAuthorizedException
    token, row = new_token()
    moment = now()
    async with _begin(request) as connection:
        await connection.execute(
            insert(session).values(
                id=row,
                org_id=found.org_id,
                account_id=found.id,
                member_id=None,
                seen_at=moment,
                expires_at=moment + ABSOLUTE,
            )
        )
    return SessionBegun(token, ["totp"], moment + ABSOLUTE)


@post("/api/v1/sessions/current/second-factor", status_code=200)
async def give_second_factor(request: AnyRequest, data: JSONBody[SecondFactor]) -> FactorGiven:
    row, moment = token_row(request), now()
    async with _begin(request) as connection:
        pending = live((await connection.execute(queries.session_of(row))).one_or_none(), moment)
        this = (account.c.org_id == pending.org_id, account.c.id == pending.account_id)
        found = (await connection.execute(select(account).where(*this))).one()
        step = accepted_step(found.totp_seed, data.code, found.totp_step, moment)
        if step is None:
            raise NotAuthorizedException
        consumed = await connection.execute(
            update(account).where(*this, account.c.totp_step < step).values(totp_step=step)
        )
        if consumed.rowcount != 1:
            raise NotAuthorizedException
        members = await connection.execute(
            select(membership.c.id).where(
                membership.c.org_id == pending.org_id, membership.c.account_id == pending.account_id
            )
        )
        await connection.execute(
            update(session).where(session.c.id == row).values(member_id=members.scalar_one())
        )
    return FactorGiven([])


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
    engine = make_engine(url)

    async def start(app: Litestar) -> None:
        app.state.engine = engine

    async def stop(_app: Litestar) -> None:
        await engine.dispose()

    return Litestar(
        list(ROUTES), on_startup=[start], on_shutdown=[stop], openapi_config=None, logging_config=None
    )
