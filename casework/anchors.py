"""What is remembered of each organisation outside the database: its root, and the newest directory seen.

One JSON file in the state directory. A database that was rolled back, or whose directory was replaced by
another that is signed just as well, no longer fits it and is refused. Every request holds the directory against it,
and every process sees at once what another has raised: to look costs one `stat` while nothing changed.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from crypto.directory import Floor

FILE_NAME = "directory-anchors.json"
_MODE = 0o600


class AnchorMissing(Exception):
    """The state directory knows nothing of this organisation: nothing of its directory can be believed."""


class _Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    root: str
    epoch: int
    head: str

    def at(self, floor: Floor) -> "_Anchor":
        return _Anchor(self.root, floor.epoch, floor.head.hex())


# Which writing of the file it is: inode, time of change in nanoseconds, size.
_Writing = tuple[int, int, int]


class Anchors:
    """The file in `directory`; writers take a lock, for several processes of one machine may share it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = directory / (FILE_NAME + ".lock")
        self._seen: tuple[_Writing, Mapping[str, _Anchor]] | None = None

    def root(self, org_id: UUID) -> bytes:
        """The fingerprint that `org create` printed.

        Raises:
            AnchorMissing: the organisation was not created with this state directory.

        """
        return bytes.fromhex(self._anchor(org_id).root)

    def floor(self, org_id: UUID) -> Floor:
        """The newest state of the directory that was seen.

        Raises:
            AnchorMissing: see `root`.

        """
        anchor = self._anchor(org_id)
        return Floor(anchor.epoch, bytes.fromhex(anchor.head))

    def plant(self, org_id: UUID, root: bytes, floor: Floor) -> None:
        """Begin to know an organisation. One that is known keeps its root."""
        with self._locked():
            anchors = self._newest()
            if org_id.hex not in anchors:
                self._write({**anchors, org_id.hex: _Anchor(root.hex(), floor.epoch, floor.head.hex())})

    def raise_floor(self, org_id: UUID, floor: Floor) -> None:
        """Remember a newer state, durably. An older one than remembered changes nothing."""
        with self._locked():
            anchors = self._newest()
            known = anchors.get(org_id.hex)
            if known is None:
                raise AnchorMissing
            if floor.epoch > known.epoch:
                self._write({**anchors, org_id.hex: known.at(floor)})

    def go_back(self, org_id: UUID, floor: Floor) -> None:
        """Accept an older state than remembered, once, for the database was restored from a backup.

        Raises:
            AnchorMissing: see `root`.

        """
        with self._locked():
            anchors = self._newest()
            known = anchors.get(org_id.hex)
            if known is None:
                raise AnchorMissing
            self._write({**anchors, org_id.hex: known.at(floor)})

    def _anchor(self, org_id: UUID) -> _Anchor:
        anchor = self._newest().get(org_id.hex)
        if anchor is None:
            raise AnchorMissing
        return anchor

    def _newest(self) -> Mapping[str, _Anchor]:
        seen = self._seen
        try:
            if seen is None or seen[0] != _writing(self._path.stat()):
                with self._path.open("rb") as file:
                    # Both of the one that is open: another may take its name at any time.
                    seen = _writing(os.fstat(file.fileno())), _decode(file.read())
        except FileNotFoundError:
            return {}
        self._seen = seen
        return seen[1]

    def _write(self, anchors: Mapping[str, _Anchor]) -> None:
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(anchors, order="sorted"))
            file.flush()
            if self._path.exists():
                # No two writings look alike, also within one tick of the file system's clock.
                newer = max(os.fstat(descriptor).st_mtime_ns, self._path.stat().st_mtime_ns + 1)
                os.utime(descriptor, ns=(newer, newer))
            os.fsync(descriptor)
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _writing(found: os.stat_result) -> _Writing:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _decode(raw: bytes) -> dict[str, _Anchor]:
    return msgspec.json.decode(raw, type=dict[str, _Anchor])
