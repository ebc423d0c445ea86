"""The fixture `centre`: a running service on the engine under test."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from casework.sqlite import sessions_file
from tests.casework.centre import Centre, Foundation, Urls, found_centre, open_centre
from tests.conftest import TEMPLATE, RunningCluster


@pytest.fixture(scope="session")
def sqlite_foundation(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Foundation:
    folder = tmp_path_factory.mktemp("foundation")
    shutil.copy(sqlite_template, folder / "casework.db")
    shutil.copy(sessions_file(sqlite_template), sessions_file(folder / "casework.db"))
    return asyncio.run(found_centre(folder, make_url(f"sqlite:///{folder / 'casework.db'}")))


@pytest.fixture(scope="session")
def postgresql_foundation(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Foundation, str]]:
    name = f"f_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    folder = tmp_path_factory.mktemp("foundation")
    yield asyncio.run(found_centre(folder, cluster.url(name, "casework_owner"))), name
    cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def founded(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Path, Foundation, Urls]]:
    """A copy of the founded databases for one test: its folder, the foundation, where everything is."""
    folder = tmp_path / "centre"
    folder.mkdir()
    if engine_name == "sqlite":
        foundation: Foundation = request.getfixturevalue("sqlite_foundation")
        path = folder / "casework.db"
        shutil.copy(foundation.folder / "casework.db", path)
        shutil.copy(sessions_file(foundation.folder / "casework.db"), sessions_file(path))
        url = make_url(f"sqlite:///{path}")
        yield folder, foundation, Urls(url, url, url, make_url(f"sqlite:///{folder / 'shreds.db'}"))
        return
    cluster: RunningCluster = request.getfixturevalue("cluster")
    foundation, template = request.getfixturevalue("postgresql_foundation")
    name, shreds = f"t_{uuid4().hex}", f"s_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    cluster.order(f"CREATE DATABASE {shreds} OWNER casework_app STRATEGY file_copy")
    yield (
        folder,
        foundation,
        Urls(
            cluster.url(name),
            cluster.url(name, "casework_owner"),
            cluster.url(name, "casework_integrator"),
            cluster.url(shreds),
        ),
    )
    for database in (name, shreds):
        cluster.order(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
async def centre(founded: tuple[Path, Foundation, Urls]) -> AsyncIterator[Centre]:
    async for opened in _live(*founded):
        yield opened


async def _live(folder: Path, foundation: Foundation, urls: Urls) -> AsyncIterator[Centre]:
    """Keep the centre open in a task of its own: the app's lifespan must end in the task that began it."""
    opened: asyncio.Future[Centre] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def live() -> None:
        async with open_centre(folder, foundation, urls) as centre:
            opened.set_result(centre)
            await done.wait()

    task = asyncio.create_task(live())
    await asyncio.wait([task, opened], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield await opened
    done.set()
    await task
