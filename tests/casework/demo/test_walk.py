"""The main job, played over HTTP against a live demo on a free port of the loopback interface."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from casework.clock import Clock
from casework.demo.directory import Account, DemoDirectory
from casework.demo.people import Authenticator
from casework.demo.serving import LOOPBACK, listen, serve
from casework.demo.walk import StepFailed, walk
from casework.identity.totp import STEP_SECONDS


class StandingClock(Clock):
    """Stands at the beginning of the next time step of RFC 6238, until somebody waits for a code."""

    def __init__(self) -> None:
        seconds = int(datetime.now(UTC).timestamp())
        self._now = datetime.fromtimestamp(seconds - seconds % STEP_SECONDS + STEP_SECONDS, UTC)
        self.waits: list[int] = []

    def now(self) -> datetime:
        return self._now

    async def pause(self, seconds: float) -> None:
        if seconds >= 1:
            self._now += timedelta(seconds=seconds)
        else:
            await asyncio.sleep(seconds)

    def authenticator(self) -> Authenticator:
        return Authenticator(self, self.pause, self.waits.append)


@asynccontextmanager
async def served(demo: DemoDirectory, clock: Clock) -> AsyncIterator[str]:
    """Serve as `casework demo` does, and stop as it is stopped: by a signal."""
    listener, ready = listen(0), asyncio.Event()
    serving = asyncio.create_task(serve(demo, listener, clock, ready.set))
    answering = asyncio.create_task(ready.wait())
    await asyncio.wait([serving, answering], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        if not serving.done():
            signal.raise_signal(signal.SIGTERM)
        answering.cancel()
        await serving
        listener.close()


def count(demo: DemoDirectory, table: str) -> int:
    with closing(sqlite3.connect(demo.path / "data" / "casework.db")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def with_the_key_of(accounts: list[Account], organisation: str, other: str) -> list[Account]:
    keys = {account.organisation: account.journal_key for account in accounts}
    return [
        msgspec.structs.replace(account, journal_key=keys[other])
        if account.organisation == organisation
        else account
        for account in accounts
    ]


async def test_the_main_job_is_played_twice_within_one_code_and_both_journals_verify(
    own_demo: DemoDirectory,
) -> None:
    clock, said, said_again = StandingClock(), list[str](), list[str]()
    async with served(own_demo, clock) as url:
        accounts = own_demo.read_accounts()
        await walk(url, accounts, clock.authenticator(), said.append)
        assert clock.waits == []
        await walk(url, accounts, clock.authenticator(), said_again.append)
    # One wait is enough for everyone: it brings a fresh code to all.
    assert clock.waits == [STEP_SECONDS]
    for lines in (said, said_again):
        assert sum("journal valide" in line and line.endswith("code 0") for line in lines) == 2
        assert any("case.open · refusé" in line for line in lines)
        assert any("handoff.send · permis" in line for line in lines)


async def test_the_walk_fails_where_a_journal_is_not_signed_by_the_key_of_its_founding(
    own_demo: DemoDirectory,
) -> None:
    clock = StandingClock()
    async with served(own_demo, clock) as url:
        accounts = with_the_key_of(own_demo.read_accounts(), "cidff", "avec")
        with pytest.raises(StepFailed, match="pas prouvé"):
            await walk(url, accounts, clock.authenticator(), lambda line: None)


async def test_the_walk_fails_at_the_first_person_who_cannot_sign_in(own_demo: DemoDirectory) -> None:
    clock = StandingClock()
    async with served(own_demo, clock) as url:
        accounts = [
            msgspec.structs.replace(account, password="wrong") for account in own_demo.read_accounts()
        ]
        with pytest.raises(StepFailed, match="401"):
            await walk(url, accounts, clock.authenticator(), lambda line: None)


async def test_the_walk_fails_where_nothing_answers(small_demo: DemoDirectory, tmp_path: Path) -> None:
    with listen(0) as closed:
        url = f"http://{LOOPBACK}:{closed.getsockname()[1]}"
        with pytest.raises(StepFailed, match="ne répond pas"):
            await walk(url, small_demo.read_accounts(), StandingClock().authenticator(), lambda line: None)


async def test_a_stop_puts_everything_that_waits_into_the_journal(own_demo: DemoDirectory) -> None:
    before = count(own_demo, "audit_entry")
    async with served(own_demo, StandingClock()) as url, httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/api/v1/sessions", json={"login": "nobody", "password": "nothing"})
        assert answer.status_code == 401
    assert count(own_demo, "audit_inbox") == 0
    # The refusal; and of each of five logs two heartbeats and the end of the writer's lane.
    assert count(own_demo, "audit_entry") == before + 1 + 5 * 3
