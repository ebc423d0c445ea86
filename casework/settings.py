"""Configuration by environment. A missing or unsafe value is an error at start that names it, never its content."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from audit.checkpoint import SignatureType, VerificationKey
from audit.errors import NoteRefused

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingRefused(Exception):
    """A setting is missing or unsafe. Says which and why, not what it was."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name}: {rule}")
        self.name = name


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """A witness that partners or we trust: where it answers (the prefix of `add-checkpoint`), and its key."""

    url: str
    key: VerificationKey


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything is.

    `data_dir` holds the SQLite files, `state_dir` what must never be in a database backup: the journal's signing
    keys, the last published checkpoints, the highest directory epochs. The pepper stands apart from both.
    `managed_networks` are those whose machines count as managed devices. `witnesses` sign the roll-up log.
    `alerts_file` says who is told of alerts (`casework/alerting/config.py`); without it they are logged alone.
    """

    database_url: URL
    integrator_url: URL
    shred_url: URL
    data_dir: Path
    state_dir: Path
    pepper_file: Path
    managed_networks: tuple[IPv4Network | IPv6Network, ...]
    witnesses: tuple[WitnessAddress, ...] = ()
    alerts_file: Path | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.get_backend_name() == "sqlite"

    @property
    def sqlite_path(self) -> Path:
        return Path(self.database_url.database or "")


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read `CASEWORK_*`.

    Raises:
        SettingRefused: a value is missing, unparsable, or puts a secret where it must not be.

    """
    data_dir = _directory(environment, "CASEWORK_DATA_DIR")
    state_dir = _directory(environment, "CASEWORK_STATE_DIR")
    pepper_file = Path(_required(environment, "CASEWORK_PEPPER_FILE")).absolute()
    database_url = _url(environment, "CASEWORK_DATABASE_URL", f"sqlite:///{data_dir / 'casework.db'}")
    shred_url = _url(environment, "CASEWORK_SHRED_URL", f"sqlite:///{data_dir / 'shreds.db'}")
    if database_url.get_backend_name() == "sqlite":
        integrator_url = database_url
    else:
        integrator_url = _url(environment, "CASEWORK_INTEGRATOR_URL", None)
        if integrator_url.get_backend_name() != "postgresql":
            raise SettingRefused("CASEWORK_INTEGRATOR_URL", "must be postgresql+asyncpg://")
    if _place(shred_url) == _place(database_url):
        raise SettingRefused("CASEWORK_SHRED_URL", "must be another database than CASEWORK_DATABASE_URL")
    for forbidden, name in ((data_dir, "CASEWORK_DATA_DIR"), (state_dir, "CASEWORK_STATE_DIR")):
        if pepper_file.resolve().is_relative_to(forbidden.resolve()):
            raise SettingRefused("CASEWORK_PEPPER_FILE", f"must not be inside {name}")
    if state_dir.resolve().is_relative_to(data_dir.resolve()):
        raise SettingRefused("CASEWORK_STATE_DIR", "must not be inside CASEWORK_DATA_DIR")
    alerts_file = environment.get("CASEWORK_ALERTS_FILE")
    return Settings(
        database_url,
        integrator_url,
        shred_url,
        data_dir,
        state_dir,
        pepper_file,
        _networks(environment),
        _witnesses(environment),
        Path(alerts_file).absolute() if alerts_file else None,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingRefused(name, "is not set")
    return value


def _directory(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name)).absolute()
    if not path.is_dir():
        raise SettingRefused(name, "is not a directory")
    return path


def _networks(environment: Mapping[str, str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks whose machines count as managed devices; without the setting, this machine alone."""
    value = environment.get("CASEWORK_MANAGED_NETWORKS", "127.0.0.0/8,::1/128")
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError:
        raise SettingRefused("CASEWORK_MANAGED_NETWORKS", "is not a list of networks") from None


def _witnesses(environment: Mapping[str, str]) -> tuple[WitnessAddress, ...]:
    """`CASEWORK_WITNESSES`: address and verification key of each witness, all separated by spaces."""
    name = "CASEWORK_WITNESSES"
    words = environment.get(name, "").split()
    pairs = list(zip(words[::2], words[1::2], strict=False))
    if len(pairs) * 2 != len(words):
        raise SettingRefused(name, "is not a list of addresses, each with its key")
    for url, _ in pairs:
        address = urlsplit(url)
        # What is sent is no secret, but the answer decides whether the journal is vouched for.
        if address.scheme != "https" and address.hostname not in _THIS_MACHINE:
            raise SettingRefused(name, "must be https://")
    try:
        return tuple(WitnessAddress(url.rstrip("/"), _witness_key(key)) for url, key in pairs)
    except NoteRefused:
        raise SettingRefused(name, "is not a list of addresses, each with its key") from None


def _witness_key(vkey: str) -> VerificationKey:
    key = VerificationKey.parse(vkey)
    if key.type is not SignatureType.COSIGNATURE:
        raise NoteRefused("not the key of a witness")
    return key


def _url(environment: Mapping[str, str], name: str, default: str | None) -> URL:
    value = environment.get(name) or default
    if value is None:
        raise SettingRefused(name, "is not set")
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise SettingRefused(name, "is not a database URL") from None
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise SettingRefused(name, "must be sqlite:/// or postgresql+asyncpg://")
    if url.password is not None or "password" in url.query:
        raise SettingRefused(name, "must hold no password: PGPASSFILE names the file that does")
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+asyncpg")
    if not url.database or not Path(url.database).is_absolute():
        raise SettingRefused(name, "must be sqlite:/// and the absolute path of a file")
    return url


def _place(url: URL) -> tuple[str, str | Path | None]:
    """What two URLs have in common that name one database, however its path is written."""
    backend = url.get_backend_name()
    return backend, Path(url.database or "").resolve() if backend == "sqlite" else url.database
