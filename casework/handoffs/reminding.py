"""Reminders to whoever owes an answer about a handoff: one mail to an organisation's desk that says nothing at all.

What is due follows from the rows alone: a service that was stopped catches up after its start. A mail that a kill
kept from being noted is sent once more, as the same message (RFC 5322 Message-ID).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Row, and_, or_, select, update

from casework.alerting.channels import Mail, NotDelivered
from casework.alerting.config import AlertSettings
from casework.alone import alone
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.handoffs.schemas import Urgency
from casework.handoffs.states import UNANSWERED, Side
from casework.handoffs.tables import handoff_side
from casework.handoffs.untaken import due_at
from casework.journal import Deed, Who
from policies.vocabulary import Stage

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 60
LOCK_NAME: Final = "reminders.lock"
# Neither who, nor which service, nor what kind of organisation: anybody may read over a shoulder.
SUBJECT: Final = "Rappel"
TEXT: Final = (
    "Quelque chose attend une réponse. Ouvrez le service depuis votre poste de travail habituel.\n\n"
    "Ce message ne contient aucune donnée. Ne répondez pas.\n"
)


class Reminders:
    """Reminds until stopped; one process of a machine at a time."""

    def __init__(self, deployment: Deployment, told: AlertSettings) -> None:
        self._deployment = deployment
        self._mails = _desks(told)
        self._lock = deployment.settings.state_dir / LOCK_NAME
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._mails:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> int:
        """Remind each organisation that owes answers; returns how many mails were delivered."""
        with alone(self._lock) as is_alone:
            if not is_alone:
                return 0
            return sum([await self._try(org) for org in tuple(self._deployment.slugs)])

    async def _try(self, org_id: UUID) -> int:
        """What fails for one organisation keeps nothing from the others."""
        try:
            return await self._remind(org_id)
        except Exception as error:  # noqa: BLE001 - said here, and tried again in a minute
            log.error("reminders_failed", error=type(error).__name__)
            return 0

    async def _remind(self, org_id: UUID) -> int:
        slug = self._deployment.slugs[org_id]
        mail = self._mails.get(slug)
        if mail is None:
            return 0
        owed = await self._deployment.database.unit(partial(_owed, org_id=org_id))
        if not owed:
            return 0
        now = self._deployment.clock.now()
        try:
            await mail.send(SUBJECT, TEXT, _message_id(mail.name, owed), now)
        except NotDelivered as error:
            log.error("reminder_not_delivered", organisation=slug, error=str(error))
            return 0
        ids = [row.id for row in owed]
        await self._deployment.database.unit(partial(_note, self._deployment, org_id=org_id, ids=ids))
        return 1

    async def _run(self) -> None:
        while True:
            # First the wait: a service that starts has people waiting.
            await asyncio.sleep(PERIOD_SECONDS)
            try:
                await self.round()
            except OSError as error:
                log.error("reminders_failed", error=type(error).__name__)


def _desks(told: AlertSettings) -> Mapping[str, Mail]:
    smtp = told.smtp
    if smtp is None:
        return {}
    return {
        slug: Mail(f"reminders:{slug}", smtp, recipients.reminders)
        for slug, recipients in told.organisations.items()
        if recipients.reminders
    }


def _owed(unit: UnitOfWork, org_id: UUID) -> Sequence[Row[Any]]:
    """The organisation's handoffs whose next move is its own, and overdue since it was last reminded."""
    unit.enter_organisation(org_id)
    hers_to_answer = and_(handoff_side.c.side == Side.RECEIVER, handoff_side.c.state.in_(UNANSWERED))
    asked = and_(handoff_side.c.side == Side.SENDER, handoff_side.c.state == Stage.NEEDS_INFO)
    query = select(handoff_side).where(handoff_side.c.org_id == org_id, or_(hers_to_answer, asked))
    rows = unit.connection.execute(query.order_by(handoff_side.c.id)).all()
    return [row for row in rows if due_at(Urgency(row.urgency), _since(row)) <= unit.now]


def _since(row: Row[Any]) -> datetime:
    """Since when this side is waited for; from the last reminder on, since then."""
    turn: datetime = row.sent_at if row.side == Side.RECEIVER else row.moved_at
    return max(turn, row.reminded_at) if row.reminded_at is not None else turn


def _note(deployment: Deployment, unit: UnitOfWork, org_id: UUID, ids: Collection[UUID]) -> None:
    unit.enter_organisation(org_id)
    these = (handoff_side.c.org_id == org_id, handoff_side.c.id.in_(ids))
    unit.connection.execute(update(handoff_side).where(*these).values(reminded_at=unit.now))
    own_log = (org_id, deployment.slugs[org_id])
    deployment.journal.record(unit, own_log, Who(uuid4()), Deed("handoff.remind", count=len(ids)))


def _message_id(name: str, owed: Sequence[Row[Any]]) -> str:
    """Of the same reminder the same, however often it has to be sent."""
    parts = [name, *(f"{row.id} {_since(row).isoformat()}" for row in owed)]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
