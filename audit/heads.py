"""Tree heads that must not be forgotten, by origin: one JSON file, replaced whole, outside any database."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from audit.checkpoint import Checkpoint
from audit.entry import Hex32, Positive
from audit.errors import StateRefused

_MODE = 0o600


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    root: Hex32
    size: Positive


class _Heads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    logs: dict[str, _Head | None]
    v: Literal[1] = 1


class HeadsFile:
    """The file at `path`. Several processes of one machine may share it: writers hold the lock file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_name(path.name + ".lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else who asks for the lock reads or writes meanwhile: no other process, and no other thread."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> dict[str, Checkpoint | None]:
        """Every origin with its head, or None of a log that began; empty where there is no file.

        Raises:
            StateRefused: the file is unreadable.

        """
        try:
            heads = msgspec.json.decode(self.path.read_bytes(), type=_Heads)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise StateRefused("the signer's state is not readable") from None
        return {
            origin: Checkpoint(origin, head.size, bytes.fromhex(head.root)) if head is not None else None
            for origin, head in heads.logs.items()
        }

    def write(self, heads: Mapping[str, Checkpoint | None]) -> None:
        """Replace the file; what is written is durable when this returns."""
        logs = {
            origin: _Head(head.root.hex(), head.size) if head is not None else None
            for origin, head in heads.items()
        }
        raw = msgspec.json.format(msgspec.json.encode(_Heads(logs), order="sorted"), indent=2)
        draft = self.path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
