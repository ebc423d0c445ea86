"""Whether this process can serve: what the probes of a proxy or a supervisor are told, and nothing else."""

import asyncio
import shutil
from collections.abc import Awaitable
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text

from casework.deployment import Deployment
from casework.integration import Integration
from casework.rollups import RollUps
from casework.standing import Standing, what_stops

ANSWER_WITHIN_SECONDS: Final = 5.0
INTEGRATED_WITHIN: Final = timedelta(seconds=30)
# What a database, its log and a backup's copy need to end well, not to go on working.
LEAST_FREE_BYTES: Final = 64 * 1024 * 1024

_NOBODY: Final = UUID(int=0)
_SOMETHING: Final = text("SELECT 1")


class Part(StrEnum):
    """What a service needs before it may be sent requests."""

    DATABASE = "database"
    SHRED_STORE = "shred_store"
    JOURNAL = "journal"
    STORAGE = "storage"


async def failing_parts(
    deployment: Deployment, integration: Integration, rollups: RollUps
) -> list[Part | Standing]:
    """The parts that do not do their work now; none where the service is ready. Writes and journals nothing."""
    database, shreds = deployment.database, deployment.shreds
    well = {
        Part.DATABASE: await _answers(
            database.unit(lambda unit: unit.connection.execute(_SOMETHING).close())
        ),
        # Nobody's halves: whether the store answers is all that is asked.
        Part.SHRED_STORE: await _answers(database.unit(lambda _: shreds.of(_NOBODY, [_NOBODY], [""]))),
        Part.JOURNAL: rollups.healthy and _journal_is_integrated(deployment, integration),
        Part.STORAGE: _has_room(deployment),
    }
    return [*(part for part, is_well in well.items() if not is_well), *what_stops(deployment)]


async def _answers(asked: Awaitable[object]) -> bool:
    try:
        await asyncio.wait_for(asked, ANSWER_WITHIN_SECONDS)
    except Exception:  # noqa: BLE001 - whatever it is, the part does not answer
        return False
    return True


def _journal_is_integrated(deployment: Deployment, integration: Integration) -> bool:
    return integration.healthy and deployment.clock.now() - integration.integrated_at <= INTEGRATED_WITHIN


def _has_room(deployment: Deployment) -> bool:
    places = (deployment.settings.data_dir, deployment.settings.state_dir)
    return not deployment.database.is_full and all(
        shutil.disk_usage(place).free >= LEAST_FREE_BYTES for place in places
    )
