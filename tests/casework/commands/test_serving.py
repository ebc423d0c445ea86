"""`casework serve`: it answers, it stops without loss, and it refuses what is unsafe to serve."""

import json
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import Popen

import httpx
import pytest
from sqlalchemy import Connection, func, select, update

from audit import tables
from casework.organisations.tables import deployment
from tests.casework.commands.place import Place, start
from tests.casework.commands.test_organisations import id_of, read


@contextmanager
def serving(place: Place, *arguments: str) -> Iterator[tuple[Popen[str], str]]:
    """A service that listens, and its address; it is killed if the test did not stop it."""
    process = start("serve", "--port", "0", *arguments, environment=place.environment)
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("{"), first + process.stderr.read()
        line = json.loads(first)
        assert line["event"] == "serving"
        yield process, f"http://127.0.0.1:{line['port']}"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_well_and_leaves_nothing_waiting(founded: Place, number: signal.Signals) -> None:
    with serving(founded) as (process, url):
        refused = httpx.post(
            f"{url}/api/v1/sessions", json={"login": "nobody", "password": "secret words"}, timeout=30
        )
        assert refused.status_code == 401
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["route"] for line in lines if line["event"] == "request"] == ["/api/v1/sessions"]
    assert lines[-1]["event"] == "stopped"
    assert "secret words" not in err
    assert (
        read(founded, lambda connection: connection.execute(select(func.count(tables.inbox.c.seq))).scalar())
        == 0
    )


def test_on_a_stop_every_accepted_request_is_answered_and_each_lane_is_closed(founded: Place) -> None:
    """Sixteen sign-ins wait for two turns of the password function when the signal comes."""
    credentials = {"login": "avec.social", "password": founded.password("avec", "avec.social")}
    with serving(founded) as (process, url), ThreadPoolExecutor(16) as pool:
        assert process.stderr is not None
        answers = [
            pool.submit(httpx.post, f"{url}/api/v1/sessions", json=credentials, timeout=60) for _ in range(16)
        ]
        # The first answer is out, the others are accepted: their line comes when they are answered.
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        statuses = [answer.result().status_code for answer in answers]
        process.communicate(timeout=60)
    assert (statuses, process.returncode) == ([201] * 16, 0)
    entries = read(founded, journal_of("avec", founded))
    assert entries.count("session.create") == 16
    assert entries[-1] == "lane.close"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_disk_that_fills_up_under_the_service_is_survived(founded: Place) -> None:
    """The kernel refuses every write of the process to a file (as a used up quota does), then allows them again."""
    with serving(founded) as (process, url):

        def signs_in() -> int:
            body = {"login": "avec.social", "password": founded.password("avec", "avec.social")}
            return httpx.post(f"{url}/api/v1/sessions", json=body, timeout=60).status_code

        assert signs_in() == 201
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        assert signs_in() == 507
        assert "storage" in parts(url)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        deadline = time.monotonic() + 20
        while parts(url) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (parts(url), signs_in()) == ([], 201)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    ran = founded.run("audit", "verify", "--database", "avec", "--key", founded.key("avec"))
    assert ran.code == 0, ran


def parts(url: str) -> list[str]:
    """What the readiness probe names."""
    return [error["field"] for error in httpx.get(f"{url}/health/ready").json().get("errors", [])]


def journal_of(slug: str, place: Place) -> Callable[[Connection], list[str]]:
    """The actions of an organisation's log, in order."""
    log = id_of(place, slug).bytes
    table = tables.entry
    actions = select(table.c.action).where(table.c.log == log).order_by(table.c.idx)
    return lambda connection: list(connection.execute(actions).scalars())


def test_a_demo_is_served_on_this_machine_alone(founded: Place) -> None:
    read(founded, lambda connection: connection.execute(update(deployment).values(is_demo=True)).rowcount)
    process = start("serve", "--host", "0.0.0.0", "--port", "0", environment=founded.environment)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.startswith("--host")) == (1, "", True), err
    with serving(founded, "--host", "localhost"):
        pass


def test_a_taken_port_is_said(founded: Place) -> None:
    with serving(founded) as (_, url):
        process = start("serve", "--port", url.rpartition(":")[2], environment=founded.environment)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.startswith("--host, --port")) == (1, True)


def test_an_unprepared_database_is_not_served(place: Place) -> None:
    for folder in ("data", "state"):
        (place.folder / folder).mkdir()
    process = start("serve", "--port", "0", environment=place.environment)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, len(err.splitlines())) == (1, 1), err
