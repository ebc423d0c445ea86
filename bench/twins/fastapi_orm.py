"""FastAPI and SQLAlchemy's ORM in the usual way: a session for each request, relationships loaded in its queries.

Not by `selectinload`: for keys of several columns SQLite would read the whole table.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from sqlalchemy import URL, ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import aliased, contains_eager, joinedload

from bench.twins.engines import make_engine
from bench.twins.fastapi_schemas import (
    CaseItem,
    CasePage,
    CaseView,
    Credentials,
    FactorGiven,
    FollowUpCreated,
    FollowUpPage,
    FollowUpView,
    Found,
    FoundPage,
    HandedOver,
    NewFollowUp,
    NewHandoff,
    SecondFactor,
    SessionBegun,
)
from bench.twins.fastapi_schemas import Search as SearchBody
from bench.twins.names import searchable
from bench.twins.orm_models import (
    Account,
    Assignment,
    CaseFile,
    CaseGroup,
    FollowUp,
    FollowUpText,
    Handoff,
    Idempotency,
    Membership,
    Organisation,
    Session,
)
from bench.twins.signing_in import (
    ABSOLUTE,
    TOUCH_EVERY,
    accepted_step,
    is_over,
    new_token,
    password_is_async,
    row_of_token,
)
from bench.twins.tables import break_glass, case_conflict, case_team, team_member
from casework.follow_ups.types import HEAD_GROUP
from casework.ids import new_id

COUNT_CAP = 1_000
FOUND_LIMIT = 20
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
HEAD_FIELDS = ("type", "channel", "duration_minutes", "action", "next_step")
UNAUTHORISED, NOT_FOUND, UNPROCESSABLE = 401, 404, 422


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as db, db.begin():
        yield db


# Committed before the answer leaves, not after it.
Db = Annotated[AsyncSession, Depends(get_db, scope="function")]


@dataclass(frozen=True, slots=True)
class Asker:
    """The signed-in member and her database session."""

    db: AsyncSession
    member: Membership
    now: datetime

    @property
    def org_id(self) -> UUID:
        return self.member.org_id


def utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


async def find_session(db: AsyncSession, authorization: str, now: datetime) -> Session:
    row = row_of_token(authorization)
    found = await db.get(Session, row) if row is not None else None
    if found is None or is_over(utc(found.seen_at), utc(found.expires_at), now):
        raise HTTPException(UNAUTHORISED)
    if now >= utc(found.seen_at) + TOUCH_EVERY:
        found.seen_at = now
    return found


async def signed_in(db: Db, authorization: Annotated[str, Header()] = "") -> Asker:
    now = datetime.now(UTC)
    found = await find_session(db, authorization, now)
    query = (
        select(Membership)
        .join(Membership.account)
        .where(
            Membership.org_id == found.org_id,
            Membership.id == found.member_id,
            Membership.active,
            Account.active,
        )
    )
    member = (await db.execute(query)).scalar_one_or_none()
    if member is None:
        raise HTTPException(UNAUTHORISED)
    return Asker(db, member, now)


SignedIn = Annotated[Asker, Depends(signed_in)]


def facts(asker: Asker) -> dict[str, ColumnElement[bool]]:
    def near(table: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return (
            exists()
            .where(table.org_id == CaseFile.org_id, table.case_id == CaseFile.id, condition)
            .correlate(CaseFile)
        )

    me = asker.member.id
    in_team = and_(team_member.c.org_id == case_team.c.org_id, team_member.c.team_id == case_team.c.team_id)
    glass = and_(break_glass.c.member_id == me, break_glass.c.expires_at > asker.now)
    return {
        "mine": near(Assignment, Assignment.member_id == me),
        "my_team": near(case_team.c, exists().where(in_team, team_member.c.member_id == me)),
        "conflict": near(case_conflict.c, case_conflict.c.member_id == me),
        "glass": near(break_glass.c, glass),
    }


def listed(asker: Asker) -> list[ColumnElement[bool]]:
    near = facts(asker)
    conditions = [CaseFile.org_id == asker.org_id, not_(near["conflict"])]
    if asker.member.role != "reception":
        conditions.append(
            or_(near["mine"], and_(not_(CaseFile.restricted), or_(near["my_team"], near["glass"])))
        )
    return conditions


async def seen_case(asker: Asker, case_id: UUID, *options: Any, lock: bool = False) -> CaseFile:
    query = (
        select(CaseFile, *(expression.label(name) for name, expression in facts(asker).items()))
        .where(CaseFile.org_id == asker.org_id, CaseFile.id == case_id)
        .options(*options)
    )
    row = (await asker.db.execute(query.with_for_update() if lock else query)).unique().one_or_none()
    near = row is not None and (row.mine or row.my_team or row.glass or asker.member.role == "reception")
    if row is None or row.conflict or not near:
        raise HTTPException(NOT_FOUND)
    case: CaseFile = row[0]
    return case


app = FastAPI(openapi_url=None)


@app.get("/api/v1/cases/{case_id}")
async def view_case(asker: SignedIn, case_id: UUID) -> CaseView:
    case = await seen_case(asker, case_id, joinedload(CaseFile.groups))
    return CaseView(
        id=case.id,
        status=case.status,
        version=case.version,
        groups={group.compartment: group.content or {} for group in case.groups},
        versions={group.compartment: group.version for group in case.groups},
        withheld=[],
    )


@app.get("/api/v1/cases")
async def list_cases(
    asker: SignedIn, limit: Annotated[int, Query(ge=1, le=100)] = 50, cursor: UUID | None = None
) -> CasePage:
    conditions = listed(asker)
    capped = select(CaseFile.id).where(*conditions).limit(COUNT_CAP + 1).subquery()
    count = (await asker.db.execute(select(func.count()).select_from(capped))).scalar_one()
    query = select(CaseFile).join(CaseFile.identity).options(contains_eager(CaseFile.identity))
    if cursor is not None:
        conditions.append(CaseFile.id < cursor)
    query = query.where(*conditions).order_by(CaseFile.id.desc()).limit(limit + 1)
    cases = (await asker.db.execute(query)).scalars().all()
    shown = cases[:limit]
    return CasePage(
        items=[CaseItem(id=case.id, status=case.status, identity=case.identity.content) for case in shown],
        next=str(shown[-1].id) if len(cases) > limit else None,
        count=min(count, COUNT_CAP),
        count_is_capped=count > COUNT_CAP,
    )


def latest_follow_ups(asker: Asker, case_id: UUID) -> Any:
    newer = aliased(FollowUp)
    later = exists().where(
        newer.org_id == FollowUp.org_id, newer.id == FollowUp.id, newer.version > FollowUp.version
    )
    return (
        select(FollowUp)
        .where(FollowUp.org_id == asker.org_id, FollowUp.case_id == case_id, not_(later))
        .order_by(FollowUp.occurred_at.desc(), FollowUp.id.desc())
        .options(joinedload(FollowUp.texts))
    )


@app.get("/api/v1/cases/{case_id}/follow-ups", response_model_exclude_none=True)
async def list_follow_ups(
    asker: SignedIn,
    case_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> FollowUpPage:
    await seen_case(asker, case_id)
    query = latest_follow_ups(asker, case_id)
    if cursor is not None:
        text, _, last = cursor.partition("~")
        moment = datetime.fromisoformat(text)
        same = and_(FollowUp.occurred_at == moment, FollowUp.id < UUID(last))
        query = query.where(or_(FollowUp.occurred_at < moment, same))
    heads = (await asker.db.execute(query.limit(limit + 1))).unique().scalars().all()
    last_shown = heads[limit - 1] if len(heads) > limit else None
    following = f"{utc(last_shown.occurred_at).isoformat()}~{last_shown.id}" if last_shown else None
    return FollowUpPage(items=[_view(head) for head in heads[:limit]], next=following)


def _view(head: FollowUp) -> FollowUpView:
    records = {text.compartment: text.record for text in head.texts}
    fields = next((record for record in records.values() if "type" in record), {})
    return FollowUpView(
        id=head.id,
        occurred_at=utc(head.occurred_at),
        author=head.author_id,
        version=head.version,
        content={group: record["text"] for group, record in records.items() if "text" in record},
        withheld=[],
        **{name: fields[name] for name in HEAD_FIELDS if name in fields},
    )


async def done_before(asker: Asker, request: Request, route: str) -> tuple[Idempotency, UUID | None]:
    """The memory of this request to keep, and what it made before if it was made."""
    this = Idempotency(
        org_id=asker.org_id,
        member_id=asker.member.id,
        route=route,
        key=request.headers.get("idempotency-key", ""),
        body_hash=sha256(await request.body()).digest(),
        created_at=asker.now,
    )
    found = await asker.db.get(Idempotency, (this.org_id, this.member_id, this.route, this.key))
    if found is not None and bytes(found.body_hash) != this.body_hash:
        raise HTTPException(UNPROCESSABLE)
    return this, found.resource_id if found is not None else None


def records_of(new: NewFollowUp, now: datetime) -> dict[str, dict[str, Any]]:
    head_group = HEAD_GROUP.get(new.type)
    records: dict[str, dict[str, Any]] = {
        group: {"text": text} for group, text in new.content.items() if text.strip()
    }
    if head_group is None or not records or not EARLIEST <= new.occurred_at <= now:
        raise HTTPException(UNPROCESSABLE)
    head = new.model_dump(include=set(HEAD_FIELDS), exclude_none=True)
    records[head_group] = {**head, **records.get(head_group, {})}
    return records


@app.post("/api/v1/cases/{case_id}/follow-ups", status_code=201)
async def record_follow_up(
    asker: SignedIn, request: Request, case_id: UUID, new: NewFollowUp
) -> FollowUpCreated:
    records = records_of(new, asker.now)
    use, done = await done_before(asker, request, "POST follow-ups")
    if done is not None:
        return FollowUpCreated(id=done, version=1)
    case = await seen_case(asker, case_id, lock=True)
    use.resource_id = new_id()
    head = FollowUp(
        org_id=asker.org_id,
        id=use.resource_id,
        version=1,
        case_id=case_id,
        author_id=asker.member.id,
        occurred_at=new.occurred_at,
        recorded_at=asker.now,
        texts=[FollowUpText(compartment=group, record=record) for group, record in records.items()],
    )
    case.version += 1
    case.last_contact_at = asker.now
    asker.db.add_all([use, head])
    return FollowUpCreated(id=use.resource_id, version=1)


@app.post("/api/v1/search")
async def search(asker: SignedIn, wanted: SearchBody) -> FoundPage:
    query = (
        select(CaseFile)
        .join(CaseFile.identity)
        .options(contains_eager(CaseFile.identity))
        .where(*listed(asker))
        .order_by(CaseFile.id.desc())
        .limit(FOUND_LIMIT)
    )
    for word in searchable(wanted.name).split():
        query = query.where(CaseFile.search_name.contains(word, autoescape=True))
    cases = (await asker.db.execute(query)).scalars()
    items = [
        Found(case_id=case.id, name_in_use=case.identity.content["name_in_use"], score=1.0) for case in cases
    ]
    return FoundPage(items=items)


@app.post("/api/v1/cases/{case_id}/handoffs", status_code=201)
async def hand_over(asker: SignedIn, request: Request, case_id: UUID, new: NewHandoff) -> HandedOver:
    use, done = await done_before(asker, request, "POST handoffs")
    if done is not None:
        return HandedOver(case_id=done)
    case = await seen_case(asker, case_id, joinedload(CaseFile.groups))
    query = latest_follow_ups(asker, case_id).where(FollowUp.id.in_(new.follow_ups))
    heads = (await asker.db.execute(query)).unique().scalars().all()
    receivers = (
        select(Membership)
        .join(Organisation, Organisation.id == Membership.org_id)
        .where(Organisation.slug == new.to)
        .limit(1)
    )
    receiver = (await asker.db.execute(receivers)).scalar_one()
    use.resource_id = new_id()
    copy = _copy_of(case, use.resource_id, receiver, set(new.groups), asker.now)
    asker.db.add_all([use, copy, *(_copy_of_follow_up(head, copy, set(new.groups)) for head in heads)])
    asker.db.add(
        Handoff(
            id=new_id(),
            from_org=asker.org_id,
            to_org=receiver.org_id,
            from_case=case_id,
            to_case=copy.id,
            state="accepted",
            sent_at=asker.now,
        )
    )
    return HandedOver(case_id=copy.id)


def _copy_of(
    case: CaseFile, new_case: UUID, receiver: Membership, chosen: set[str], now: datetime
) -> CaseFile:
    return CaseFile(
        org_id=receiver.org_id,
        id=new_case,
        status="open",
        restricted=False,
        version=1,
        created_at=now,
        created_by=receiver.id,
        last_contact_at=now,
        search_name=case.search_name if "identity" in chosen else "",
        groups=[
            CaseGroup(
                compartment=group.compartment,
                id=new_id(),
                version=int(group.compartment in chosen),
                content=group.content if group.compartment in chosen else None,
            )
            for group in case.groups
        ],
        assignments=[Assignment(member_id=receiver.id, since=now)],
    )


def _copy_of_follow_up(head: FollowUp, copy: CaseFile, chosen: set[str]) -> FollowUp:
    return FollowUp(
        org_id=copy.org_id,
        id=new_id(),
        version=1,
        case_id=copy.id,
        author_id=copy.created_by,
        occurred_at=utc(head.occurred_at),
        recorded_at=copy.created_at,
        texts=[
            FollowUpText(compartment=text.compartment, record=text.record)
            for text in head.texts
            if text.compartment in chosen
        ],
    )


@app.post("/api/v1/sessions", status_code=201)
async def create_session(request: Request, credentials: Credentials) -> SessionBegun:
    async with request.app.state.sessions() as db:
        query = select(Account).where(Account.login == credentials.login, Account.active)
        found = (await db.execute(query)).scalar_one_or_none()
    if found is None or not await password_is_async(found.password_hash, credentials.password):
        raise HTTPException(UNAUTHORISED)
    token, row = new_token()
    now = datetime.now(UTC)
    async with request.app.state.sessions() as db, db.begin():
        db.add(
            Session(
                id=row,
                org_id=found.org_id,
                account_id=found.id,
                member_id=None,
                seen_at=now,
                expires_at=now + ABSOLUTE,
            )
        )
    return SessionBegun(token=token, needs=["totp"], expires_at=now + ABSOLUTE)


@app.post("/api/v1/sessions/current/second-factor")
async def give_second_factor(
    db: Db, factor: SecondFactor, authorization: Annotated[str, Header()] = ""
) -> FactorGiven:
    now = datetime.now(UTC)
    pending = await find_session(db, authorization, now)
    # The row is locked: two requests with one code cannot both pass.
    query = select(Account).where(Account.org_id == pending.org_id, Account.id == pending.account_id)
    found = (await db.execute(query.with_for_update())).scalar_one()
    step = accepted_step(found.totp_seed, factor.code, found.totp_step, now)
    if step is None:
        raise HTTPException(UNAUTHORISED)
    found.totp_step = step
    members = select(Membership.id).where(
        Membership.org_id == pending.org_id, Membership.account_id == pending.account_id
    )
    pending.member_id = (await db.execute(members)).scalar_one()
    return FactorGiven(needs=[])


def make_app(url: URL) -> FastAPI:
    engine = make_engine(url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app.router.lifespan_context = lifespan
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    return app
