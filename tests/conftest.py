"""Both engines for every test that asks for a database, and no silent skip.

One PostgreSQL server is started in the controller process; each test gets a database of its own, copied from a
migrated template. `--forbid-skips` turns every skip into a failure of the run.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from casework.clock import Clock
from casework.database import Database
from casework.postgres import PostgresDatabase
from casework.schema import migrate
from casework.sqlite import SqliteDatabase, sessions_file
from tests.compiled import compile_once
from tests.postgres import Cluster, Orders, find_binaries

TEMPLATE = "casework_template"
MEMORY = Path("/dev/shm")
# A run leaves some dozens of MB; a full one would fail in ways that say nothing of the code.
ROOMY = 4 << 30
# Where tests take minutes.
LONG = {"crashes", "contract"}
_CLUSTER = pytest.StashKey[Cluster]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forbid-skips", action="store_true", help="fail the run if any test was skipped")


def pytest_configure(config: pytest.Config) -> None:
    compile_once()
    if hasattr(config, "workerinput"):
        return
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOMY:
        # Half of what SQLite's tests take is waiting for a disk to sync what is thrown away.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    binaries = find_binaries()
    if binaries is None:
        os.environ.pop("CASEWORK_TEST_CLUSTER", None)
        return
    cluster = Cluster(binaries)
    config.stash[_CLUSTER] = cluster
    os.environ["CASEWORK_TEST_CLUSTER"] = str(cluster.directory)
    os.environ["CASEWORK_TEST_PG_BINARIES"] = str(binaries)
    cluster.sql(f"CREATE DATABASE {TEMPLATE} OWNER casework_owner")
    asyncio.run(migrate(cluster.url(TEMPLATE, "casework_owner")))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, whatever order was drawn: as the last they would leave a worker idle for minutes."""
    items.sort(key=lambda item: not LONG & set(item.path.parts))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLUSTER in config.stash:
        config.stash[_CLUSTER].stop()


_skips: list[str] = []
_untried: list[str] = []
# What a test records as a property of this name, it could not try yet: the summary says so.
NOT_TRIED = "not tried"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _untried.extend(
            f"{report.nodeid}: {what}" for name, what in report.user_properties if name == NOT_TRIED
        )
    if report.skipped and not hasattr(report, "wasxfail"):
        _skips.append(f"{report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else ''}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--forbid-skips") and _skips and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for untried in _untried:
        terminalreporter.write_line(f"NOT TRIED: {untried}", red=True, bold=True)
    for skip in _skips:
        terminalreporter.write_line(f"SKIPPED, NOT CHECKED: {skip}", red=True, bold=True)
    if _skips:
        terminalreporter.write_line(f"{len(_skips)} checks were skipped", red=True, bold=True)


class RunningCluster:
    """The controller's server as a worker process sees it."""

    sql = Cluster.sql
    url = Cluster.url
    _run = Cluster._run

    def __init__(self) -> None:
        self.directory = Path(os.environ["CASEWORK_TEST_CLUSTER"])
        self._binaries = Path(os.environ["CASEWORK_TEST_PG_BINARIES"])
        self._orders: Orders | None = None

    def order(self, statement: str) -> None:
        """Do what `sql` does with a statement that answers nothing, in one session for all of them."""
        if self._orders is None:
            self._orders = Orders(self._binaries, self.directory)
        self._orders.give(statement)

    def end(self) -> None:
        if self._orders is not None:
            self._orders.end()


@pytest.fixture(scope="session")
def cluster() -> Iterator[RunningCluster]:
    if "CASEWORK_TEST_CLUSTER" not in os.environ:
        pytest.skip("no PostgreSQL binaries were found")
    running = RunningCluster()
    yield running
    running.end()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database to copy."""
    path = tmp_path_factory.mktemp("template") / "casework.db"
    asyncio.run(migrate(make_url(f"sqlite:///{path}")))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_place(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Path | tuple[RunningCluster, str]]:
    """An empty migrated database: a file's path, or (cluster, database name)."""
    if engine_name == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        path = tmp_path / "casework.db"
        shutil.copy(template, path)
        shutil.copy(sessions_file(template), sessions_file(path))
        yield path
        return
    cluster: RunningCluster = request.getfixturevalue("cluster")
    name = f"t_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {name} OWNER casework_owner TEMPLATE {TEMPLATE} STRATEGY file_copy")
    yield cluster, name
    cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_place: Path | tuple[RunningCluster, str]) -> AsyncIterator[Database]:
    """A started database of the engine under test; `await database.unit(work)` runs a plain function in it."""
    started: Database
    if isinstance(database_place, Path):
        started = SqliteDatabase(database_place, Clock())
    else:
        cluster, name = database_place
        started = PostgresDatabase(cluster.url(name), cluster.url(name, "casework_integrator"), Clock())
    await started.start()
    yield started
    await started.stop()
