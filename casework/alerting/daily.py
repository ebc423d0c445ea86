"""The day's checkpoint by mail: an anchor that nobody on the server can take back (design: witnessing).

Each organisation's own addresses are sent its log's newest signed checkpoint once a day, the deployment's the
deployment's. Whoever keeps the mails needs nothing else to notice that the journal was rewritten.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from audit.errors import NothingPublished
from audit.log import latest_checkpoint
from audit.tables import DEPLOYMENT_LOG
from casework.alerting.channels import Mail, mails_of
from casework.alerting.config import AlertSettings
from casework.alerting.kept import KeptAlerts
from casework.database import Database

# The hour (UTC) from which on a day's mail is due.
DUE_HOUR = 6

_TEXT = """Le point de contrôle du jour est joint à ce message, et répété ci-dessous.

Gardez-le hors du service. Un journal qui serait récrit ou raccourci ne pourrait plus lui correspondre :

    casework audit verify ARCHIVE.zip --trusted {file}

{note}"""


class DailyCheckpoints:
    """Whom to send which log's checkpoint."""

    def __init__(
        self, settings: AlertSettings, kept: KeptAlerts, database: Database, slugs: Mapping[UUID, str]
    ) -> None:
        ids = {slug: org_id for org_id, slug in slugs.items()}
        self._mails = [
            (mail, ids[slug] if slug is not None else UUID(bytes=DEPLOYMENT_LOG))
            for mail, slug in mails_of(settings)
        ]
        self._kept = kept
        self._database = database

    async def send_due(self, deployment: str, now: datetime) -> int:
        """Send those of today that were not sent; returns how many were.

        Raises:
            NotDelivered: one was not taken; those before it were.

        """
        day = now.date().isoformat()
        if now.hour < DUE_HOUR:
            return 0
        sent = 0
        for mail, log in self._mails:
            if self._kept.was_sent(mail.name, day):
                continue
            note = await self._newest(log)
            if note is None:
                continue
            await _send(mail, deployment, note, day, now)
            self._kept.sent(mail.name, day)
            sent += 1
        return sent

    async def _newest(self, log: UUID) -> str | None:
        try:
            return await self._database.snapshot(
                lambda connection: latest_checkpoint(connection, log.bytes), log
            )
        except NothingPublished:
            return None


async def _send(mail: Mail, deployment: str, note: str, day: str, now: datetime) -> None:
    file = f"point-de-controle-{day}.txt"
    await mail.send(
        f"[{deployment}] Point de contrôle du journal, {now:%d/%m/%Y}",
        _TEXT.format(file=file, note=note),
        f"{mail.name.replace(':', '-')}.{day}",
        now,
        attached=(file, note),
    )
