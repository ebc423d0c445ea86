"""Performing a call as one actor, and everything that can be observed of it: the answer, the journal, the rows."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from sqlalchemy import URL, Connection, Table

from audit.tables import entry, inbox
from casework import postgres
from casework.database import metadata
from casework.shreds import shreds_metadata
from tests.casework.administrator import Administrator
from tests.casework.centre import CANARY, Centre, assert_problem
from tests.journeys.matrix.actors import Things
from tests.journeys.matrix.cells import Call, Cell

# Tables that a refused attempt may write, each for a reason. The journal, the sessions and the
# counters of tries are not looked at.
MAY_CHANGE = {"idempotency": "the memory of a key is rolled back with the refusal, and swept when it is read"}
# Entries that are written before it is proved who she is, or that no member's act is.
UNNAMED = {"session.create", "renewal.take_up", "erasure.complete"}
T = TypeVar("T")
_TABLES = [table for table in metadata.sorted_tables if table.name not in MAY_CHANGE]
_TEXT = re.compile(rf"{CANARY}-(\w+)-(\w+)")


@dataclass(frozen=True)
class Seen:
    """What came of one call: in the words of a cell, whom her own log's entries name, and which tables changed."""

    cell: Cell
    answer: httpx.Response
    named: frozenset[tuple[str, str | None]]
    changed: tuple[str, ...]


class Observer:
    """Watches one centre from beside the service: which entries are new, which rows changed."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._main = _Window(Administrator(centre.urls.owner).url)
        self._shreds = _Window(centre.urls.shreds)
        self._known: set[bytes] = set()
        self._rows: dict[str, object] = {}

    async def begin(self) -> None:
        """Whatever happened by now is no actor's doing."""
        await self._look()

    async def end(self) -> None:
        for window in (self._main, self._shreds):
            await window.close()

    async def perform(self, method: str, call: Call, token: str | None, at: Things) -> Seen:
        """Send a call with the actor's token, and see what came of it."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        body = {"json": call.json} if call.json is not None else {}
        answer = await self._centre.http.request(
            method, call.path, params=call.params, headers={**headers, **call.headers}, **body
        )
        entries, changed = await self._look()
        slug = at.login.partition(".")[0]
        own = [found for found in entries if found["log"].endswith(f"/{slug}")]
        named = frozenset(
            (found["action"], found["actor"]) for found in own if found["action"] not in UNNAMED
        )
        lines = tuple(sorted(_line(found, slug) for found in entries))
        return Seen(_as_cell(answer, lines, at), answer, named, changed)

    async def _look(self) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """The entries that were not there before, and the tables that are not as they were."""
        raw, rows = await self._main.run(
            lambda connection: (_entries(connection), _contents(connection, _TABLES))
        )
        rows |= await self._shreds.run(
            lambda connection: _contents(connection, shreds_metadata.sorted_tables)
        )
        new = [json.loads(one) for one in raw - self._known]
        self._known |= raw
        changed = tuple(table for table in rows if rows[table] != self._rows.get(table))
        self._rows = rows
        return new, changed


class _Window:
    """One connection for all the looks: on PostgreSQL a new one for each would cost more than all the calls."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = postgres.make_engine(url, pool_size=1) if url.get_backend_name() != "sqlite" else None

    async def run(self, work: Callable[[Connection], T]) -> T:
        if self._engine is None:
            return await Administrator(self._url).run(work)
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()


def _entries(connection: Connection) -> set[bytes]:
    """Those that wait and those in the logs: one statement, for the integrator moves them meanwhile."""
    query = f"SELECT entry FROM {inbox.name} UNION ALL SELECT bytes FROM {entry.name}"
    return {bytes(one) for one in connection.exec_driver_sql(query).scalars()}


def _contents(connection: Connection, tables: Iterable[Table]) -> dict[str, object]:
    """Of each table what compares equal as long as its rows are the same: on PostgreSQL in one statement."""
    if connection.dialect.name == "postgresql":
        digests = " UNION ALL ".join(
            f"SELECT '{table.name}', md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table.name} AS t"
            for table in tables
        )
        return {row[0]: row[1] for row in connection.exec_driver_sql(digests)}
    # As the driver gives the rows: nothing here needs their meaning.
    driver = connection.connection.driver_connection
    assert driver is not None
    return {table.name: frozenset(driver.execute(f"SELECT * FROM {table.name}")) for table in tables}


def _line(found: dict[str, Any], own: str) -> str:
    _, _, slug = found["log"].partition("/")
    place = "" if slug == own else f"{slug or 'deployment'}: "
    reason = f" {found['outcome']} {found['reason']}" if found["outcome"] != "allowed" else ""
    return f"{place}{found['action']}{reason}"


def _as_cell(answer: httpx.Response, journal: tuple[str, ...], at: Things) -> Cell:
    if answer.is_error:
        code = answer.json().get("code")
        assert_problem(answer, answer.status_code, code)
        return Cell(answer.status_code, journal, code)
    seen = {f"{'target' if tag == at.tag else tag} {group}" for tag, group in _TEXT.findall(answer.text)}
    is_json = "json" in answer.headers.get("content-type", "")
    fields = _fields(answer.json()) if is_json else frozenset[str]()
    return Cell(answer.status_code, journal, sees=frozenset(seen), fields=fields)


def _fields(body: Any) -> frozenset[str]:
    """The names in an answer, and as "items.name" those of all that it lists."""
    items = body.get("items", [])
    return frozenset(body) | {f"items.{name}" for item in items for name in item}
