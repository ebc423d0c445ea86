"""What the lanes of one process have not settled, in a file that outlives it, so that a kill leaves no hole.

A process that is killed takes the numbers of its open transactions with it, and nobody would ever declare them
void. The file names exactly these; the next start closes each lane with an entry that declares them. What was
acknowledged is not among them: an entry that vanished is missed as before.

One slot for each lane: log 16 | writer 36 | last u64be | count u16be | unsettled numbers u64be. A slot is written
by one call, and the page cache keeps it when the process dies. It is not synced: a power cut may leave it behind.
"""

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from audit.lane import Lane

_SLOT_SIZE = 4_096
_SLOT = struct.Struct(">16s36sQH")
_NUMBER = struct.Struct(">Q")
# Of more transactions at once than any process opens, the highest numbers are left out, and would be missed.
_MOST_UNSETTLED = (_SLOT_SIZE - _SLOT.size) // _NUMBER.size
# The first slot: which file this is. A copy out of a backup is another, and its numbers have gone on without it.
_IDENTITY = struct.Struct(">QQ")
_SUFFIX = ".lanes"


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of one lane in an open file."""

    descriptor: int
    at: int
    log: bytes
    writer: str

    def remember(self, last: int, unsettled: Iterable[int]) -> None:
        numbers = sorted(unsettled)[:_MOST_UNSETTLED]
        head = _SLOT.pack(self.log, self.writer.encode("ascii"), last, len(numbers))
        os.pwrite(self.descriptor, head + struct.pack(f">{len(numbers)}Q", *numbers), self.at * _SLOT_SIZE)


@dataclass(frozen=True, slots=True)
class AbandonedLane:
    """A lane whose writer died: its last number, and those that may never come."""

    log: bytes
    writer: str
    last: int
    unsettled: tuple[int, ...]
    _memory: _Slot

    def resume(self) -> Lane:
        """The lane, for the one entry that closes it; a death before that is committed leaves it to be closed."""
        return Lane(self.writer, self._memory, last=self.last, unsettled=self.unsettled)


class LaneFile:
    """The file of a living process, which holds a lock on it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f"{uuid4()}.new"
        self._descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.pwrite(self._descriptor, _identity(self._descriptor), 0)
        # Named last: unlocked or empty, another start would take it for abandoned.
        self._path = draft.rename(draft.with_suffix(_SUFFIX))
        self._slots = 0

    def slot(self, log: bytes, writer: str) -> _Slot:
        """The memory of a new lane."""
        self._slots += 1
        return _Slot(self._descriptor, self._slots, log, writer)

    def close(self, *, is_settled: bool = True) -> None:
        """Let go of the file, and forget it if every number is settled; else the next start closes its lanes."""
        if is_settled:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class AbandonedFile:
    """The file of a process that died; nobody else reads it while it is open here."""

    lanes: tuple[AbandonedLane, ...]
    _path: Path

    def forget(self) -> None:
        """Delete it: each of its lanes is closed."""
        self._path.unlink(missing_ok=True)


def abandoned_files(folder: Path) -> Iterator[AbandonedFile]:
    """The files whose processes are gone, one after the other, each locked until the next is asked for."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield AbandonedFile(tuple(_lanes(descriptor)), path)
        except BlockingIOError:
            # Its process lives.
            continue
        finally:
            os.close(descriptor)


def _lanes(descriptor: int) -> Iterator[AbandonedLane]:
    if os.pread(descriptor, _IDENTITY.size, 0) != _identity(descriptor):
        return
    at = 1
    while raw := os.pread(descriptor, _SLOT_SIZE, at * _SLOT_SIZE):
        log, name, last, count = _SLOT.unpack_from(raw)
        numbers = struct.unpack_from(f">{count}Q", raw, _SLOT.size)
        writer = name.decode("ascii")
        yield AbandonedLane(log, writer, last, numbers, _Slot(descriptor, at, log, writer))
        at += 1


def _identity(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    return _IDENTITY.pack(status.st_dev, status.st_ino)
