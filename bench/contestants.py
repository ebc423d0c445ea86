"""Who is measured: casework and its twins, each with a database of its own per engine."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from sqlalchemy import URL, make_url

from bench.actions import Asker
from bench.deployed import SERVE, Urls, deploy, environment
from bench.place import Place
from bench.processes import Server, python
from bench.report import CASEWORK, TWINS
from bench.scale import Scale
from bench.twins.filling import fill
from bench.twins.population import Population, populate
from tests.postgres import Cluster


class Engine(Protocol):
    """Makes databases of one engine."""

    def casework_urls(self, folder: Path) -> Urls: ...

    def owner_url(self, folder: Path, name: str) -> URL: ...

    def service_url(self, owner: URL) -> URL: ...


class Sqlite:
    """A file of each contestant's own."""

    def casework_urls(self, folder: Path) -> Urls:
        database = make_url(f"sqlite:///{folder / 'data' / 'casework.db'}")
        return Urls(database, database, database, make_url(f"sqlite:///{folder / 'data' / 'shreds.db'}"))

    def owner_url(self, folder: Path, name: str) -> URL:
        return make_url(f"sqlite:///{folder / name}.db")

    def service_url(self, owner: URL) -> URL:
        return owner


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of each contestant's own in one server, on a disk and with the defaults for durability."""

    cluster: Cluster

    def casework_urls(self, folder: Path) -> Urls:
        del folder
        self.cluster.sql("CREATE DATABASE casework OWNER casework_owner")
        self.cluster.sql("CREATE DATABASE shreds OWNER casework_app")
        url = self.cluster.url
        return Urls(
            url("casework"),
            url("casework", "casework_owner"),
            url("casework", "casework_integrator"),
            url("shreds"),
        )

    def owner_url(self, folder: Path, name: str) -> URL:
        del folder
        self.cluster.sql(f"CREATE DATABASE {name} OWNER casework_owner")
        return self.cluster.url(name, "casework_owner")

    def service_url(self, owner: URL) -> URL:
        return owner.set(username="casework_app")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server that runs, and a client that knows its people."""

    name: str
    server: Server
    asker: Asker


@contextmanager
def contestants(engine: Engine, folder: Path, scale: Scale) -> Iterator[list[Contestant]]:
    """Make every database, start every server, and stop them all at the end."""
    folder.mkdir()
    servers: list[Server] = []
    try:
        started = [_casework(engine, folder, scale)]
        servers.append(started[0].server)
        population = populate(scale)
        for name in TWINS:
            owner = engine.owner_url(folder, name)
            _fill(name, owner, population, scale)
            url = engine.service_url(owner).render_as_string()
            port = free_port()
            command = [*python(), "-m", "bench.twins.serving", name, url, str(port)]
            servers.append(Server(command, port, folder / f"{name}.log"))
            started.append(
                Contestant(name, servers[-1], Asker(_copy(population.place), hands_over_in_one=True))
            )
        yield started
    finally:
        for server in servers:
            server.stop()


def _casework(engine: Engine, folder: Path, scale: Scale) -> Contestant:
    home = folder / CASEWORK
    home.mkdir()
    urls = engine.casework_urls(home)
    place = deploy(home, urls, scale)
    port = free_port()
    server = Server([*SERVE, "--port", str(port)], port, folder / f"{CASEWORK}.log", environment(home, urls))
    return Contestant(CASEWORK, server, Asker(place, hands_over_in_one=False))


def _fill(name: str, owner: URL, population: Population, scale: Scale) -> None:
    if name != "drf":
        fill(owner, population.rows)
        return
    # Django's settings are a process's own, so another process fills.
    size = msgspec.json.encode(scale).decode()
    command = [*python(), "-m", "bench.twins.drf.filling", owner.render_as_string(), size]
    subprocess.run(command, check=True)


def _copy(place: Place) -> Place:
    return Place(place.logins, place.cases, place.long_cases, place.names)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
