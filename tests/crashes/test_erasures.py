"""Killed by the hundred while cases are made, renewed and erased: no key is without its half, no erased is back.

The moments of the kills are drawn from a seed that is printed, and can be given again as `CASEWORK_TEST_KILL_SEED`.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from datetime import timedelta
from random import Random

import httpx

from casework.deployment import assemble, dismantle
from casework.rights.erasing import finish_erasures
from casework.rights.sweeping import SAFE_AGE, destroy_old_halves, sweep_orphans
from casework.settings import from_environment
from crypto.password import FLOOR_PARAMS
from tests.casework import story
from tests.casework.administrator import Administrator
from tests.casework.centre import MovableClock, all_accounts
from tests.casework.commands.place import run
from tests.casework.rights.requests import approval, wanted
from tests.crashes.clients import Member, Traffic
from tests.crashes.ground import Ground
from tests.crashes.nursery import LOGINS
from tests.crashes.serving import Server
from tests.crashes.test_kills import forget_codes

# Of a child that does the service's units of work over the real stores.
KILLS = {"sqlite": 300, "postgresql": 60}
# Of the whole server, under its clients.
SERVER_KILLS = 5
CLIENTS = 6
PATIENCE_SECONDS = 400


def test_three_hundred_kills_leave_no_key_without_its_half_and_no_erased_case(
    ground: Ground, engine_name: str
) -> None:
    seed = int(os.environ.get("CASEWORK_TEST_KILL_SEED") or secrets.randbelow(2**32))
    sys.stdout.write(f"CASEWORK_TEST_KILL_SEED={seed}\n")
    others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
    second_factors = json.dumps({login: all_accounts()[login].totp_seed for login in LOGINS})
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crashes.nursery", str(KILLS[engine_name]), str(seed), second_factors],
        env={**others, **ground.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    sys.stdout.write(f"{told}\n")
    assert told["wrong"] == []
    assert told["kills"] == KILLS[engine_name]
    # It must have been in the middle of each; of those that were renewed many were erased since.
    assert told["renewed"] >= KILLS[engine_name] // 100
    assert told["cases"] >= KILLS[engine_name] // 10
    assert told["complete"] >= KILLS[engine_name] // 10
    asyncio.run(_require_all_is_finished_and_swept(ground))
    checked = run("check", environment=ground.environment)
    assert checked.code == 0, checked.out


async def _require_all_is_finished_and_swept(ground: Ground) -> None:
    """The next start completes what was half done; the sweep takes what was never committed, and nothing else."""
    clock = MovableClock()
    deployment = await assemble(from_environment(ground.environment), clock, FLOOR_PARAMS)
    try:
        await finish_erasures(deployment)
        half_done = "SELECT count(*) FROM erasure WHERE state = 'erased'"
        assert await ground.administrator.value(half_done) == 0
        # A running unit may just have written them.
        assert await sweep_orphans(deployment, is_dry_run=False) == 0
        clock.offset += SAFE_AGE + timedelta(minutes=1)
        found = await sweep_orphans(deployment, is_dry_run=True)
        assert await sweep_orphans(deployment, is_dry_run=False) == found
        await destroy_old_halves(deployment)
        halves = Administrator(deployment.settings.shred_url)
    finally:
        await dismantle(deployment)
    # The organisation itself has one: of the key that its cases are compared with.
    owners = await halves.value("SELECT count(DISTINCT owner_id) FROM shred WHERE owner_id <> org_id")
    assert await ground.administrator.value("SELECT count(*) FROM case_file") == owners
    # A renewal that was killed before its commit leaves newer halves to the next one: none is missing.
    assert await halves.value("SELECT count(*) FROM shred") >= 9 * owners


def test_a_server_that_is_killed_while_cases_are_erased_loses_none_and_brings_none_back(
    ground: Ground,
) -> None:
    server = Server(ground.environment, ground.folder / "server.log")
    try:
        erased, kept = asyncio.run(_torment(ground, server))
        assert server.stop() == 0
    finally:
        server.kill()
    assert erased
    assert kept
    count = "SELECT count(*) FROM case_file"
    assert asyncio.run(ground.administrator.value(count)) == len(kept)
    complete = "SELECT count(*) FROM erasure WHERE state = 'complete'"
    assert asyncio.run(ground.administrator.value(complete)) == len(erased)
    checked = run("check", environment=ground.environment)
    assert checked.code == 0, checked.out


async def _torment(ground: Ground, server: Server) -> tuple[set[str], set[str]]:
    """Create and erase under kills, then ask for every case; returns which are gone and which are there."""
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        await server.start()
        traffic = Traffic(server, http, Random(secrets.randbelow(2**32)), forget_codes(ground))
        social, dpo = Member(traffic, "avec.social"), Member(traffic, "avec.dpo")
        erased: set[str] = set()
        kept: set[str] = set()

        async def work() -> None:
            while not traffic.stopping:
                case = (await social.act("POST", "/cases", story.new_case("social")))["id"]
                kept.add(case)
                request = (await social.act("POST", "/rights-requests", wanted(case)))["id"]
                if traffic.stopping:
                    return
                await dpo.act("POST", f"/rights-requests/{request}/approval", approval(case))
                kept.remove(case)
                erased.add(case)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(work())
            for _ in range(SERVER_KILLS):
                enough = traffic.acknowledged.total() + traffic.random.randint(5, 30)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while traffic.acknowledged.total() < enough:  # noqa: ASYNC110 - counted by the clients
                        await asyncio.sleep(0.005)
                server.kill()
                await server.start()
            traffic.stopping = True
        listed = await _listed(social)
        assert listed == kept
        return erased, kept


async def _listed(member: Member) -> set[str]:
    """Every case that she may list, each of which opens."""
    found: set[str] = set()
    page = await member.act("GET", "/cases?limit=100")
    while True:
        found |= {item["id"] for item in page["items"]}
        if page["next"] is None:
            break
        page = await member.act("GET", f"/cases?limit=100&cursor={page['next']}")
    for case in found:
        opened = await member.act("GET", f"/cases/{case}")
        assert opened["groups"]["social"] == story.content("social")
    return found
