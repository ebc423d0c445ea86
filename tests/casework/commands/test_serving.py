"""`casework serve`: it answers, it stops without loss, and it refuses what is unsafe to serve."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen

import httpx
import pytest
from sqlalchemy import func, select, update

from audit import tables
from casework.organisations.tables import deployment
from tests.casework.commands.place import Place, start
from tests.casework.commands.test_organisations import read


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
