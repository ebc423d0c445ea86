"""The probes: anyone may ask them, they say which part fails and never why, and they leave no trace."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from casework import health
from casework.shreds import ShredStore
from tests.casework.centre import Centre
from tests.conftest import RunningCluster


async def failing(centre: Centre) -> list[str]:
    """The parts that the probe names; it says nothing else."""
    answer = await centre.http.get("/health/ready")
    if answer.status_code == 200:
        assert answer.json() == {"status": "ok"}
        return []
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    body = answer.json()
    assert set(body) == {"type", "title", "status", "code", "errors"}
    assert body["code"] == "unavailable"
    assert {error["code"] for error in body["errors"]} == {"unavailable"}
    return [error["field"] for error in body["errors"]]


async def test_the_probes_answer_anyone_and_journal_nothing(centre: Centre) -> None:
    assert (await centre.http.get("/health/live")).json() == {"status": "ok"}
    assert await failing(centre) == []
    assert await centre.app.state.integration.round() == 0


async def test_a_journal_that_was_not_integrated_for_30_seconds_is_named(centre: Centre) -> None:
    await centre.integrate()
    centre.app.state.integration._task.cancel()
    centre.clock.offset += timedelta(seconds=31)
    assert await failing(centre) == ["journal"]
    await centre.integrate()
    assert await failing(centre) == []


async def test_a_journal_that_is_refused_is_named(centre: Centre) -> None:
    centre.app.state.integration._task.cancel()
    centre.app.state.integration.healthy = False
    assert await failing(centre) == ["journal"]
    centre.app.state.integration.healthy = True


async def test_a_disk_that_is_almost_full_is_named(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 2**62)
    assert await failing(centre) == ["storage"]


async def test_a_shred_store_that_does_not_answer_is_named(centre: Centre, tmp_path: Path) -> None:
    store, nowhere = centre.deployment.shreds, ShredStore(make_url(f"sqlite:///{tmp_path / 'none' / 'x.db'}"))
    centre.deployment.shreds = nowhere
    assert await failing(centre) == ["shred_store"]
    centre.deployment.shreds = store
    await nowhere.dispose()


async def test_a_database_that_goes_away_is_named_and_the_process_still_lives(
    centre: Centre, request: pytest.FixtureRequest
) -> None:
    name = centre.urls.service.database
    if centre.urls.service.get_backend_name() == "postgresql":
        cluster: RunningCluster = request.getfixturevalue("cluster")
        cluster.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    else:
        await centre.deployment.database.stop()
    assert (await failing(centre))[:2] == ["database", "shred_store"]
    assert (await centre.http.get("/health/live")).status_code == 200
    if centre.urls.service.get_backend_name() == "postgresql":
        cluster.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert await failing(centre) == []


async def test_a_clean_stop_closes_each_lane_that_was_written_to(centre: Centre) -> None:
    worker = await centre.sign_in("avec.social")
    await worker.get(f"/cases/{uuid4()}", expect=404)
    await centre.app.state.integration.stop()
    auditor = await centre.sign_in("avec.auditor")
    await centre.integrate()
    closed = (await auditor.get("/journal/entries", params={"action": "lane.close"}))["items"]
    assert len(closed) == 1
