"""The roll-up as a task of the service: once in an hour, whoever restarts, and published before it is shown."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from audit import tables
from audit.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from audit.errors import JournalRefused
from audit.state import SignerState
from audit.tables import ROLLUP_LOG
from audit.triggers import drop_triggers
from casework.health import Part, failing_parts
from casework.rollups import RollUps
from casework.signers import SigningKeyRefused
from crypto.signing import SigningKey
from tests.casework.administrator import Administrator
from tests.casework.centre import NAME, Centre

ORIGIN = f"{NAME}/rollup"
HOUR = timedelta(hours=1)


@pytest.fixture
async def centre(centre: Centre) -> Centre:
    """With something to roll up, in the middle of an hour, and the service's own timer stopped."""
    await centre.app.state.rollups.stop()
    now = centre.clock.now()
    centre.clock.offset += timedelta(minutes=30 - now.minute)
    await centre.sign_in("avec.social")
    await centre.app.state.integration.round()
    return centre


def published_size(centre: Centre) -> int:
    head = SignerState(centre.deployment.settings.state_dir).last(ORIGIN)
    return head.size if head is not None else 0


async def leaves(centre: Centre) -> int:
    query = select(func.count()).select_from(tables.rollup)
    return await Administrator(centre.urls.owner).run(
        lambda connection: connection.execute(query).scalar_one()
    )


async def test_the_service_rolls_up_once_in_an_hour_and_a_second_process_adds_nothing(centre: Centre) -> None:
    first, second = centre.app.state.rollups, RollUps(centre.deployment)
    await first.round()
    before = await leaves(centre)
    assert before
    assert [await second.round(), await second.round(), await first.round()] == [True, False, False]
    assert await leaves(centre) == before
    assert published_size(centre) == before
    centre.clock.offset += HOUR
    await second.round()
    await first.round()
    assert await leaves(centre) > before


async def test_a_commit_that_was_reported_as_failed_is_published_when_it_is_found(centre: Centre) -> None:
    rollups = RollUps(centre.deployment)
    unit = centre.deployment.database.integrate
    failing = True

    async def reported_as_failed(work: Any) -> Any:
        result = await unit(work)
        if failing:
            raise ConnectionError
        return result

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(centre.deployment.database, "integrate", reported_as_failed)
        with pytest.raises(ConnectionError):
            await rollups.round()
        failing = False
        count = await leaves(centre)
        assert await rollups.round()
    assert await leaves(centre) == count
    assert published_size(centre) == count


async def test_a_roll_up_that_is_not_ours_is_neither_published_nor_shown(centre: Centre) -> None:
    rollups = centre.app.state.rollups
    await rollups.round()
    known = published_size(centre)
    forged = sign_checkpoint(Checkpoint(ORIGIN, 10_000, bytes(32)), [NoteSigner(ORIGIN, SigningKey.new())])
    row = {"log": ROLLUP_LOG, "size": 10_000, "note": forged}
    await Administrator(centre.urls.owner).run(
        lambda connection: connection.execute(tables.checkpoint.insert(), row)
    )
    assert await rollups.published() is None
    assert published_size(centre) == known


async def test_a_service_whose_roll_up_is_refused_is_not_ready(centre: Centre) -> None:
    rollups = centre.app.state.rollups
    await rollups.round()
    administrator = Administrator(centre.urls.owner)
    await administrator.sql(
        *drop_triggers("sqlite" if centre.urls.owner.drivername.startswith("sqlite") else "postgresql")
    )
    await administrator.sql("UPDATE audit_rollup SET head = 'x'")
    centre.clock.offset += HOUR
    with pytest.raises(JournalRefused):
        await rollups.round()
    rollups.start()
    async with asyncio.timeout(30):
        while rollups.healthy:  # noqa: ASYNC110 - whoever asks for health looks, too
            await asyncio.sleep(0.01)
    await rollups.stop()
    failing = await failing_parts(centre.deployment, centre.app.state.integration, rollups)
    assert Part.JOURNAL in failing


async def test_without_its_key_there_is_no_roll_up_and_no_service(centre: Centre) -> None:
    key = centre.deployment.settings.state_dir / "journal-keys" / f"{ROLLUP_LOG.hex()}.key"
    key.unlink()
    with pytest.raises(SigningKeyRefused):
        RollUps(centre.deployment)
