"""The journal's integrator as a task of the service: every 200 ms, one round, then the state, then the next."""

import asyncio
from contextlib import suppress

import structlog

from audit.errors import JournalRefused, StateRefused
from audit.integrator import integrate
from audit.state import SignerState
from casework.deployment import Deployment
from casework.signers import all_signers

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 0.2


class Integration:
    """Runs rounds until stopped. `healthy` turns False when a round is refused: the journal is not what it was."""

    def __init__(self, deployment: Deployment) -> None:
        self._database = deployment.database
        self._state = SignerState(deployment.settings.state_dir)
        self._signers = all_signers(deployment.settings.state_dir, deployment.journal, deployment.slugs)
        self._task: asyncio.Task[None] | None = None
        self.healthy = True

    async def round(self) -> int:
        """Integrate what waits; returns how many logs grew.

        Raises:
            JournalRefused, StateRefused: see `audit.integrator.integrate`.

        """
        pending = await self._database.integrate(
            lambda connection: integrate(connection, self._signers, self._state)
        )
        if pending:
            # After the commit and before anybody is shown the new heads.
            await asyncio.to_thread(self._state.publish, [found.checkpoint for found in pending])
        return len(pending)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the timer and integrate what is left, so that a clean stop leaves an empty inbox."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        while self.healthy and await self.round():
            pass

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
                self.healthy = True
            except (JournalRefused, StateRefused) as error:
                self.healthy = False
                log.critical("journal_refused", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the timer must outlive a database that goes away
                log.error("integration_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_SECONDS)
