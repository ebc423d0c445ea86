"""Writing to the journal on PostgreSQL: entries a second, against a bare INSERT and a global hash chain.

All three write the same number of bytes in units of work of the service, one a transaction, with as many at once as
there are writers. `casework` is what the service does: a lane number, the entry built and checked, the inbox, and
beside it in the same process the integrator and the writer's memory. `bare` inserts bytes that are there already
into a table without anything. `chain` is what a journal is often made of: each entry holds the hash of the one
before it, so each transaction locks the last one until its commit.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

from msgspec import Struct
from sqlalchemy import Column as SqlColumn
from sqlalchemy import LargeBinary, MetaData, Table, bindparam, insert, select, update

from audit.follower import Follower
from audit.integrator import integrate, open_log
from audit.memory import WriterMemory
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from bench.figures import percentile
from bench.report import table
from bench.results import Machine
from casework.clock import Clock
from casework.database import UnitOfWork
from casework.integration import PERIOD_SECONDS
from casework.journal import Deed, Journal, Who
from casework.postgres import PostgresDatabase, make_engine
from casework.schema import migrate
from casework.signers import new_signer
from casework.statements import run_hot
from crypto.signing import verify
from tests.postgres import Cluster

MARKERS = ("<!-- writing:begin -->", "<!-- writing:end -->")
WRITERS = (1, 8, 32)
ROUNDS = 3
SECONDS = 2.0
CASEWORK, BARE, CHAIN = "casework", "bare INSERT", "global hash chain"
_NAME = "bench.example"
_ENTRY_BYTES = 620

_metadata = MetaData()
_bare = Table("bare", _metadata, SqlColumn("entry", LargeBinary, nullable=False))
_chain = Table(
    "chain", _metadata, SqlColumn("hash", LargeBinary, nullable=False), SqlColumn("entry", LargeBinary)
)
_INSERT_BARE = insert(_bare).values(entry=bindparam("entry")).inline()
_INSERT_CHAIN = insert(_chain).values(hash=bindparam("hash"), entry=bindparam("entry")).inline()
_HEAD = Table("chain_head", _metadata, SqlColumn("hash", LargeBinary, nullable=False))
_LOCK_HEAD = select(_HEAD.c.hash).with_for_update()
_SET_HEAD = update(_HEAD).values(hash=bindparam("new"))

Work = Callable[[UnitOfWork], object]


class Written(Struct, frozen=True):
    """One contestant with so many writers: entries a second, the 99th of 100 in ms, both medians of the rounds."""

    writers: int
    name: str
    per_second: float
    p99_ms: float


class Writing(Struct, frozen=True):
    """`of_bare`: casework's entries a second over the bare INSERT's by writers, the median of the rounds."""

    made_at: datetime
    machine: Machine
    rounds: int
    written: list[Written]
    of_bare: dict[str, float]


async def measure(cluster: Cluster, folder: Path, machine: Machine, now: datetime) -> Writing:
    """Every contestant in turn, round after round."""
    async with _contestants(cluster, folder) as (database, works):
        found: dict[tuple[int, str], list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            for writers in WRITERS:
                for name, work in works.items():
                    figures = await _write(database, work, writers)
                    found.setdefault((writers, name), []).append(figures)
    return Writing(
        now,
        machine,
        ROUNDS,
        [
            Written(writers, name, median(rate for rate, _ in rounds), median(p99 for _, p99 in rounds))
            for (writers, name), rounds in found.items()
        ],
        {
            str(writers): median(
                one[0] / other[0]
                for one, other in zip(found[writers, CASEWORK], found[writers, BARE], strict=True)
            )
            for writers in WRITERS
        },
    )


def section(writing: Writing) -> str:
    """What README holds between this section's markers."""
    shown = {(one.writers, one.name): one for one in writing.written}
    rows = [
        [
            str(writers),
            *(
                f"{shown[writers, name].per_second:,.0f} ({shown[writers, name].p99_ms:.1f} ms)"
                for name in _NAMES
            ),
            f"{writing.of_bare[str(writers)]:.0%}",
        ]
        for writers in WRITERS
    ]
    return "\n\n".join(
        (
            f"Made by `make bench BENCH_FLAGS=--writing` on {writing.made_at:%Y-%m-%d}: "
            f"{writing.machine.processor}, {writing.machine.postgresql}; entries a second, in brackets the 99th of "
            "100 commits, medians of "
            f"{writing.rounds} rounds in which all take turns; writers and integrator are one process. The goal is "
            "75 % of a bare INSERT.",
            table(["writers", *_NAMES, "casework of bare"], rows),
        )
    )


_NAMES = (CASEWORK, BARE, CHAIN)


@asynccontextmanager
async def _contestants(
    cluster: Cluster, folder: Path
) -> AsyncIterator[tuple[PostgresDatabase, Mapping[str, Work]]]:
    cluster.sql("CREATE DATABASE writing OWNER casework_owner")
    signer = new_signer(folder, DEPLOYMENT_LOG, _NAME)
    owner = cluster.url("writing", "casework_owner")
    await migrate(owner)
    await migrate(owner, lambda connection: open_log(connection, DEPLOYMENT_LOG, _NAME))
    cluster.sql("CREATE TABLE bare (entry bytea NOT NULL)", "writing")
    cluster.sql("CREATE TABLE chain (hash bytea NOT NULL, entry bytea)", "writing")
    cluster.sql("CREATE TABLE chain_head (hash bytea NOT NULL)", "writing")
    cluster.sql("INSERT INTO chain_head VALUES ('\\x00')", "writing")
    cluster.sql("GRANT SELECT, INSERT, UPDATE ON bare, chain, chain_head TO casework_app", "writing")
    clock = Clock()
    database = PostgresDatabase(cluster.url("writing"), cluster.url("writing", "casework_integrator"), clock)
    await database.engine.dispose()
    database.engine = make_engine(cluster.url("writing"), pool_size=max(WRITERS))
    memory, state, follower = WriterMemory(clock.elapsed), SignerState(folder), Follower(DEPLOYMENT_LOG)
    journal, raw = Journal(_NAME, memory=memory), b"e" * _ENTRY_BYTES

    async def rounds() -> None:
        while True:
            pending = await database.integrate(
                lambda connection: integrate(connection, {DEPLOYMENT_LOG: [signer]}, state, execute=run_hot)
            )
            await asyncio.to_thread(state.publish, [one.checkpoint for one in pending])
            memory.forget(
                await database.inspect(lambda connection: follower.follow(connection, [signer.key], verify))
            )
            await asyncio.sleep(PERIOD_SECONDS)

    integrator = asyncio.create_task(rounds())
    try:
        yield (
            database,
            {
                CASEWORK: lambda unit: journal.record(unit, None, Who(uuid4()), Deed("case.open")),
                BARE: lambda unit: run_hot(unit.connection, _INSERT_BARE, {"entry": raw}),
                CHAIN: lambda unit: _append_to_chain(unit, raw),
            },
        )
    finally:
        integrator.cancel()
        with suppress(asyncio.CancelledError):
            await integrator
        await database.stop()


def _append_to_chain(unit: UnitOfWork, raw: bytes) -> None:
    last = unit.connection.execute(_LOCK_HEAD).scalar_one()
    new = hashlib.sha256(bytes(last) + raw).digest()
    run_hot(unit.connection, _INSERT_CHAIN, {"hash": new, "entry": raw})
    unit.connection.execute(_SET_HEAD, {"new": new})


async def _write(database: PostgresDatabase, work: Work, writers: int) -> tuple[float, float]:
    """Entries a second, and what 99 of 100 took at most in ms."""
    end = time.perf_counter() + SECONDS
    taken: list[float] = []

    async def write() -> None:
        while (began := time.perf_counter()) < end:
            await database.unit(work)
            taken.append(time.perf_counter() - began)

    tasks: list[Awaitable[None]] = [write() for _ in range(writers)]
    began = time.perf_counter()
    await asyncio.gather(*tasks)
    return len(taken) / (time.perf_counter() - began), percentile(taken, 99) * 1_000
