"""The task that tells what waits to be told, channel by channel; one process of a machine does it at a time."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from casework.alerting.channels import Channel, NotDelivered, every_channel
from casework.alerting.config import AlertSettings
from casework.alerting.kept import KeptAlerts, Owed
from casework.alerts import AlertKind
from casework.alone import alone
from casework.clock import Clock

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 5
LOCK_NAME = "alerts.lock"
_FIRST_WAIT = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(minutes=10)


@dataclass(slots=True)
class _Turn:
    """A channel, of which organisation it is told (None: of everything), and how long it is left alone."""

    channel: Channel
    organisation: str | None
    # By a clock that nobody sets (s).
    not_before: float | None = None
    wait: timedelta = field(default=_FIRST_WAIT)


class Delivery:
    """Tells until stopped. A channel that is away is tried again after 10 s, then ever later, up to 10 minutes."""

    def __init__(
        self, settings: AlertSettings, kept: KeptAlerts, state_dir: Path, deployment: str, clock: Clock
    ) -> None:
        self._kept = kept
        self._lock = state_dir / LOCK_NAME
        self._deployment = deployment
        self._clock = clock
        self._turns = [_Turn(channel, slug) for channel, slug in every_channel(settings)]
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._turns:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """What was not told yet is told after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> int:
        """Tell each channel what it is owed; returns how many messages were delivered."""
        with alone(self._lock) as is_alone:
            if not is_alone:
                return 0
            await asyncio.to_thread(self._kept.flush)
            # All at once: one that is slow to answer must not keep the others waiting.
            delivered = await asyncio.gather(*(self._tell(turn) for turn in self._turns))
        return sum(delivered)

    async def _tell(self, turn: _Turn) -> int:
        now, elapsed = self._clock.now(), self._clock.elapsed()
        if turn.not_before is not None and elapsed < turn.not_before:
            return 0
        delivered = 0
        for owed in await asyncio.to_thread(self._kept.owed, turn.channel.name, turn.organisation):
            try:
                await turn.channel.tell(self._deployment, owed, now)
            except NotDelivered as error:
                log.error("alert_not_delivered", channel=turn.channel.name, error=str(error))
                turn.not_before = elapsed + turn.wait.total_seconds()
                turn.wait = min(2 * turn.wait, _LONGEST_WAIT)
                return delivered
            await asyncio.to_thread(self._kept.told, turn.channel.name, owed)
            delivered += 1
        turn.not_before, turn.wait = None, _FIRST_WAIT
        return delivered

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the timer must outlive a disk that is full
                log.error("alerts_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_SECONDS)


async def try_channels(
    settings: AlertSettings, deployment: str, now: datetime
) -> list[tuple[str, str | None]]:
    """Send a trial to every channel; returns each one's name and its fault, or None where it was taken."""
    trial = Owed(AlertKind.TEST, None, int(now.timestamp()), 1, now)
    tried: list[tuple[str, str | None]] = []
    for channel, _ in every_channel(settings):
        try:
            await channel.tell(deployment, trial, now)
        except NotDelivered as error:
            tried.append((channel.name, str(error)))
        else:
            tried.append((channel.name, None))
    return tried
