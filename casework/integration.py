"""The journal's integrator as a task of the service: every 200 ms, one round, then the state, then the next.

The first thing it does is to close the lanes of processes that were killed. Whichever process integrates, each
follows the logs for itself and forgets of its own entries those that a verified checkpoint covers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection

from audit.checkpoint import NoteSigner
from audit.errors import JournalRefused, StateRefused
from audit.follower import Follower
from audit.integrator import Pending, integrate
from audit.lane_file import AbandonedLane, abandoned_files
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from casework.alerts import AlertKind, alert
from casework.database import UnitOfWork
from casework.deployment import Deployment, lanes_folder
from casework.journal import Deed, Who
from casework.signers import Signers
from casework.statements import run_hot
from casework.watch import Watch
from crypto.signing import verify

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 0.2
# A round that a lock holds up is given up and tried again: meanwhile somebody must look at what is missing.
ROUND_SECONDS = 20.0


class Integration:
    """Runs rounds until stopped. `healthy` turns False when a round is refused: the journal is not what it was."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._database = deployment.database
        self._state = SignerState(deployment.settings.state_dir)
        self._signers = Signers(deployment.settings.state_dir, deployment.journal, deployment.slugs)
        self._followers = {log: Follower(log) for log in self._signers.current()}
        self._watch = Watch(deployment)
        self._task: asyncio.Task[None] | None = None
        self.healthy = True
        self.integrated_at = deployment.clock.now()

    async def round(self) -> int:
        """Integrate what waits, and follow the logs; returns how many of them grew by it.

        Raises:
            JournalRefused, StateRefused: see `audit.integrator.integrate` and `audit.follower`.

        """
        signers = self._signers.current()
        try:
            pending = await self._integrate(signers)
        except JournalRefused:
            # A key that was begun since is announced already: it is ours.
            if self._signers.current() is signers:
                raise
            pending = await self._integrate(self._signers.current())
        if pending:
            # After the commit and before anybody is shown the new heads.
            await asyncio.to_thread(self._state.publish, [found.checkpoint for found in pending])
        await self.follow()
        self.integrated_at = self._deployment.clock.now()
        return len(pending)

    async def _integrate(self, signers: Mapping[bytes, Sequence[NoteSigner]]) -> list[Pending]:
        return await self._database.integrate(
            lambda connection: integrate(connection, signers, self._state, execute=run_hot)
        )

    async def follow(self) -> None:
        """Verify what was published since, by whichever process, and forget what it covers.

        Raises:
            JournalRefused: of the first log that does not lead to its checkpoint; the others were followed.

        """
        refused = await self._database.inspect(self._follow_each)
        if refused:
            raise refused[0]

    def _follow_each(self, connection: Connection) -> list[JournalRefused]:
        refused = []
        for followed, follower in self._followers.items():
            keys = [signer.key for signer in self._signers.current()[followed]]
            try:
                self._deployment.memory.forget(follower.follow(connection, keys, verify))
            except JournalRefused as error:
                refused.append(error)
        return refused

    async def close_abandoned_lanes(self) -> None:
        """Close what processes left behind that were killed; a file goes once all its lanes are closed."""
        for file in abandoned_files(lanes_folder(self._deployment.settings)):
            for lane in file.lanes:
                if lane.unsettled:
                    await self._database.unit(partial(self._close_lane, lane))
            file.forget()

    def _close_lane(self, lane: AbandonedLane, unit: UnitOfWork) -> None:
        if lane.log == DEPLOYMENT_LOG:
            self._deployment.journal.close_lane(unit, None, lane)
            return
        org_id = UUID(bytes=lane.log)
        unit.enter_organisation(org_id)
        self._deployment.journal.close_lane(unit, (org_id, self._deployment.slugs[org_id]), lane)

    async def begin(self) -> None:
        """Before anything is served: where each log stands, and in each a first heartbeat."""
        try:
            await self.follow()
        except JournalRefused as error:
            self._refuse(error)
        await self._watch.begin()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the timer, close the lanes, and integrate what is left: a clean stop leaves an empty inbox.

        No request may be served any more.
        """
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            await self._integrate_all()
            await self._watch.end()
            await self._database.unit(self._close_lanes)
            await self._integrate_all()
        except Exception as error:  # noqa: BLE001 - a database that is gone must not keep the process from ending
            log.error("not_integrated_at_the_end", error=type(error).__name__)

    async def _integrate_all(self) -> None:
        while self.healthy and await self.round():
            pass

    async def _run(self) -> None:
        lanes_are_closed = False
        while True:
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    if not lanes_are_closed:
                        await self.close_abandoned_lanes()
                        lanes_are_closed = True
                    await self.round()
                self.healthy = True
            except (JournalRefused, StateRefused) as error:
                self._refuse(error)
            except Exception as error:  # noqa: BLE001 - the timer must outlive a database that goes away
                log.error("integration_failed", error=type(error).__name__)
            self._deployment.rounds.end()
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._watch.look()
            except Exception as error:  # noqa: BLE001 - as above
                log.error("watch_failed", error=type(error).__name__)
            if self._database.is_full:
                await self._try_to_write()
            await self._deployment.rounds.pause(PERIOD_SECONDS)

    def _refuse(self, error: JournalRefused | StateRefused) -> None:
        self.healthy = False
        alert(AlertKind.JOURNAL_REFUSED, error=type(error).__name__)

    async def _try_to_write(self) -> None:
        """Journal that there is room again. Without it a service that nobody sends anything would never know."""
        try:
            await self._database.unit(self._recovered)
        except Exception as error:  # noqa: BLE001 - as long as it is full, this is what happens
            log.error("storage_full", error=type(error).__name__)
        else:
            log.warning("storage_recovered")

    def _recovered(self, unit: UnitOfWork) -> None:
        self._deployment.journal.record(unit, None, Who(uuid4()), Deed("storage.recovered"))

    def _close_lanes(self, unit: UnitOfWork) -> None:
        self._deployment.journal.beat(unit, self._deployment.slugs, "stopped")
        self._deployment.journal.close_lanes(unit, self._deployment.slugs)
