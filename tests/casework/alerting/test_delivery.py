"""Alerts reach who is to be told, once, with nothing in them; and nobody else can read or forge them."""

import hmac
import json
import sqlite3
import ssl
from base64 import b64decode, b64encode
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from casework.alerting import channels
from casework.alerting.config import AlertSettings, Recipients, Security, Smtp, Webhook
from casework.alerting.delivery import LOCK_NAME, Delivery
from casework.alerting.kept import FILE_NAME, QUIET, TOLD_WITHIN, KeptAlerts
from casework.alerts import AlertKind, alert, keep_alerts
from casework.alone import alone
from casework.clock import Clock
from tests.casework.alerting.receivers import (
    PASSWORD,
    USER,
    Chatterer,
    chattering,
    mail_server,
    webhook_receiver,
)

DEPLOYMENT = "centre.example.org"
SECRET = bytes(range(32))


class Hands(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 28, 8, 30, tzinfo=UTC)
        self.set_ahead = timedelta()

    def now(self) -> datetime:
        return self.moment

    def elapsed(self) -> float:
        return (self.moment - self.set_ahead - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds()

    def set_by(self, step: timedelta) -> None:
        """Somebody sets the time of day; no time passes."""
        self.moment += step
        self.set_ahead += step


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept(tmp_path: Path, clock: Hands) -> KeptAlerts:
    return KeptAlerts(tmp_path, clock)


def secret_file(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def webhook(folder: Path, url: str) -> Webhook:
    return Webhook(
        secret_file(folder / "url", url),
        secret_file(folder / "secret", "whsec_" + b64encode(SECRET).decode()),
    )


def smtp(port: int, folder: Path, **changed: object) -> Smtp:
    fields: dict[str, object] = {
        "host": "localhost",
        "port": port,
        "sender": "casework@centre.example.org",
        "user": USER,
        "password_file": secret_file(folder / "smtp", PASSWORD),
        **changed,
    }
    return Smtp(**fields)  # type: ignore[arg-type]


def delivery(settings: AlertSettings, kept: KeptAlerts, folder: Path, clock: Clock) -> Delivery:
    return Delivery(settings, kept, folder, DEPLOYMENT, clock)


async def test_a_mail_says_what_happened_and_how_often_and_nothing_else(
    tmp_path: Path, kept: KeptAlerts, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path) as mailbox:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        avec = Recipients(mail=("auditrice@avec.example.org", "dpo@avec.example.org"))
        telling = delivery(
            AlertSettings(organisations={"avec": avec}, smtp=smtp(mailbox.port, tmp_path)),
            kept,
            tmp_path,
            clock,
        )
        keep_alerts(kept)
        try:
            alert(AlertKind.HONEYTOKEN_OPENED, organisation="avec", request="6e1f…", case="a case")
            alert(AlertKind.HONEYTOKEN_OPENED, organisation="avec")
            # Of another organisation: none of her business.
            alert(AlertKind.HONEYTOKEN_OPENED, organisation="cidff")
        finally:
            keep_alerts(None)
        assert await telling.round() == 1
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["auditrice@avec.example.org", "dpo@avec.example.org"]]
    assert mailbox.was_encrypted == [True]
    # The sender's domain, and not the machine's own name.
    assert mailbox.greeted_as == ["centre.example.org"]
    assert mail["Subject"] == f"[{DEPLOYMENT}] Un dossier que personne n’a de raison d’ouvrir a été ouvert"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == (
        "Un dossier placé pour cela a été ouvert ou modifié.\n\n"
        "2 fois depuis le dernier message, la dernière le 28/11/2026 à 08:30 UTC.\n"
        "Ouvrez la revue du journal et cherchez « honeytoken.opened ».\n\n"
        f"Déploiement : {DEPLOYMENT}\n"
        "Ce message ne contient aucune donnée. Ne répondez pas : ouvrez le service.\n"
    )


async def test_a_webhook_is_signed_and_content_free(tmp_path: Path, kept: KeptAlerts, clock: Hands) -> None:
    async with webhook_receiver() as receiver:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        kept.keep(AlertKind.JOURNAL_REFUSED, "avec")
        assert await delivery(settings, kept, tmp_path, clock).round() == 1
    ((headers, body),) = receiver.requests
    assert json.loads(body) == {
        "type": "casework.journal_refused",
        "timestamp": "2026-11-28T08:30:00Z",
        "data": {
            "deployment": DEPLOYMENT,
            "title": "Le journal n’est plus celui qui a été publié",
            "count": 1,
            "last": "2026-11-28T08:30:00Z",
        },
    }
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert b64decode(signature) == hmac.digest(SECRET, signed, "sha256")


async def test_the_same_again_waits_an_hour_and_is_told_as_a_sum(
    tmp_path: Path, kept: KeptAlerts, clock: Hands
) -> None:
    async with webhook_receiver() as receiver:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        telling = delivery(settings, kept, tmp_path, clock)
        kept.keep(AlertKind.JOURNAL_REFUSED, None)
        assert await telling.round() == 1
        for _ in range(300):
            kept.keep(AlertKind.JOURNAL_REFUSED, None)
        # Of another kind: at once.
        kept.keep(AlertKind.CLOCK_STEPPED, None)
        assert await telling.round() == 1
        clock.moment += QUIET - timedelta(seconds=1)
        assert await telling.round() == 0
        clock.moment += timedelta(seconds=1)
        assert await telling.round() == 1
        assert await telling.round() == 0
    told = [json.loads(body) for _, body in receiver.requests]
    assert [(one["type"], one["data"]["count"]) for one in told] == [
        ("casework.journal_refused", 1),
        ("casework.clock_stepped", 1),
        ("casework.journal_refused", 300),
    ]


async def test_a_channel_that_is_away_is_told_later_also_after_a_restart_and_keeps_no_other_waiting(
    tmp_path: Path, kept: KeptAlerts, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path) as mailbox, webhook_receiver() as receiver:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        everybody = Recipients(("garde@example.org",), webhook(tmp_path, receiver.url))
        settings = AlertSettings(deployment=everybody, smtp=smtp(mailbox.port, tmp_path))
        telling = delivery(settings, kept, tmp_path, clock)
        mailbox.is_away = True
        kept.keep(AlertKind.RESTORED, None)
        with capture_logs() as logs:
            assert await telling.round() == 1
        # What an earlier test's thread still has to say is not of this one.
        not_delivered = [line["channel"] for line in logs if line["event"] == "alert_not_delivered"]
        assert not_delivered == ["mail:.deployment"]
        mailbox.is_away = False
        # It is left alone for ten seconds.
        assert await telling.round() == 0
        clock.moment += timedelta(seconds=10)
        assert await telling.round() == 1
        assert (len(mailbox.mails), len(receiver.requests)) == (1, 1)
        mailbox.is_away = True
        kept.keep(AlertKind.CLOCK_STEPPED, None)
        assert await telling.round() == 1
        mailbox.is_away = False
        after_a_restart = delivery(settings, KeptAlerts(tmp_path, clock), tmp_path, clock)
        assert await after_a_restart.round() == 1
        assert await after_a_restart.round() == 0
    assert len(mailbox.mails) == 2


async def test_a_clock_that_ran_ahead_for_a_while_silences_no_alert(
    tmp_path: Path, kept: KeptAlerts, clock: Hands
) -> None:
    """Whoever can set the clock, or the time server, must not be able to buy years of silence."""
    async with webhook_receiver() as receiver:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        telling = delivery(settings, kept, tmp_path, clock)
        clock.set_by(timedelta(days=3_650))
        kept.keep(AlertKind.JOURNAL_REFUSED, None)
        assert await telling.round() == 1
        receiver.answer = "500 Oops"
        kept.keep(AlertKind.RESTORED, None)
        assert await telling.round() == 0
        receiver.answer = "204 No Content"
        clock.set_by(timedelta(days=-3_650))
        kept.keep(AlertKind.JOURNAL_REFUSED, None)
        kept.keep(AlertKind.RESTORED, None)
        clock.moment += timedelta(seconds=10)
        assert await telling.round() == 2
        assert await telling.round() == 0


async def test_one_process_tells_at_a_time(tmp_path: Path, kept: KeptAlerts, clock: Hands) -> None:
    async with webhook_receiver() as receiver:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        telling = delivery(settings, kept, tmp_path, clock)
        kept.keep(AlertKind.RESTORED, None)
        with alone(tmp_path / LOCK_NAME) as is_alone:
            assert is_alone
            assert await telling.round() == 0
        assert await telling.round() == 1
    assert len(receiver.requests) == 1


async def test_a_message_that_is_sent_twice_has_one_id(
    tmp_path: Path, kept: KeptAlerts, clock: Hands
) -> None:
    """A kill between the sending and the note of it: whoever receives both can tell."""
    async with webhook_receiver() as receiver:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        kept.keep(AlertKind.RESTORED, None)
        telling = delivery(settings, kept, tmp_path, clock)
        (turn,) = telling._turns
        (owed,) = kept.owed(turn.channel.name, None)
        await turn.channel.tell(DEPLOYMENT, owed, clock.now())
        assert await telling.round() == 1
    first, second = (headers["webhook-id"] for headers, _ in receiver.requests)
    assert first == second


async def test_a_kind_of_another_version_keeps_no_other_from_being_told(
    tmp_path: Path, kept: KeptAlerts, clock: Hands
) -> None:
    kept.keep(AlertKind.RESTORED, None)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute("INSERT INTO raised SELECT 'of_tomorrow', organisation, total, last FROM raised")
    assert [owed.kind for owed in kept.owed("webhook:.deployment", None)] == [AlertKind.RESTORED]


async def test_a_new_channel_is_not_told_what_is_over(tmp_path: Path, kept: KeptAlerts, clock: Hands) -> None:
    kept.keep(AlertKind.RESTORED, None)
    clock.moment += TOLD_WITHIN
    assert kept.owed("webhook:.deployment", None) == []


async def test_a_redirect_is_not_followed(tmp_path: Path, kept: KeptAlerts, clock: Hands) -> None:
    async with webhook_receiver() as receiver, webhook_receiver() as elsewhere:
        receiver.answer = f"307 Temporary Redirect\r\nlocation: {elsewhere.url}"
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        kept.keep(AlertKind.RESTORED, None)
        assert await delivery(settings, kept, tmp_path, clock).round() == 0
    assert (len(receiver.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize("answer", ["500 Oops", "404 Not Found"])
async def test_an_error_is_not_a_delivery(
    tmp_path: Path, kept: KeptAlerts, clock: Hands, answer: str
) -> None:
    async with webhook_receiver() as receiver:
        receiver.answer = answer
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, receiver.url)))
        kept.keep(AlertKind.RESTORED, None)
        telling = delivery(settings, kept, tmp_path, clock)
        assert await telling.round() == 0
        receiver.answer = "200 OK"
        clock.moment += timedelta(seconds=10)
        assert await telling.round() == 1


async def test_an_answer_without_end_is_not_read(tmp_path: Path, kept: KeptAlerts, clock: Hands) -> None:
    """Whoever holds the webhook's address must not fill the service's memory."""
    endless = Chatterer(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536), pieces=1_024)
    async with chattering(endless) as url:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, url)))
        kept.keep(AlertKind.RESTORED, None)
        assert await delivery(settings, kept, tmp_path, clock).round() == 1
    # What the buffers of both ends hold.
    assert endless.sent < 32 * 1024 * 1024


async def test_an_answer_that_comes_byte_by_byte_keeps_no_other_waiting(
    tmp_path: Path, kept: KeptAlerts, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, and the answer never."""
    monkeypatch.setattr(channels, "_WHOLE", timedelta(seconds=0.3))
    slow = Chatterer(b"HTTP/1.1 200 OK\r\nx: ", b"x", pieces=100, pause=0.02)
    async with chattering(slow) as url:
        settings = AlertSettings(deployment=Recipients(webhook=webhook(tmp_path, url)))
        kept.keep(AlertKind.RESTORED, None)
        with capture_logs() as logs:
            assert await delivery(settings, kept, tmp_path, clock).round() == 0
    assert [(line["event"], line["error"]) for line in logs] == [("alert_not_delivered", "TimeoutError")]


async def test_no_mail_leaves_without_tls_or_to_a_server_of_another_name(
    tmp_path: Path, kept: KeptAlerts, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep(AlertKind.RESTORED, None)
    to = Recipients(mail=("garde@example.org",))
    async with mail_server(None) as plain:
        settings = AlertSettings(deployment=to, smtp=smtp(plain.port, tmp_path))
        with capture_logs() as logs:
            assert await delivery(settings, kept, tmp_path, clock).round() == 0
        assert [line["event"] for line in logs] == ["alert_not_delivered"]
    async with mail_server(tmp_path, "elsewhere.example.org") as other:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        settings = AlertSettings(deployment=to, smtp=smtp(other.port, tmp_path))
        assert await delivery(settings, kept, tmp_path, clock).round() == 0
    assert plain.mails == other.mails == []
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED


async def test_a_server_on_this_machine_may_take_mails_without_tls_where_the_file_says_so(
    tmp_path: Path, kept: KeptAlerts, clock: Hands
) -> None:
    kept.keep(AlertKind.RESTORED, None)
    async with mail_server(None) as mailbox:
        local = smtp(mailbox.port, tmp_path, security=Security.NONE, user=None, password_file=None)
        settings = AlertSettings(deployment=Recipients(mail=("garde@example.org",)), smtp=local)
        assert await delivery(settings, kept, tmp_path, clock).round() == 1
    assert len(mailbox.mails) == 1


def test_an_alert_that_cannot_be_kept_is_still_a_line_of_the_log(tmp_path: Path) -> None:
    keep_alerts(KeptAlerts(tmp_path / "nowhere", Clock()))
    try:
        with capture_logs() as logs:
            alert(AlertKind.CLOCK_STEPPED)
    finally:
        keep_alerts(None)
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("clock_stepped", "critical"),
        ("alert_not_kept", "error"),
    ]
