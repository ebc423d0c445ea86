"""Retention of the journal: of each log, what is older than its organisation's period is pruned.

Only what verifies is pruned. Otherwise whoever rewrote entries, or their times, would have the service itself do
away with what shows it.
"""

import asyncio
import calendar
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from audit.checkpoint import Checkpoint
from audit.pruning import explained_below, prunable_below, prune_step, pruned_below
from audit.review import Period, spots
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from audit.verdict import Verdict
from audit.verifier import PRUNE_ACTION, Progress
from casework.audit_review.findings import EMERGENCY, overdue_emergencies
from casework.audit_review.reviewing import stored_reviews
from casework.clock import microseconds
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.integration import PERIOD_SECONDS, Integration
from casework.integrity import verify_log
from casework.journal import Deed, Who
from casework.organisations.periods import LONGEST, USUAL, journal_months
from casework.rights.holding import held_since

# Runs its argument in one committed transaction with the pruner's rights.
Prune = Callable[[Callable[[Connection], int]], Awaitable[int]]

_WAIT_SECONDS: Final = 30


class NotCovered(Exception):
    """No checkpoint came to cover the entry that says what is pruned: nothing was dropped."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What retention finds, or does, in one log. `slug` is None for the deployment's own.

    Entries from `was` (included) to `minimum` go; they are older than `before`. `is_held`: a legal hold keeps more
    than the period would; `is_unreviewed`: an emergency access that nobody reviewed does. `refused`: the verdict
    for which nothing goes.
    """

    slug: str | None
    months: int
    before: datetime
    was: int
    minimum: int
    is_held: bool
    is_unreviewed: bool
    refused: Verdict | None = None

    @property
    def count(self) -> int:
        return self.minimum - self.was if self.refused is None else 0


def months_before(moment: datetime, months: int) -> datetime:
    """The same day of an earlier month, or that month's last day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


async def find_prunable(deployment: Deployment, advance: Progress) -> AsyncIterator[tuple[UUID, Pruning]]:
    """Each log, the deployment's own first, and what of it is to go; changes nothing.

    Raises:
        SigningKeyRefused, StateRefused, JournalRefused: what stands in the way of verifying it.

    """
    logs: dict[UUID, str | None] = {UUID(bytes=DEPLOYMENT_LOG): None}
    for log, slug in (logs | deployment.slugs).items():
        # Before the snapshot: a service that runs publishes what it has committed.
        published = SignerState(deployment.settings.state_dir).last(deployment.journal.origin(slug))

        look = partial(
            _find_verified,
            deployment=deployment,
            log=log,
            slug=slug,
            published=published,
            advance=advance,
        )
        yield log, await deployment.database.snapshot(look, log)


async def prune(deployment: Deployment, log: UUID, found: Pruning, as_pruner: Prune) -> None:
    """Journal that `log` is pruned up to `found.minimum`, wait for the checkpoint that covers that, and drop it.

    Begun again after a kill, it finds what was said already and goes on from where it was. The entries of the log
    may go on being written and integrated by others meanwhile.

    Raises:
        NotCovered: no checkpoint covered the entry in time.
        JournalRefused, StateRefused: the journal is not what was last published of it.

    """
    if not await _is_explained(deployment, log, found.minimum):
        await deployment.database.unit(partial(_announce, deployment, log, found))
        await _wait_for_checkpoint(deployment, log, found.minimum)
    step = partial(prune_step, log=log.bytes, minimum=found.minimum)
    while await as_pruner(step) < found.minimum:
        pass


def _find_verified(
    connection: Connection,
    deployment: Deployment,
    log: UUID,
    slug: str | None,
    published: Checkpoint | None,
    advance: Progress,
) -> Pruning:
    found = _find(connection, log, slug, deployment.clock.now())
    if not found.count:
        return found
    state_dir, origin = deployment.settings.state_dir, deployment.journal.origin(slug)
    report = verify_log(connection, state_dir, log.bytes, origin, published, advance)
    is_sound = report.verdict in {Verdict.VALID, Verdict.VALID_PRUNED}
    return found if is_sound else replace(found, refused=report.verdict)


def _find(connection: Connection, log: UUID, slug: str | None, now: datetime) -> Pruning:
    months = journal_months(connection, log) if slug is not None else USUAL
    expired = months_before(now, months)
    held = held_since(connection, log, now)
    unreviewed = _unreviewed_since(connection, log, now)
    before = min(moment for moment in (expired, held, unreviewed) if moment is not None)
    was = pruned_below(connection, log.bytes)
    return Pruning(
        slug=slug,
        months=months,
        before=before.astimezone(UTC),
        was=was,
        minimum=prunable_below(connection, log.bytes, microseconds(before)),
        is_held=held is not None and held < expired,
        is_unreviewed=unreviewed is not None and unreviewed < expired,
    )


def _unreviewed_since(connection: Connection, log: UUID, now: datetime) -> datetime | None:
    """From when on entries are kept for emergencies that nobody reviewed; never beyond the longest period."""
    ever = Period(since=0, until=microseconds(now))
    found = spots(connection, log.bytes, ever, EMERGENCY)
    reviews = stored_reviews(connection, log, datetime.fromtimestamp(0, UTC))
    waiting = [spot.time for spot in overdue_emergencies(found, reviews, now)]
    if not waiting:
        return None
    oldest = datetime.fromtimestamp(min(waiting) / 1_000_000, UTC)
    return max(oldest, months_before(now, LONGEST))


def _announce(deployment: Deployment, log: UUID, found: Pruning, unit: UnitOfWork) -> None:
    org = (log, found.slug) if found.slug is not None else None
    deployment.journal.record(unit, org, Who(uuid4()), Deed(PRUNE_ACTION, count=found.minimum))


async def _is_explained(deployment: Deployment, log: UUID, minimum: int) -> bool:
    return await deployment.database.snapshot(lambda view: explained_below(view, log.bytes) >= minimum, log)


async def _wait_for_checkpoint(deployment: Deployment, log: UUID, minimum: int) -> None:
    """Until the announcement is under a checkpoint: the service's integrator makes it, or this process."""
    integration = Integration(deployment)
    for _ in range(round(_WAIT_SECONDS / PERIOD_SECONDS)):
        await integration.round()
        if await _is_explained(deployment, log, minimum):
            return
        await asyncio.sleep(PERIOD_SECONDS)
    raise NotCovered
