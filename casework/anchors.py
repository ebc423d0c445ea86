"""What is remembered of each organisation outside the database: its root, and the newest directory seen.

One JSON file in the state directory. A database that was rolled back, or whose directory was replaced by
another that is signed just as well, no longer fits it and is refused.
"""

import fcntl
import os
from collections.abc import Iterator
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


class Anchors:
    """The file in `directory`; writers take a lock, for several processes of one machine may share it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = directory / (FILE_NAME + ".lock")

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
            anchors = self._read()
            if org_id.hex not in anchors:
                anchors[org_id.hex] = _Anchor(root.hex(), floor.epoch, floor.head.hex())
                self._write(anchors)

    def raise_floor(self, org_id: UUID, floor: Floor) -> None:
        """Remember a newer state, durably. An older one than remembered changes nothing."""
        with self._locked():
            anchors = self._read()
            known = anchors.get(org_id.hex)
            if known is None:
                raise AnchorMissing
            if floor.epoch > known.epoch:
                anchors[org_id.hex] = _Anchor(known.root, floor.epoch, floor.head.hex())
                self._write(anchors)

    def go_back(self, org_id: UUID, floor: Floor) -> None:
        """Accept an older state than remembered, once, for the database was restored from a backup.

        Raises:
            AnchorMissing: see `root`.

        """
        with self._locked():
            anchors = self._read()
            known = anchors.get(org_id.hex)
            if known is None:
                raise AnchorMissing
            anchors[org_id.hex] = _Anchor(known.root, floor.epoch, floor.head.hex())
            self._write(anchors)

    def _anchor(self, org_id: UUID) -> _Anchor:
        anchor = self._read().get(org_id.hex)
        if anchor is None:
            raise AnchorMissing
        return anchor

    def _read(self) -> dict[str, _Anchor]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        return msgspec.json.decode(raw, type=dict[str, _Anchor])

    def _write(self, anchors: dict[str, _Anchor]) -> None:
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(anchors, order="sorted"))
            file.flush()
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
