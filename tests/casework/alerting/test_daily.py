"""The day's checkpoint reaches each organisation once a day, and verifies what it was taken from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from audit.checkpoint import parse_checkpoint
from casework.alerting.config import AlertSettings, Recipients, Security, Smtp
from casework.alerting.daily import DailyCheckpoints
from casework.alerting.delivery import Delivery
from casework.alerting.kept import KeptAlerts
from casework.integration import Integration
from tests.casework.alerting.receivers import Mailbox, mail_server
from tests.casework.centre import Centre


def daily(centre: Centre, mailbox: Mailbox, folder: Path) -> Delivery:
    deployment = centre.deployment
    settings = AlertSettings(
        deployment=Recipients(mail=("garde@example.org",)),
        organisations={"avec": Recipients(mail=("auditrice@avec.example.org",))},
        smtp=Smtp("127.0.0.1", mailbox.port, "casework@example.org", Security.NONE),
    )
    kept = KeptAlerts(folder, centre.clock)
    checkpoints = DailyCheckpoints(settings, kept, deployment.database, deployment.slugs)
    return Delivery(settings, kept, checkpoints, folder, deployment.journal.origin(None), centre.clock)


async def test_each_is_sent_her_own_logs_checkpoint_once_a_day(centre: Centre, tmp_path: Path) -> None:
    await centre.sign_in("avec.social")
    at_six = datetime.now(UTC).replace(hour=6, minute=0) + timedelta(days=1)
    async with mail_server(None) as mailbox:
        telling = daily(centre, mailbox, tmp_path)
        while await Integration(centre.deployment).round():
            pass
        centre.clock.offset += at_six - centre.clock.now() - timedelta(minutes=1)
        assert await telling.round() == 0
        centre.clock.offset += timedelta(minutes=1)
        mailbox.is_away = True
        assert await telling.round() == 0
        mailbox.is_away = False
        centre.clock.offset += timedelta(minutes=10)
        sent = await telling.round()
        assert await daily(centre, mailbox, tmp_path).round() == 0
        centre.clock.offset += timedelta(days=1)
        assert await telling.round() == sent
    by_receiver = dict(zip((to for (to,) in mailbox.recipients[:sent]), mailbox.mails[:sent], strict=True))
    mail = by_receiver["auditrice@avec.example.org"]
    (attached,) = mail.iter_attachments()
    note = attached.get_content().replace("\r\n", "\n")
    checkpoint = parse_checkpoint(note).checkpoint
    assert checkpoint.origin == centre.deployment.journal.origin("avec")
    assert attached.get_filename() == f"point-de-controle-{at_six.date().isoformat()}.txt"
    body = mail.get_body()
    assert body is not None
    assert note in body.get_content().replace("\r\n", "\n")
    assert mail["Subject"].endswith(f"Point de contrôle du journal, {at_six:%d/%m/%Y}")
