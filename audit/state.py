"""What the signer remembers outside the database: the last tree head it published of each log.

One JSON file in a directory that no database backup holds. A database that was rolled back or rewritten no
longer leads to it, and the integrator refuses to sign (C2SP tlog-checkpoint: a log must not sign what is
inconsistent with what it signed before).
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from audit.checkpoint import Checkpoint
from audit.entry import Hex32, Positive
from audit.errors import StateRefused

FILE_NAME = "journal-signer.json"
_MODE = 0o600


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    root: Hex32
    size: Positive


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    logs: dict[str, _Head | None]
    v: Literal[1] = 1


class SignerState:
    """The file in `directory`. Several processes of one machine may share it: writers take a lock file."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = directory / (FILE_NAME + ".lock")

    def begin(self, origin: str) -> None:
        """Know `origin` from now on, with nothing published. A log that is known stays as it is.

        Raises:
            StateRefused: the file is unreadable.

        """
        with self._locked():
            logs = self._read()
            if origin not in logs:
                self._write({**logs, origin: None})

    def knows(self, origin: str) -> bool:
        """Whether `begin` was ever called for `origin`.

        Raises:
            StateRefused: the file is unreadable.

        """
        return origin in self._read()

    def last(self, origin: str) -> Checkpoint | None:
        """The last published tree head of `origin`; None where nothing was published.

        Raises:
            StateRefused: the file is unreadable.

        """
        head = self._read().get(origin)
        return Checkpoint(origin, head.size, bytes.fromhex(head.root)) if head is not None else None

    def publish(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Remember the heads of a committed integration, durably, before anybody is shown them.

        A head smaller than the one remembered is passed over: another process has published further since.

        Raises:
            StateRefused: the file is unreadable.

        """
        with self._locked():
            logs = self._read()
            for checkpoint in checkpoints:
                known = logs.get(checkpoint.origin)
                if known is None or known.size < checkpoint.size:
                    logs[checkpoint.origin] = _Head(checkpoint.root.hex(), checkpoint.size)
            self._write(logs)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, _Head | None]:
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=_State)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise StateRefused("the signer's state is not readable") from None
        return state.logs

    def _write(self, logs: dict[str, _Head | None]) -> None:
        raw = msgspec.json.format(msgspec.json.encode(_State(logs), order="sorted"), indent=2)
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
