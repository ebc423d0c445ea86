"""Deciding, and listing a million cases: casework against pycasbin and against Python written by hand.

Decisions are seconds of CPU of one thread, in memory, in rounds in which all take turns. Lists, counts and the page
of a case are what the service's own statements take on PostgreSQL, with row-level security (the service's login)
and without (the owner's, whom no row policy holds), and, for lists, as one OR of conditions.
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from statistics import median
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Connection, Integer, bindparam, select
from sqlalchemy.util import await_only

from bench import by_hand, million
from bench.report import table
from bench.results import Machine
from casework import case_queries
from casework.cases.tables import case_file
from casework.clock import Clock
from casework.column_types import Id
from casework.database import UnitOfWork
from casework.facts import MEMBER, NOW, case_facts, matches_any
from casework.postgres import PostgresDatabase
from casework.statements import HotStatement
from policies.engine import Engine
from policies.facts import ALL_CASE_FACTS, Asker, Context
from policies.filters import Cube
from policies.vocabulary import READ, Action, Group, Profession, Purpose, Role
from tests.postgres import Cluster

MARKERS = ("<!-- deciding:begin -->", "<!-- deciding:end -->")
CASEWORK, CASBIN, HAND = "casework", "pycasbin", "by hand"
ROUNDS, REPEATS = 9, 2_000
LIST_ROUNDS, LIST_REPEATS = 7, 12
_MILLISECOND = 1_000
ORGS = ("avec", "cidff", "planning", "med")
# What policies.md promises: µs, and ms in the database.
GOALS_US = {"hit": 2.0, "miss": 1_000.0, "page": 20.0, "start": 250_000.0}
LIST_GOAL_MS = 1.0
_WORDS = {
    "hit": "one decision that was asked before",
    "miss": "one that was not",
    "page": "the six decisions of a case page, asked before",
    "start": "begin: read, check and parse an organisation's policies",
}
_PAGE = (Action.CASE_LIST, *(READ[group] for group in list(Group)[:5]))
_WORKER = Asker(org="avec", role=Role.WORKER, professions=frozenset({Profession.SOCIAL}), active=True)
_RECEPTION = Asker(org="avec", role=Role.RECEPTION, professions=frozenset(), active=True)
_DAY = Context(
    mfa=True, step_up=False, reason=False, device=True, hours=True, self_target=False, purpose=Purpose.SUPPORT
)
_WITH, _WITHOUT, _AS_ONE_OR = "RLS on", "RLS off", "RLS on, as one OR"
# The slow one: half a second for the newcomer.
_REPEATS_OF = {_AS_ONE_OR: 2}
_LOGINS = {_WITH: "casework_app", _WITHOUT: "casework_owner"}
_ASKERS = {
    "a worker with 2,000 cases and a team of 15,000": (_WORKER, 1),
    "a newcomer with three cases": (_WORKER, 0),
    "the front desk, which lists all but restricted ones": (_RECEPTION, 2),
}

Decide = Callable[[Asker, Action, Any, Context], object]


class Asked(Struct, frozen=True):
    """µs of CPU by contestant; who has no memory takes as long for a hit as for a miss."""

    name: str
    us: dict[str, float]


class Listed(Struct, frozen=True):
    """A statement: how many rows it gave; by setting ms by the clock of the client, and ms of running it in the
    database (planning left out: plans are kept).
    """

    name: str
    rows: int
    clock_ms: dict[str, float]
    database_ms: dict[str, float]


class Deciding(Struct, frozen=True):
    """One run."""

    made_at: datetime
    machine: Machine
    rounds: int
    cases: int
    asked: list[Asked]
    listed: list[Listed]


def measure(cluster: Cluster, machine: Machine, cases: int = million.CASES) -> Deciding:
    asyncio.run(million.fill(cluster, "million", cases))
    asked = _asked()
    listed = asyncio.run(_listed(cluster))
    return Deciding(datetime.now(UTC), machine, ROUNDS, cases, asked, listed)


def section(found: Deciding) -> str:
    """What README holds between this section's markers."""
    settings = [_WITH, _WITHOUT, _AS_ONE_OR]
    return "\n\n".join(
        (
            f"Made by `make bench BENCH_FLAGS=--policies` on {found.made_at:%Y-%m-%d}: {found.machine.processor}, "
            f"{found.machine.cores} cores, Python {found.machine.python}, {found.machine.postgresql}. "
            f"Decisions: CPU, medians of {found.rounds} rounds in which all take turns; pycasbin and Python by "
            "hand know the rules of `case.list` and `case.read.*` alone, casework all of an organisation's.",
            table(
                ["decision", CASEWORK, CASBIN, HAND, "goal"],
                [
                    [
                        _WORDS[one.name],
                        *(_us(one.us.get(name)) for name in (CASEWORK, CASBIN, HAND)),
                        f"≤ {_us(GOALS_US[one.name])}",
                    ]
                    for one in found.asked
                ],
            ),
            f"Lists on PostgreSQL with {found.cases:,} cases: milliseconds in the database, in brackets by the "
            f"clock of the service's driver, medians. Goal of a page: ≤ {LIST_GOAL_MS:g} ms in the database.",
            table(
                ["asked", "rows", *settings],
                [
                    [one.name, f"{one.rows:,}", *(_ms(one, setting) for setting in settings)]
                    for one in found.listed
                ],
            ),
        )
    )


def _us(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.3g} µs" if value < _MILLISECOND else f"{value / _MILLISECOND:.3g} ms"


def _ms(one: Listed, setting: str) -> str:
    if setting not in one.database_ms:
        return "—"
    return f"{one.database_ms[setting]:.3g} ({one.clock_ms[setting]:.3g})"


def _asked() -> list[Asked]:
    casbin, engine = _casbin(), Engine.load("avec", ORGS)
    decide: dict[str, Decide] = {CASEWORK: engine.decide_case, CASBIN: casbin, HAND: by_hand.may}
    _hold_to_cedar(engine, casbin)
    state = ALL_CASE_FACTS[1]
    hit = {name: _repeated(one, [READ[Group.SOCIAL]], state) for name, one in decide.items()}
    page = {name: _repeated(one, _PAGE, state) for name, one in decide.items()}
    found = [
        Asked("hit", _turns(hit, {CASBIN: REPEATS // 40})),
        Asked("miss", _turns({CASEWORK: _missing()}, {CASEWORK: 40})),
        Asked("page", _turns(page, {CASBIN: REPEATS // 200})),
        Asked("start", _turns({CASEWORK: lambda: Engine.load("avec", ORGS), CASBIN: _casbin}, _FEW)),
    ]
    # Who remembers nothing misses each time.
    found[1].us.update({name: found[0].us[name] for name in (CASBIN, HAND)})
    return found


_FEW = {CASEWORK: 1, CASBIN: 1}


def _repeated(decide: Decide, actions: tuple[Action, ...] | list[Action], state: Any) -> Callable[[], None]:
    def act() -> None:
        for action in actions:
            decide(_WORKER, action, state, _DAY)

    return act


def _missing() -> Callable[[], None]:
    """Of an engine that begins: no question comes twice."""
    questions: Iterator[tuple[Action, Any]] = iter(())
    engine = Engine.load("avec", ORGS)

    def act() -> None:
        nonlocal questions, engine
        question = next(questions, None)
        if question is None:
            engine = Engine.load("avec", ORGS)
            questions = itertools.product(_PAGE, ALL_CASE_FACTS)
            question = next(questions)
        action, state = question
        engine.decide_case(_WORKER, action, state, _DAY)

    return act


def _turns(acts: Mapping[str, Callable[[], object]], repeats: Mapping[str, int]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in acts}
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for name, act in acts.items():
                times = repeats.get(name, REPEATS)
                began = time.process_time_ns()
                for _ in range(times):
                    act()
                taken[name].append((time.process_time_ns() - began) / times / 1_000)
    finally:
        gc.enable()
    return {name: median(rounds) for name, rounds in taken.items()}


def _casbin() -> Decide:
    import casbin  # type: ignore[import-not-found,unused-ignore]  # Only the bench's environment has it.

    model = casbin.Model()
    model.load_model_from_text(by_hand.CASBIN_MODEL)
    enforcer = casbin.Enforcer(model)
    for line in by_hand.casbin_lines():
        enforcer.add_policy(*line)
    return lambda asker, action, state, context: enforcer.enforce(asker, str(action), state, context)


class RulesDiffer(Exception):
    """A contestant decides otherwise than Cedar: what it takes would be no comparison."""


def _hold_to_cedar(engine: Engine, casbin: Decide) -> None:
    draw = Random(6)
    for _ in range(200):
        asker, action = draw.choice((_WORKER, _RECEPTION)), draw.choice(by_hand.READING)
        state = draw.choice(ALL_CASE_FACTS)
        decided = engine.decide_case(asker, action, state, _DAY).allowed
        if decided is not bool(casbin(asker, action, state, _DAY)):
            raise RulesDiffer(action)
        if decided is not bool(by_hand.may(asker, action, state, _DAY)):
            raise RulesDiffer(action)


async def _listed(cluster: Cluster) -> list[Listed]:
    """Each statement of each asker in turn, with row-level security and without, round after round."""
    databases = {
        setting: PostgresDatabase(
            cluster.url("million", login), cluster.url("million", "casework_integrator"), Clock()
        )
        for setting, login in _LOGINS.items()
    }
    databases[_AS_ONE_OR] = databases[_WITH]
    try:
        return [
            Listed(
                name,
                *await _measured(
                    {setting: (databases[setting], statement) for setting, statement in statements.items()},
                    values,
                ),
            )
            for name, statements, values in _statements(cluster)
        ]
    finally:
        for setting in _LOGINS:
            await databases[setting].stop()


def _statements(cluster: Cluster) -> Iterator[tuple[str, dict[str, HotStatement], dict[str, Any]]]:
    engine = Engine.load("avec", ORGS)
    for who, (asker, number) in _ASKERS.items():
        cubes = engine.list_filter(asker, Action.CASE_LIST, _DAY)
        values = {"org": million.BIG, "member": million.member(number), "now": datetime.now(UTC), "limit": 51}
        page = case_queries._page_of(cubes, "postgresql", 51, by_status=False, continued=False)  # noqa: SLF001
        count = case_queries._count_of(cubes, "postgresql", by_status=False)  # noqa: SLF001
        both = (_WITH, _WITHOUT)
        yield f"a page of 50: {who}", {**dict.fromkeys(both, page), _AS_ONE_OR: _one_or(cubes)}, values
        yield f"counted up to 1,000: {who}", dict.fromkeys(both, count), values
    newest = cluster.sql(
        f"SELECT max(case_id::text) FROM assignment WHERE org_id = '{million.BIG}'"
        f" AND member_id = '{million.member(1)}'",
        "million",
    )
    case = {
        "org": million.BIG,
        "member": million.member(1),
        "now": datetime.now(UTC),
        "case": UUID(newest.strip()),
    }
    yield (
        "the page of a case: its facts and eight groups",
        dict.fromkeys((_WITH, _WITHOUT), case_queries.LOAD),
        case,
    )


def _one_or(cubes: tuple[Cube, ...]) -> HotStatement:
    facts = case_facts(MEMBER, NOW)
    return HotStatement(
        select(case_file.c.id, case_file.c.status, *(facts[fact].label(fact) for fact in facts))
        .where(case_file.c.org_id == bindparam("org", type_=Id), matches_any(cubes, facts))
        .order_by(case_file.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
    )


async def _measured(
    contestants: Mapping[str, tuple[PostgresDatabase, HotStatement]], values: dict[str, Any]
) -> tuple[int, dict[str, float], dict[str, float]]:
    """Rows, and by setting the medians of ms by the clock and in the database."""
    clock: dict[str, list[float]] = {}
    inside: dict[str, list[float]] = {}
    rows = 0
    for _ in range(LIST_ROUNDS):
        for setting, (database, statement) in contestants.items():

            def act(unit: UnitOfWork, statement: HotStatement = statement, setting: str = setting) -> int:
                unit.enter_organisation(million.BIG)
                found = 0
                for _ in range(_REPEATS_OF.get(setting, LIST_REPEATS)):
                    began = time.perf_counter()
                    found = len(statement.rows(unit.connection, values))
                    clock.setdefault(setting, []).append((time.perf_counter() - began) * 1_000)
                    inside.setdefault(setting, []).append(
                        _in_the_database(unit.connection, statement, values)
                    )
                return found

            rows = max(rows, await database.unit(act))
    return (
        rows,
        {name: median(taken) for name, taken in clock.items()},
        {n: median(t) for n, t in inside.items()},
    )


def _in_the_database(connection: Connection, statement: HotStatement, values: dict[str, Any]) -> float:
    """Milliseconds of running it, as PostgreSQL counts them itself."""
    prepared = statement._for(connection.dialect)  # noqa: SLF001
    driver: Any = connection.connection.driver_connection
    explained = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {prepared._text}"  # noqa: SLF001
    [[plan]] = await_only(driver.fetch(explained, *prepared._arguments(values)))  # noqa: SLF001
    return float(plan[0]["Execution Time"])
