"""The roll-up log as a task of the service: once in every hour a leaf for each log, then the witnesses.

The schedule is the clock's hours, whether or not anything grew; the database remembers which hour was the last, so
a restart or a second process adds none. A witness that does not answer is asked again, and holds up nothing else.
"""

import asyncio
from contextlib import suppress
from functools import partial
from uuid import UUID, uuid4

import httpx
import structlog
from sqlalchemy import Connection

from audit.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from audit.entry import Outcome
from audit.errors import JournalRefused, NoteRefused, NothingPublished, StateRefused
from audit.log import latest_checkpoint
from audit.nodes import stored_nodes
from audit.rollup import cosigned_size, keep_cosignature, roll_up
from audit.state import SignerState
from audit.tables import ROLLUP_LOG
from audit.tree import consistency_proof
from audit.witness import AddCheckpoint
from casework.alerts import AlertKind, alert
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.journal import Deed, Who
from casework.settings import WitnessAddress
from casework.signers import rollup_signer
from casework.witnesses import NotCosigned, OtherSize, Refusal, ask
from crypto.signing import verify

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 1.0
ASK_AGAIN_SECONDS = 60.0
_HOUR_SECONDS = 3_600
_ROLLUP = UUID(bytes=ROLLUP_LOG)


class RollUps:
    """Rolls up and asks until stopped. `healthy` turns False when a log is not what was rolled up of it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._database = deployment.database
        self._state = SignerState(deployment.settings.state_dir)
        self._signer = rollup_signer(deployment.settings.state_dir, deployment.journal)
        self._hour: int | None = None
        self._contradicted: set[tuple[str, int]] = set()
        self._task: asyncio.Task[None] | None = None
        self.healthy = True

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> bool:
        """Roll up if that was not done in this hour; returns whether there is a new roll-up to show.

        Raises:
            JournalRefused, StateRefused: see `audit.rollup.roll_up`.

        """
        hour = int(self._deployment.clock.now().timestamp()) // _HOUR_SECONDS
        if hour == self._hour:
            return False
        work = partial(roll_up, signer=self._signer, state=self._state, hour=hour)
        if not await self._database.integrate(work):
            return False
        await self.published()
        self._hour = hour
        return True

    async def published(self) -> tuple[Checkpoint, str] | None:
        """The newest roll-up, which the signer's state knows from now on: before anybody is shown it."""
        try:
            note = await self._database.snapshot(
                lambda connection: latest_checkpoint(connection, ROLLUP_LOG), _ROLLUP
            )
        except NothingPublished:
            return None
        parsed = parse_checkpoint(note)
        try:
            verify_checkpoint(parsed, [self._signer.key], verify)
        except NoteRefused:
            # Of an incarnation that ended: it was shown then. Or somebody put it there, and nobody shall see it.
            return None
        # A commit that was reported as failed is found again here.
        await asyncio.to_thread(self._state.publish, [parsed.checkpoint])
        return parsed.checkpoint, note

    async def ask_witnesses(self) -> None:
        """Have each witness sign the newest roll-up, all at once; those that have are left alone."""
        newest = await self.published()
        if newest is None:
            return
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
            witnesses = self._deployment.settings.witnesses
            await asyncio.gather(*(self._cosign(client, witness, *newest) for witness in witnesses))

    async def _cosign(
        self, client: httpx.AsyncClient, witness: WitnessAddress, head: Checkpoint, note: str
    ) -> None:
        known = await self._database.snapshot(
            lambda connection: cosigned_size(connection, witness.key), _ROLLUP
        )
        if known == head.size:
            return
        try:
            line = await self._ask_from(client, witness, min(known, head.size), head, note)
        except NotCosigned as refused:
            log.error("witness_has_not_signed", witness=witness.key.name, reason=refused.refusal.value)
            if refused.refusal is Refusal.CONTRADICTED:
                await self._say_contradicted(witness, head)
        else:
            await self._database.integrate(
                lambda connection: keep_cosignature(connection, head.size, witness.key, line)
            )

    async def _ask_from(
        self, client: httpx.AsyncClient, witness: WitnessAddress, old: int, head: Checkpoint, note: str
    ) -> str:
        """Ask with a proof from `old`; a witness that knows another size is asked once more, from that one."""
        try:
            return await ask(client, witness, await self._request(old, head, note))
        except OtherSize as other:
            again = other.size
        try:
            return await ask(client, witness, await self._request(again, head, note))
        except OtherSize:
            # Another process of ours asks it at this moment.
            raise NotCosigned(Refusal.REFUSED) from None

    async def _request(self, old: int, head: Checkpoint, note: str) -> AddCheckpoint:
        def prove(connection: Connection) -> tuple[bytes, ...]:
            return tuple(consistency_proof(old, head.size, stored_nodes(connection, ROLLUP_LOG)))

        proof = await self._database.snapshot(prove, _ROLLUP) if 0 < old < head.size else ()
        return AddCheckpoint(old, proof, note)

    async def _say_contradicted(self, witness: WitnessAddress, head: Checkpoint) -> None:
        alert(AlertKind.WITNESS_CONTRADICTS, witness=witness.key.name, size=head.size)
        if (witness.key.name, head.size) not in self._contradicted:
            self._contradicted.add((witness.key.name, head.size))
            await self._database.unit(self._record_contradiction)

    def _record_contradiction(self, unit: UnitOfWork) -> None:
        deed = Deed("witness.contradict", Outcome.FAILED)
        self._deployment.journal.record(unit, None, Who(uuid4()), deed)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time() - ASK_AGAIN_SECONDS
        while True:
            try:
                is_new = await self.round()
                self.healthy = True
                if is_new or loop.time() - asked_at >= ASK_AGAIN_SECONDS:
                    asked_at = loop.time()
                    await self.ask_witnesses()
            except (JournalRefused, StateRefused) as error:
                self.healthy = False
                alert(AlertKind.JOURNAL_REFUSED, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the timer must outlive a database that goes away
                log.error("rollup_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_SECONDS)
