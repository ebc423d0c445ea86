"""What the service throws away: once a minute, in small units of work of its own, with its own rights."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from casework.audit_review.alarms import raise_alarms
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.handoffs.lapsing import end_lapsed
from casework.identity import idempotency, limits, sessions
from casework.rights.erasing import finish_erasures
from casework.rights.sweeping import destroy_old_halves

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 60


async def sweep(deployment: Deployment) -> None:
    """Delete sessions, step-ups and counters that are over, and idempotency keys older than a day.

    End handoffs whose consent has run out. Raise what an organisation's journal says that somebody must look at
    now. Finish what a kill left half done of erasures and of renewals of keys.

    Behind the wall each organisation is entered in turn. What the counters refused is told to the journal first.
    Each directory is read anew: what another process certified (a drop key, a removal, other rules) is known within
    the period, and rules whose day has come are loaded.
    """
    each: tuple[Callable[[UnitOfWork, UUID], None], ...] = (
        partial(_learn_directory, deployment),
        sessions.forget_expired,
        sessions.forget_step_ups,
        idempotency.forget_old,
        partial(end_lapsed, deployment),
        partial(raise_alarms, deployment),
    )
    for org_id in tuple(deployment.slugs):
        for work in each:
            await _try(deployment.database.unit(partial(_of, work, org_id)))
    await _try(finish_erasures(deployment))
    await _try(destroy_old_halves(deployment))
    await _try(deployment.database.unit(partial(limits.tell_and_forget, deployment)))


async def _try(work: Awaitable[object]) -> None:
    """What fails for one organisation, or while the database is away, keeps nothing else from its turn."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - said here, and tried again in a minute
        log.error("sweep_failed", error=type(error).__name__)


def _of(work: Callable[[UnitOfWork, UUID], None], org_id: UUID, unit: UnitOfWork) -> None:
    work(unit, org_id)


def _learn_directory(deployment: Deployment, unit: UnitOfWork, org_id: UUID) -> None:
    unit.enter_organisation(org_id)
    deployment.directories.fresh(unit, org_id)
    deployment.rules.look_again(unit, org_id)


class Upkeep:
    """Sweeps until stopped."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        # What a kill left half erased is finished at once.
        await _try(finish_erasures(self._deployment))
        while True:
            # First the wait: a service that starts has people waiting.
            await asyncio.sleep(PERIOD_SECONDS)
            await _try(sweep(self._deployment))
