"""`place`: an empty place for a deployment; `founded`: one with two organisations; both on each engine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.casework.commands.place import AVEC, CIDFF, NAME, Place, server_urls
from tests.conftest import RunningCluster


@pytest.fixture
def place(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Nothing but settings; on PostgreSQL two empty databases."""
    if engine_name == "sqlite":
        yield Place(tmp_path)
        return
    cluster: RunningCluster = request.getfixturevalue("cluster")
    main, shreds = f"c_{uuid4().hex}", f"s_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {main} OWNER casework_owner STRATEGY file_copy")
    cluster.order(f"CREATE DATABASE {shreds} OWNER casework_app STRATEGY file_copy")
    yield Place(tmp_path, server_urls(cluster, main, shreds))
    for name in (main, shreds):
        cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    original = Place(tmp_path_factory.mktemp("founded"))
    _found(original)
    return original


@pytest.fixture(scope="session")
def postgresql_original(
    tmp_path_factory: pytest.TempPathFactory, cluster: RunningCluster
) -> Iterator[tuple[Place, str, str]]:
    main, shreds = f"c_{uuid4().hex}", f"s_{uuid4().hex}"
    cluster.order(f"CREATE DATABASE {main} OWNER casework_owner STRATEGY file_copy")
    cluster.order(f"CREATE DATABASE {shreds} OWNER casework_app STRATEGY file_copy")
    original = Place(tmp_path_factory.mktemp("founded"), server_urls(cluster, main, shreds))
    _found(original)
    yield original, main, shreds
    for name in (main, shreds):
        cluster.order(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def founded(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A copy of a deployment with AVEC, where each compartment has two holders, and CIDFF, where none has."""
    folder = tmp_path / "copy"
    if engine_name == "sqlite":
        original: Place = request.getfixturevalue("sqlite_original")
        shutil.copytree(original.folder, folder)
        yield Place(folder)
        return
    cluster: RunningCluster = request.getfixturevalue("cluster")
    original, main, shreds = request.getfixturevalue("postgresql_original")
    shutil.copytree(original.folder, folder)
    copies = {main: f"c_{uuid4().hex}", shreds: f"s_{uuid4().hex}"}
    for source, copy in copies.items():
        owner = "casework_owner" if source == main else "casework_app"
        cluster.order(f"CREATE DATABASE {copy} OWNER {owner} TEMPLATE {source} STRATEGY file_copy")
    yield Place(folder, server_urls(cluster, copies[main], copies[shreds]))
    for copy in copies.values():
        cluster.order(f"DROP DATABASE {copy} WITH (FORCE)")


def _found(place: Place) -> None:
    for ran in (place.run("init", "--name", NAME), place.found("avec", AVEC), place.found("cidff", CIDFF)):
        assert ran.code == 0, ran
    place.integrate()
