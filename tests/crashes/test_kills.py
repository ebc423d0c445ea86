"""Killed fifty times with -9 while 32 clients save and hand over: nothing acknowledged is lost, nothing doubled.

A client that was not answered asks again under the same Idempotency-Key. The moments of the kills are drawn from a
seed that is printed, and can be given again as `CASEWORK_TEST_KILL_SEED`.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import httpx
from sqlalchemy.exc import DBAPIError

from tests.casework.centre import CANARY
from tests.casework.commands.place import run
from tests.crashes.clients import Member, Sender, Traffic, Writer
from tests.crashes.ground import Ground
from tests.crashes.serving import Server

# Fifty in all.
SERVER_KILLS_ON_SQLITE = 25
SERVER_KILLS_ON_POSTGRESQL = 13
DATABASE_KILLS = 12
WRITERS, SENDERS = 20, 12
# A kill comes after this many more acts on one of the two, at most.
LONGEST_PEACE = {"follow-up": 60, "handoff": 30}
PATIENCE_SECONDS = 300
# Never, whatever is killed. (A refusal whose entry finds the database gone is an alarm of its own, and right.)
ALARMS = ("journal_refused", "unrecorded_access", "policy_engine_failed", "sealed_data_damaged")

# Both sides of a handoff and the neutral row say the same, and a side is there exactly when it must be.
_UNEQUAL_SIDES = """
    SELECT count(*) FROM handoff WHERE
        EXISTS (SELECT 1 FROM handoff_side
            WHERE handoff_side.id = handoff.id AND handoff_side.state <> handoff.state)
        OR (SELECT count(*) FROM handoff_side WHERE handoff_side.id = handoff.id)
            <> CASE WHEN handoff.state IN ('draft', 'consented') THEN 1 ELSE 2 END
        OR (SELECT count(*) FROM consent WHERE consent.handoff_id = handoff.id)
            <> CASE WHEN handoff.state = 'draft' THEN 0 ELSE 1 END
        OR (handoff.state = 'sent' AND NOT EXISTS (
            SELECT 1 FROM handoff_part WHERE handoff_part.handoff_id = handoff.id))
"""


def test_nothing_acknowledged_is_lost_or_doubled_by_a_kill(ground: Ground) -> None:
    seed = int(os.environ.get("CASEWORK_TEST_KILL_SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"CASEWORK_TEST_KILL_SEED={seed}\n")
    server = Server(ground.environment, ground.folder / "server.log")
    try:
        saved, arrived = asyncio.run(_torment(ground, server, Random(seed)))
        assert server.stop() == 0
    finally:
        server.kill()
    assert server.events(*ALARMS) == []
    assert CANARY not in server.log.read_text("utf-8", errors="replace")
    asyncio.run(_require_every_act_journaled_once(ground, saved, arrived))
    _verify_both_journals(ground)


async def _torment(ground: Ground, server: Server, random: Random) -> tuple[int, int]:
    """Kill, and have everything read again; returns how many follow-ups were saved, and handoffs accepted."""
    limits = httpx.Limits(max_connections=WRITERS + SENDERS)
    async with httpx.AsyncClient(timeout=20, limits=limits, trust_env=False) as http:
        await server.start()
        traffic = Traffic(server, http, random, forget_codes(ground))
        social, jurist = Member(traffic, "avec.social"), Member(traffic, "cidff.jurist")
        writers = [Writer(social, f"n{number}") for number in range(WRITERS)]
        senders = [Sender(social, jurist) for _ in range(SENDERS)]
        async with asyncio.TaskGroup() as group:
            for client in (*writers, *senders):
                group.create_task(client.work())
            kills = _kills(ground)
            random.shuffle(kills)
            for number, kill in enumerate(kills):
                await _wait_for_answers(traffic, ("follow-up", "handoff")[number % 2])
                await asyncio.sleep(random.uniform(0, 0.05))
                if kill == "server":
                    server.kill()
                    await server.start()
                else:
                    assert ground.cluster is not None
                    await asyncio.to_thread(ground.cluster.kill)
                    await asyncio.to_thread(ground.cluster.start)
                assert await ground.administrator.value(_UNEQUAL_SIDES) == 0
            traffic.stopping = True
        sys.stdout.write(f"{dict(traffic.answers)}\n")
        assert traffic.answers["500 internal"] == 0
        return await _require_everything_once(ground, writers, senders)


async def _require_everything_once(
    ground: Ground, writers: list[Writer], senders: list[Sender]
) -> tuple[int, int]:
    for writer in writers:
        await writer.require_everything_once()
    saved = sum(len(writer.saved) for writer in writers)
    arrived = {handoff: case for sender in senders for handoff, case in sender.arrived.items()}
    sys.stdout.write(f"{saved} follow-ups, {len(arrived)} handoffs\n")
    assert saved > WRITERS
    assert len(arrived) > SENDERS
    count = ground.administrator.value
    assert await count("SELECT count(*) FROM handoff") == len(arrived)
    assert await count("SELECT count(*) FROM handoff WHERE state <> 'accepted'") == 0
    assert await count(_UNEQUAL_SIDES) == 0
    cases = await count("SELECT count(*) FROM case_file")
    assert cases == len(writers) + len(senders) + len(set(arrived.values()))
    assert len(set(arrived.values())) == len(arrived)
    return saved, len(arrived)


async def _require_every_act_journaled_once(ground: Ground, saved: int, arrived: int) -> None:
    entries = "SELECT count(*) FROM audit_entry WHERE outcome = 'allowed' AND action = "
    for action, times in (
        ("follow_up.create", saved),
        ("handoff.send", arrived),
        ("handoff.accept", arrived),
    ):
        assert await ground.administrator.value(f"{entries}'{action}'") == times
    for here, there in (("handoff.send", "handoff.arrive"), ("handoff.accept", "handoff.accepted")):
        common = (
            "SELECT count(*) FROM audit_entry AS one JOIN audit_entry AS other"
            f" ON other.entry_id = one.entry_id AND one.action = '{here}' AND other.action = '{there}'"
        )
        assert await ground.administrator.value(common) == arrived


async def _wait_for_answers(traffic: Traffic, act: str) -> None:
    enough = traffic.acknowledged[act] + traffic.random.randint(1, LONGEST_PEACE[act])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while traffic.acknowledged[act] < enough:  # noqa: ASYNC110 - counted by 32 clients, waited for by one
            await asyncio.sleep(0.005)


def _kills(ground: Ground) -> list[str]:
    if ground.cluster is None:
        return ["server"] * SERVER_KILLS_ON_SQLITE
    return ["server"] * SERVER_KILLS_ON_POSTGRESQL + ["database"] * DATABASE_KILLS


def forget_codes(ground: Ground) -> Callable[[], Awaitable[None]]:
    async def forget() -> None:
        # While the database is down: the next try comes.
        with suppress(OSError, DBAPIError):
            await ground.administrator.sql("UPDATE account SET totp_step = 0")

    return forget


def _verify_both_journals(ground: Ground) -> None:
    for slug in ("avec", "cidff"):
        bundle = ground.folder / f"{slug}.zip"
        exported = run("audit", "export", slug, "--to", bundle, environment=ground.environment)
        assert exported.code == 0, exported
        key = ground.foundation.founded[slug].journal_key
        verified = run("audit", "verify", bundle, "--key", key, environment={})
        assert verified.code == 0, verified.out
