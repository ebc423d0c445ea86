"""Who is told of alerts: the TOML file that `CASEWORK_ALERTS_FILE` names (docs/how-to/alerts.md)."""

import re
import stat
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from casework.settings import SettingRefused
from crypto.secret import Secret

SETTING = "CASEWORK_ALERTS_FILE"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What msgspec says begins with a rule and ends with a place; the rule may quote what was written.
_FIELD = re.compile(r"at `\$\.?(?P<field>[^`]*)`\Z")
# Standard Webhooks: the secret is base64 behind this mark, 24 to 64 bytes.
_SECRET_MARK = "whsec_"  # noqa: S105 - the mark before a secret
_SECRET_BYTES = range(24, 65)

Address = Annotated[str, Meta(pattern=r"\A[^\s@<>,;]+@[^\s@<>,;]+\Z", max_length=254)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Slug = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]*\Z")]


class Security(StrEnum):
    """How the connection to the mail server is protected; `none` to this machine alone."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Smtp(Struct, frozen=True, forbid_unknown_fields=True):
    """The server that takes the mails."""

    host: Annotated[str, Meta(min_length=1)]
    port: Port
    sender: Address
    security: Security = Security.STARTTLS
    user: str | None = None
    password_file: str | None = None


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """Files, because an address may hold a token: one line each, mode 0600."""

    url_file: str
    secret_file: str


class Recipients(Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever is told."""

    mail: tuple[Address, ...] = ()
    webhook: Webhook | None = None


class OfOrganisation(Recipients, frozen=True, forbid_unknown_fields=True):
    """`reminders`: the desk that is reminded of what waits for its answer, which is no alert."""

    reminders: tuple[Address, ...] = ()


class AlertSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`deployment` is told of everything, `organisations` (by slug) of what concerns their own journal."""

    deployment: Recipients = Recipients()
    organisations: dict[Slug, OfOrganisation] = {}
    smtp: Smtp | None = None


def read_settings(path: Path) -> AlertSettings:
    """The file, and that everything it names is there and is nobody else's.

    Raises:
        SettingRefused: names the field and the rule, never what stands there.

    """
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=AlertSettings)
    except OSError:
        raise SettingRefused(SETTING, "is not a readable file") from None
    except msgspec.ValidationError as error:
        place = _FIELD.search(str(error))
        field = place["field"] if place else "the file"
        raise SettingRefused(SETTING, f"{field}: is not what docs/how-to/alerts.md asks for there") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SettingRefused(SETTING, "is not TOML") from None
    for slug, desk in settings.organisations.items():
        if desk.reminders and settings.smtp is None:
            raise SettingRefused(SETTING, f"organisations.{slug}.reminders: needs a table smtp")
    everybody: dict[str, Recipients] = {"deployment": settings.deployment}
    everybody |= {f"organisations.{slug}": desk for slug, desk in settings.organisations.items()}
    for field, recipients in everybody.items():
        if recipients.mail and settings.smtp is None:
            raise SettingRefused(SETTING, f"{field}.mail: needs a table smtp")
        if recipients.webhook is not None:
            url_of(recipients.webhook, f"{field}.webhook")
            secret_of(recipients.webhook, f"{field}.webhook")
    if settings.smtp is not None:
        _require_safe(settings.smtp)
    return settings


def require_known(settings: AlertSettings, slugs: Iterable[str]) -> None:
    """Every organisation of the file is one of the deployment's: of a misspelt one nobody would ever be told.

    Raises:
        SettingRefused: names the field.

    """
    if not settings.organisations.keys() <= set(slugs):
        raise SettingRefused(SETTING, "organisations: names one that this deployment does not have")


def url_of(webhook: Webhook, field: str = "webhook") -> str:
    """The address: https, or http on this machine."""
    url = _line(webhook.url_file, f"{field}.url_file")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise SettingRefused(SETTING, f"{field}.url_file: is not a URL") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(host)):
        raise SettingRefused(SETTING, f"{field}.url_file: must be https")
    return url


def secret_of(webhook: Webhook, field: str = "webhook") -> Secret:
    """The key that its messages are signed with."""
    line = _line(webhook.secret_file, f"{field}.secret_file")
    try:
        raw = b64decode(line.removeprefix(_SECRET_MARK), validate=True)
    except (BinasciiError, ValueError):
        raw = b""
    if not line.startswith(_SECRET_MARK) or len(raw) not in _SECRET_BYTES:
        raise SettingRefused(SETTING, f"{field}.secret_file: must be whsec_ and 24 to 64 bytes in base64")
    return Secret(raw)


def password_of(smtp: Smtp) -> str | None:
    return _line(smtp.password_file, "smtp.password_file") if smtp.password_file is not None else None


def is_here(host: str) -> bool:
    """Whether it is this machine, by its name or its address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_safe(smtp: Smtp) -> None:
    if smtp.security is Security.NONE and not is_here(smtp.host):
        raise SettingRefused(SETTING, "smtp.security: none is for this machine alone")
    if (smtp.user is None) is not (smtp.password_file is None):
        raise SettingRefused(SETTING, "smtp.user: goes with password_file")
    password_of(smtp)


def _line(path: str, field: str) -> str:
    file = Path(path)
    try:
        others = file.stat().st_mode & _OTHERS
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        raise SettingRefused(SETTING, f"{field}: is not a readable file") from None
    if others:
        raise SettingRefused(SETTING, f"{field}: must be its owner's alone (mode 0600)")
    if not text or "\n" in text:
        raise SettingRefused(SETTING, f"{field}: must hold one line")
    return text
