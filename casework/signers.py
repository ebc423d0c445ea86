"""The journal's signing keys: one file per log in the state directory, never in a database or its backup."""

import os
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from audit.checkpoint import NoteSigner
from audit.integrator import open_log
from audit.rollup import ROLLUP
from audit.tables import DEPLOYMENT_LOG, ROLLUP_LOG
from casework.journal import Journal
from crypto.secret import Secret
from crypto.signing import SigningKey

_FOLDER = "journal-keys"
_SEED_SIZE = 32


class SigningKeyRefused(Exception):
    """A journal's signing key is missing, damaged, or readable by others."""


def new_signer(state_dir: Path, log: bytes, origin: str) -> NoteSigner:
    """Make and store the signing key of a new log; an existing one is never overwritten (FileExistsError)."""
    (state_dir / _FOLDER).mkdir(mode=0o700, exist_ok=True)
    return NoteSigner(origin, new_key(_path(state_dir, log)))


def load_signer(state_dir: Path, log: bytes, origin: str) -> NoteSigner:
    """The signer of a log.

    Raises:
        SigningKeyRefused: no file of a seed's 32 bytes that its owner alone may use.

    """
    return NoteSigner(origin, load_key(_path(state_dir, log)))


def rollup_signer(state_dir: Path, journal: Journal) -> NoteSigner:
    """The signer of the roll-up log.

    Raises:
        SigningKeyRefused: see `load_signer`.

    """
    return load_signer(state_dir, ROLLUP_LOG, journal.origin(ROLLUP))


def open_rollup(connection: Connection, state_dir: Path, journal: Journal) -> NoteSigner:
    """Begin the roll-up log of a deployment, with the key that an earlier attempt may have left."""
    origin = journal.origin(ROLLUP)
    open_log(connection, ROLLUP_LOG, origin)
    if _path(state_dir, ROLLUP_LOG).exists():
        return rollup_signer(state_dir, journal)
    return new_signer(state_dir, ROLLUP_LOG, origin)


def all_signers(state_dir: Path, journal: Journal, slugs: dict[UUID, str]) -> dict[bytes, list[NoteSigner]]:
    """The signers of the deployment's own log and of every organisation's: of all logs that have entries."""
    logs: dict[bytes, str | None] = {DEPLOYMENT_LOG: None}
    logs |= {org_id.bytes: slug for org_id, slug in slugs.items()}
    return {log: log_signers(state_dir, log, journal.origin(slug)) for log, slug in logs.items()}


def log_signers(state_dir: Path, log: bytes, origin: str) -> list[NoteSigner]:
    """The signer of a log, and its successor where one was begun.

    Raises:
        SigningKeyRefused: see `load_signer`.

    """
    signers = [load_signer(state_dir, log, origin)]
    if _successor(state_dir, log).exists():
        signers.append(NoteSigner(origin, load_key(_successor(state_dir, log))))
    return signers


def begin_succession(state_dir: Path, log: bytes, origin: str) -> NoteSigner:
    """The key that shall replace the log's: the one that was begun, or a new one, on disk when this returns."""
    path = _successor(state_dir, log)
    # A kill while it was written leaves a piece of a key, which has signed nothing.
    if path.exists() and path.stat().st_size < _SEED_SIZE:
        path.unlink()
    return NoteSigner(origin, load_key(path) if path.exists() else new_key(path))


def end_succession(state_dir: Path, log: bytes) -> None:
    """Let the successor take the place of the log's key, which is destroyed; once the log has retired it."""
    _successor(state_dir, log).replace(_path(state_dir, log))
    _sync(state_dir / _FOLDER)


class Signers:
    """The signers of all logs as they are now: read anew once a key was begun or replaced, by any process."""

    def __init__(self, state_dir: Path, journal: Journal, slugs: dict[UUID, str]) -> None:
        self._arguments = state_dir, journal, slugs
        self._seen = self._writing()
        self._signers = all_signers(*self._arguments)

    def current(self) -> dict[bytes, list[NoteSigner]]:
        """The same mapping as before, unless it changed.

        Raises:
            SigningKeyRefused: see `load_signer`.

        """
        seen = self._writing()
        if seen != self._seen:
            self._signers = all_signers(*self._arguments)
            self._seen = seen
        return self._signers

    def _writing(self) -> tuple[int, frozenset[str]]:
        folder = self._arguments[0] / _FOLDER
        return folder.stat().st_mtime_ns, frozenset(path.name for path in folder.iterdir())


def _path(state_dir: Path, log: bytes) -> Path:
    return state_dir / _FOLDER / f"{log.hex()}.key"


def _successor(state_dir: Path, log: bytes) -> Path:
    return state_dir / _FOLDER / f"{log.hex()}.successor.key"


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def new_key(path: Path) -> SigningKey:
    """Make a signing key and store its seed, durably, for its owner alone; FileExistsError where one is."""
    key = SigningKey.new()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.seed.reveal())
        file.flush()
        os.fsync(descriptor)
    _sync(path.parent)
    return key


def load_key(path: Path) -> SigningKey:
    """A stored signing key.

    Raises:
        SigningKeyRefused: no file of a seed's 32 bytes that its owner alone may use.

    """
    try:
        raw = path.read_bytes()
        lax = path.stat().st_mode & 0o077
    except OSError:
        raise SigningKeyRefused from None
    if lax or len(raw) != _SEED_SIZE:
        raise SigningKeyRefused
    return SigningKey.from_seed(Secret(raw))
