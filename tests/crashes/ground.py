"""`ground`: a founded centre for a real service, with nobody else on its files or its server, on each engine."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from casework.schema import migrate
from casework.shreds import ShredStore
from casework.sqlite import sessions_file
from tests.casework.administrator import Administrator
from tests.casework.centre import Foundation, found_centre
from tests.postgres import Cluster, find_binaries


@dataclass
class Ground:
    """Where a real service stands: its files or its server, and who kills its database."""

    folder: Path
    foundation: Foundation
    urls: Mapping[str, URL]
    administrator: Administrator
    cluster: Cluster | None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CASEWORK_DATA_DIR": str(self.folder / "data"),
            "CASEWORK_STATE_DIR": str(self.folder / "state"),
            "CASEWORK_PEPPER_FILE": str(self.folder / "pepper"),
            **{name: url.render_as_string() for name, url in self.urls.items()},
        }


async def _make_shreds(url: URL) -> None:
    store = ShredStore(url)
    await store.create()
    await store.dispose()


@pytest.fixture
def ground(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A founded centre with nobody else on its files or its server."""
    if engine_name == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        (tmp_path / "data").mkdir()
        path = tmp_path / "data" / "casework.db"
        shutil.copy(template, path)
        shutil.copy(sessions_file(template), sessions_file(path))
        foundation = asyncio.run(found_centre(tmp_path, make_url(f"sqlite:///{path}")))
        asyncio.run(_make_shreds(make_url(f"sqlite:///{tmp_path / 'data' / 'shreds.db'}")))
        yield Ground(tmp_path, foundation, {}, Administrator(make_url(f"sqlite:///{path}")), None)
        return
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries were found")
    cluster = Cluster(binaries)
    try:
        cluster.sql("CREATE DATABASE centre OWNER casework_owner")
        cluster.sql("CREATE DATABASE shreds OWNER casework_app")
        owner = cluster.url("centre", "casework_owner")
        asyncio.run(migrate(owner))
        (tmp_path / "data").mkdir()
        foundation = asyncio.run(found_centre(tmp_path, owner))
        asyncio.run(_make_shreds(cluster.url("shreds")))
        urls = {
            "CASEWORK_DATABASE_URL": cluster.url("centre"),
            "CASEWORK_OWNER_URL": owner,
            "CASEWORK_INTEGRATOR_URL": cluster.url("centre", "casework_integrator"),
            "CASEWORK_SHRED_URL": cluster.url("shreds"),
        }
        yield Ground(tmp_path, foundation, urls, Administrator(owner), cluster)
    finally:
        cluster.stop()
