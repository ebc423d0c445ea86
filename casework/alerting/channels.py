"""The ways out: a mail, or a webhook. Either says what kind of thing happened and how often, and nothing else.

No organisation is named: who receives it knows whose auditor she is, and whoever reads over a shoulder, or a
mail server on the way, need not.
"""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Protocol

import aiosmtplib
import httpx
import msgspec

from casework.alerting.config import (
    AlertSettings,
    Security,
    Smtp,
    Webhook,
    password_of,
    secret_of,
    url_of,
)
from casework.alerting.kept import Owed
from casework.alerting.words import WORDS

# Of each step of a delivery, and of all of it: who answers a byte now and then would keep every other waiting.
_TIMEOUT = timedelta(seconds=10)
_WHOLE = timedelta(seconds=30)


class NotDelivered(Exception):
    """The channel did not take it: away, refusing, or not who it should be."""


class Channel(Protocol):
    """A way to somebody."""

    @property
    def name(self) -> str:
        """What it goes by among those who were told; the same after a restart."""
        ...

    async def tell(self, deployment: str, owed: Owed, now: datetime) -> None:
        """Deliver one message.

        Raises:
            NotDelivered: try again later.

        """
        ...


def every_channel(settings: AlertSettings) -> list[tuple[Channel, str | None]]:
    """All channels, each with the organisation that it is told of; the deployment's (None) of everything."""
    everybody = [(None, settings.deployment), *sorted(settings.organisations.items())]
    channels: list[tuple[Channel, str | None]] = []
    for slug, recipients in everybody:
        # No organisation's slug holds a dot.
        place = slug or ".deployment"
        if recipients.mail and settings.smtp is not None:
            channels.append((Mail(f"mail:{place}", settings.smtp, recipients.mail), slug))
        if recipients.webhook is not None:
            channels.append((Hook(f"webhook:{place}", recipients.webhook), slug))
    return channels


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to all addresses of a place, by SMTP (RFC 5321) under TLS."""

    name: str
    smtp: Smtp
    to: Sequence[str]

    async def tell(self, deployment: str, owed: Owed, now: datetime) -> None:
        words = WORDS[owed.kind]
        await self.send(
            f"[{deployment}] {words.title}",
            f"{words.sentence}\n\n{_how_often(owed)}\n{words.advice}\n\nDéploiement : {deployment}\n"
            "Ce message ne contient aucune donnée. Ne répondez pas : ouvrez le service.\n",
            _id(self.name, deployment, owed),
            now,
        )

    async def send(self, subject: str, text: str, message_id: str, now: datetime) -> None:
        """Deliver a mail; one id is one message, however often it has to be sent.

        Raises:
            NotDelivered: the server is away, or refuses an address.

        """
        domain = self.smtp.sender.rpartition("@")[2]
        message = EmailMessage()
        message["From"] = self.smtp.sender
        message["To"] = ", ".join(self.to)
        message["Subject"] = subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{message_id}@{domain}>"
        # RFC 3834: no answering machine answers this.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            async with asyncio.timeout(_WHOLE.total_seconds()):
                await aiosmtplib.send(
                    message,
                    hostname=self.smtp.host,
                    port=self.smtp.port,
                    username=self.smtp.user,
                    password=password_of(self.smtp),
                    use_tls=self.smtp.security is Security.TLS,
                    start_tls=self.smtp.security is Security.STARTTLS,
                    # Not this machine's name: to ask for it may take longer than the mail, and nobody need know it.
                    local_hostname=domain,
                    timeout=_TIMEOUT.total_seconds(),
                )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class Hook:
    """A POST of JSON, signed as Standard Webhooks 1.0.0 says, so that the receiver knows who asks."""

    name: str
    webhook: Webhook

    async def tell(self, deployment: str, owed: Owed, now: datetime) -> None:
        body = msgspec.json.encode(
            {
                "type": f"casework.{owed.kind.value}",
                "timestamp": now,
                "data": {
                    "deployment": deployment,
                    "title": WORDS[owed.kind].title,
                    "count": owed.count,
                    "last": owed.last,
                },
            }
        )
        message_id = _id(self.name, deployment, owed)
        stamp = str(int(now.timestamp()))
        signed = f"{message_id}.{stamp}.".encode() + body
        signature = hmac.digest(secret_of(self.webhook).reveal(), signed, "sha256")
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{b64encode(signature).decode()}",
        }
        try:
            # No proxy or certificate of the environment, no redirect: to this address or not at all.
            async with (
                asyncio.timeout(_WHOLE.total_seconds()),
                httpx.AsyncClient(timeout=_TIMEOUT.total_seconds(), trust_env=False) as client,
                client.stream("POST", url_of(self.webhook), content=body, headers=headers) as answer,
            ):
                # The status is all that is read: what follows it may have no end.
                is_taken, status = answer.is_success, answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise NotDelivered(type(error).__name__) from None
        if not is_taken:
            raise NotDelivered(f"status {status}")


def _how_often(owed: Owed) -> str:
    last = owed.last.strftime("%d/%m/%Y à %H:%M UTC")
    if owed.count == 1:
        return f"Une fois, le {last}."
    return f"{owed.count} fois depuis le dernier message, la dernière le {last}."


def _id(channel: str, deployment: str, owed: Owed) -> str:
    """Sent twice it is the same message: whoever receives it may drop the second."""
    parts = (channel, deployment, owed.kind.value, owed.organisation or "", str(owed.total))
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
