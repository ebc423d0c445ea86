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
    return {log: [load_signer(state_dir, log, journal.origin(slug))] for log, slug in logs.items()}


def _path(state_dir: Path, log: bytes) -> Path:
    return state_dir / _FOLDER / f"{log.hex()}.key"


def new_key(path: Path) -> SigningKey:
    """Make a signing key and store its seed, durably, for its owner alone; FileExistsError where one is."""
    key = SigningKey.new()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.seed.reveal())
        file.flush()
        os.fsync(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
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
