"""The story, told once for each engine, and copies of it that a test may spoil."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.casework.centre import Centre, Foundation, Urls, open_centre
from tests.conftest import RunningCluster
from tests.journeys.matrix.story import Told, tell


@dataclass(frozen=True)
class Closed:
    """A centre that is not running: what stands in its folder, and on PostgreSQL the names of its databases."""

    foundation: Foundation
    cluster: RunningCluster | None = None
    database: str = ""
    shreds: str = ""

    def copy(self, folder: Path) -> "Closed":
        """Its databases once more, for a centre that will stand in `folder`."""
        folder.mkdir()
        if self.cluster is None:
            for path in self.foundation.folder.glob("*.db*"):
                shutil.copy(path, folder / path.name)
            return Closed(Foundation(folder, self.foundation.founded))
        database, shreds = f"t_{uuid4().hex}", f"s_{uuid4().hex}"
        self.cluster.order(f"CREATE DATABASE {database} TEMPLATE {self.database} STRATEGY file_copy")
        of = f"TEMPLATE {self.shreds}" if self.shreds else ""
        self.cluster.order(f"CREATE DATABASE {shreds} OWNER casework_app {of} STRATEGY file_copy")
        return Closed(Foundation(folder, self.foundation.founded), self.cluster, database, shreds)

    def urls(self) -> Urls:
        folder = self.foundation.folder
        if self.cluster is None:
            url = make_url(f"sqlite:///{folder / 'casework.db'}")
            return Urls(url, url, url, make_url(f"sqlite:///{folder / 'shreds.db'}"))
        return Urls(
            self.cluster.url(self.database),
            self.cluster.url(self.database, "casework_owner"),
            self.cluster.url(self.database, "casework_integrator"),
            self.cluster.url(self.shreds),
        )

    def drop(self) -> None:
        if self.cluster is not None:
            for name in (self.database, self.shreds):
                self.cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Chronicle:
    """The story and the centre in which it happened, closed. `copies` is where copies of it are put."""

    told: Told
    closed: Closed
    copies: Path

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[Centre]:
        """A copy of the centre at the moment at which the story ends, with everybody's session still live."""
        copied = self.closed.copy(self.copies / uuid4().hex)
        async with open_centre(copied.foundation.folder, self.closed.foundation, copied.urls()) as centre:
            # A step-up lasts five minutes, and this may be read much later.
            centre.clock.offset = self.told.moment - centre.clock.now()
            centre._steps.update(self.told.steps)
            yield centre
        copied.drop()


@pytest.fixture(scope="session")
def sqlite_chronicle(sqlite_foundation: Foundation, tmp_path_factory: pytest.TempPathFactory) -> Chronicle:
    return asyncio.run(_write(Closed(sqlite_foundation), tmp_path_factory.mktemp("story")))


@pytest.fixture(scope="session")
def postgresql_chronicle(
    cluster: RunningCluster,
    postgresql_foundation: tuple[Foundation, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chronicle]:
    foundation, name = postgresql_foundation
    chronicle = asyncio.run(_write(Closed(foundation, cluster, name), tmp_path_factory.mktemp("story")))
    yield chronicle
    chronicle.closed.drop()


@pytest.fixture
def chronicle(engine_name: str, request: pytest.FixtureRequest) -> Chronicle:
    found: Chronicle = request.getfixturevalue(f"{engine_name}_chronicle")
    return found


async def _write(founded: Closed, folder: Path) -> Chronicle:
    closed = founded.copy(folder / "told")
    async with open_centre(closed.foundation.folder, founded.foundation, closed.urls()) as centre:
        told = await tell(centre)
    return Chronicle(told, closed, folder)
