"""What is over is deleted, in every organisation, with the service's own rights; what is not stays."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from casework import upkeep
from casework.identity import idempotency, limits, sessions
from casework.identity.tables import attempt, session
from casework.identity.tables import idempotency as idempotency_table
from casework.upkeep import Upkeep, sweep
from tests.casework.centre import Centre
from tests.casework.story import new_case


async def count(centre: Centre, table: object) -> int:
    query = select(func.count()).select_from(table)  # type: ignore[arg-type]
    return int(await centre.dba(lambda connection: connection.execute(query).scalar_one()))


async def test_sessions_that_are_over_are_deleted_in_every_organisation(centre: Centre) -> None:
    for login in ("avec.social", "cidff.jurist", "med.reception"):
        await centre.sign_in(login)
    centre.clock.offset += timedelta(minutes=20)
    stays = await centre.sign_in("avec.psychologist")
    assert await count(centre, session) == 4
    await sweep(centre.deployment)
    assert await count(centre, session) == 4
    centre.clock.offset += sessions.IDLE - timedelta(minutes=20)
    await stays.get("/me")
    await sweep(centre.deployment)
    assert await count(centre, session) == 1
    await stays.get("/me")


async def test_the_signing_key_of_a_step_up_that_is_over_is_deleted(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    held = select(func.count()).select_from(session).where(session.c.step_up_keys.is_not(None))
    await sweep(centre.deployment)
    assert await centre.dba(lambda connection: connection.execute(held).scalar_one()) == 1
    centre.clock.offset += sessions.STEP_UP
    await sweep(centre.deployment)
    assert await centre.dba(lambda connection: connection.execute(held).scalar_one()) == 0
    await social.get("/me")


async def test_idempotency_keys_are_kept_a_day_and_deleted_after_it(centre: Centre) -> None:
    for login in ("avec.social", "cidff.jurist"):
        client = await centre.sign_in(login)
        await client.post("/cases", new_case(), headers={"idempotency-key": "k"})
    centre.clock.offset += idempotency.KEPT - timedelta(minutes=1)
    await sweep(centre.deployment)
    assert await count(centre, idempotency_table) == 2
    centre.clock.offset += timedelta(minutes=2)
    await sweep(centre.deployment)
    assert await count(centre, idempotency_table) == 0


async def test_a_sweep_takes_a_batch_and_leaves_the_rest_to_the_next(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SWEPT", 2)
    monkeypatch.setattr(limits, "BATCH", 4)
    for _ in range(5):
        await centre.sign_in("avec.social")
    centre.clock.offset += timedelta(hours=11)
    for left in (3, 1, 0):
        await sweep(centre.deployment)
        assert await count(centre, session) == left


async def test_counters_are_deleted_once_they_are_forgotten(centre: Centre) -> None:
    await centre.http.post("/api/v1/sessions", json={"login": "avec.nobody", "password": "wrong"})
    assert await count(centre, attempt) == 3
    await sweep(centre.deployment)
    assert await count(centre, attempt) == 3
    centre.clock.offset += timedelta(hours=1)
    await sweep(centre.deployment)
    assert await count(centre, attempt) == 1
    centre.clock.offset += timedelta(hours=23)
    await sweep(centre.deployment)
    assert await count(centre, attempt) == 0


async def test_the_timer_sweeps_and_outlives_a_sweep_that_fails(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await centre.sign_in("avec.social")
    centre.clock.offset += timedelta(hours=11)
    monkeypatch.setattr(upkeep, "PERIOD_SECONDS", 0.01)
    slugs = centre.deployment.slugs
    # The sweep fails until it knows the organisations again.
    centre.deployment.slugs = None  # type: ignore[assignment]
    timer = Upkeep(centre.deployment)
    timer.start()
    await asyncio.sleep(0.1)
    assert await count(centre, session) == 1
    centre.deployment.slugs = slugs
    for _ in range(200):
        await asyncio.sleep(0.05)
        if not await count(centre, session):
            break
    await timer.stop()
    assert await count(centre, session) == 0
