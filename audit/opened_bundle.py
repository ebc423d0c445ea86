"""A bundle as a stranger may have made it: every name, length and size is checked before it is used."""

import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from hmac import digest
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from audit.checkpoint import MAX_NOTE_BYTES
from audit.evidence import TILE_HEIGHT, TILE_WIDTH, EvidenceMissing, EvidenceRefused, NodeName, Tile
from audit.layout import (
    CHECKPOINT,
    CHECKPOINTS,
    DETAILS,
    ID_BYTES,
    LENGTH_BYTES,
    MAX_LENGTH,
    MISSING_HASH,
    ROLLUP_LEAF,
    ROLLUP_PROOF,
    SALT_BYTES,
    tile_path,
    upper_tiles,
)
from audit.tree import HASH_BYTES

# Of a longer log each entry's id alone is more than a verification should hold.
MOST_ENTRIES = 1 << 23
# Also of the list of members, and of the disclosed details: one tile with the largest entries.
_MAX_BYTES = TILE_WIDTH * (LENGTH_BYTES + MAX_LENGTH)
# What a tile of empty entries takes in memory all the same.
_TILE_BYTES = 1 << 16
_ENCRYPTED = 0x1
# What a damaged or crafted member makes zipfile and zlib raise.
_UNREADABLE = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class _ArchiveFile(FileIO):
    """The zip's file. zipfile reads the list of members at once, and makes an object of each of them."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_BYTES:
            raise EvidenceRefused("l’archive a trop de membres")
        return super().read(size)

    def __del__(self) -> None:
        # zipfile closes only a file that it opened itself.
        self.close()


class OpenedBundle:
    """`audit.evidence.Evidence` over the zip at `path`; a context manager. At most one tile is in memory."""

    def __init__(self, path: Path) -> None:
        """Read the directory of the zip.

        Raises:
            EvidenceMissing: no file, or no zip (a download that broke off is one).
            EvidenceRefused: a member twice, encrypted, or compressed in another way; or a list of members of more
                than 16 MiB.

        """
        self.path = path
        try:
            self._zip = ZipFile(_ArchiveFile(path))
        except _UNREADABLE:
            raise EvidenceMissing("le fichier n’est pas une archive zip lisible") from None
        self._members: dict[str, ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename in self._members:
                self._refuse("un membre de l’archive s’y trouve deux fois")
            if info.flag_bits & _ENCRYPTED or info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
                self._refuse("un membre de l’archive est chiffré ou compressé autrement")
            self._members[info.filename] = info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def latest(self) -> str:
        return _text(self._read(CHECKPOINT, MAX_NOTE_BYTES))

    def earlier(self) -> Iterator[str]:
        if CHECKPOINTS not in self._members:
            raise EvidenceMissing("l’archive ne contient pas les points de contrôle antérieurs")
        try:
            with self._zip.open(self._members[CHECKPOINTS]) as member:
                while prefix := member.read(LENGTH_BYTES):
                    length = int.from_bytes(prefix)
                    note = member.read(length)
                    if len(prefix) < LENGTH_BYTES or len(note) < length:
                        raise EvidenceRefused("la liste des points de contrôle est tronquée")
                    yield _text(note)
        except _UNREADABLE:
            raise EvidenceMissing("la liste des points de contrôle est illisible") from None

    def rolled_up(self) -> tuple[str, str] | None:
        if self._members.keys().isdisjoint({ROLLUP_LEAF, ROLLUP_PROOF}):
            return None
        leaf, proof = (self._read(name, MAX_NOTE_BYTES) for name in (ROLLUP_LEAF, ROLLUP_PROOF))
        return _text(leaf), _text(proof)

    def disclosed(self) -> Mapping[bytes, str]:
        if DETAILS not in self._members:
            return {}
        if self._members[DETAILS].file_size > _MAX_BYTES:
            raise EvidenceRefused(f"{DETAILS} est trop grand")
        commitments: dict[bytes, str] = {}
        try:
            with self._zip.open(self._members[DETAILS]) as member:
                while head := member.read(ID_BYTES + LENGTH_BYTES + SALT_BYTES):
                    length = int.from_bytes(head[ID_BYTES : ID_BYTES + LENGTH_BYTES])
                    plaintext, entry_id = member.read(length), head[:ID_BYTES]
                    whole = len(head) == ID_BYTES + LENGTH_BYTES + SALT_BYTES and len(plaintext) == length
                    if not whole or entry_id in commitments:
                        raise EvidenceRefused("la liste des détails divulgués est tronquée ou se répète")
                    commitments[entry_id] = digest(head[-SALT_BYTES:], plaintext, "sha256").hex()
        except _UNREADABLE:
            raise EvidenceMissing("la liste des détails divulgués est illisible") from None
        return commitments

    def minimum_index(self) -> int:
        return self._minimum

    @cached_property
    def _minimum(self) -> int:
        present = (name for name in self._members if name.startswith("tile/entries/"))
        # The first bundle that is there; a hole after it is found when the tiles are read.
        indexes = (_index_of(name.removeprefix("tile/entries/")) for name in present)
        return min(indexes, default=0) * TILE_WIDTH

    def tiles(self, size: int) -> Iterator[Tile]:
        self.refuse_other_members(size)
        for first in range(0, size, TILE_WIDTH):
            yield self.tile(first, size)

    def tile(self, first: int, size: int) -> Tile:
        """The tile that begins at leaf `first`, of a tree of `size` leaves."""
        index, width = first // TILE_WIDTH, min(TILE_WIDTH, size - first)
        leaves = self._hashes(tile_path(0, index, width), width)
        entries: list[bytes | None] = [None] * width
        if first >= self._minimum:
            entries = self._entries(tile_path("entries", index, width), width)
        return Tile(first, leaves, entries)

    def bytes_of_tile(self, first: int, size: int) -> int:
        """About how much memory the tile that begins at leaf `first` takes; little more than 16 MiB at most."""
        width = min(TILE_WIDTH, size - first)
        info = self._members.get(tile_path("entries", first // TILE_WIDTH, width))
        return _TILE_BYTES + (min(info.file_size, _MAX_BYTES) if info is not None else 0)

    def stores(self, level: int) -> bool:
        return level % TILE_HEIGHT == 0

    def upper_subtrees(self, size: int) -> Mapping[NodeName, bytes]:
        nodes: dict[NodeName, bytes] = {}
        for level, index, width in upper_tiles(size):
            hashes = self._hashes(tile_path(level, index, width), width)
            nodes.update(
                {
                    (TILE_HEIGHT * level, index * TILE_WIDTH + at): node
                    for at, node in enumerate(hashes)
                    if node is not None
                }
            )
        return nodes

    def leaves_beyond(self, _size: int, /) -> bool:
        # `tiles` refuses members that a tree of this size does not have.
        return False

    def refuse_other_members(self, size: int) -> None:
        """Refuse a bundle with other members than a tree of `size` leaves has, or of more than are read."""
        if size > MOST_ENTRIES:
            raise EvidenceMissing(
                f"le journal a plus de {MOST_ENTRIES} écritures : une archive n’en a pas tant"
            )
        # First a bound: the size stands in a note that nobody may have signed.
        if size > len(self._members) * TILE_WIDTH:
            raise EvidenceMissing("l’archive est plus petite que son point de contrôle ne le dit")
        expected = {CHECKPOINT, CHECKPOINTS, ROLLUP_LEAF, ROLLUP_PROOF, DETAILS}
        for first in range(0, size, TILE_WIDTH):
            index, width = first // TILE_WIDTH, min(TILE_WIDTH, size - first)
            expected.add(tile_path(0, index, width))
            if first >= self._minimum:
                expected.add(tile_path("entries", index, width))
        expected.update(tile_path(*tile) for tile in upper_tiles(size))
        if not self._members.keys() <= expected:
            raise EvidenceRefused("l’archive contient des membres inattendus")

    def _hashes(self, name: str, width: int) -> list[bytes | None]:
        raw = self._read(name, TILE_WIDTH * HASH_BYTES)
        if len(raw) != width * HASH_BYTES:
            raise EvidenceRefused(f"{name} n’a pas la bonne longueur")
        nodes = [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
        return [None if node == MISSING_HASH else node for node in nodes]

    def _entries(self, name: str, width: int) -> list[bytes | None]:
        raw = self._read(name, _MAX_BYTES)
        entries: list[bytes | None] = []
        at = 0
        while at < len(raw):
            start = at + LENGTH_BYTES
            at = start + int.from_bytes(raw[at:start])
            entries.append(raw[start:at] or None)
        if at != len(raw) or len(entries) != width:
            raise EvidenceRefused(f"{name} n’est pas une suite de {width} écritures")
        return entries

    def _read(self, name: str, limit: int) -> bytes:
        info = self._members.get(name)
        if info is None:
            raise EvidenceMissing(f"{name} manque dans l’archive")
        if info.file_size > limit:
            raise EvidenceRefused(f"{name} est trop grand")
        try:
            with self._zip.open(info) as member:
                # Where the announced size ends zipfile stops, and checks the CRC. Asked for all at once it would
                # first inflate whatever is there.
                return member.read(info.file_size + 1)
        except _UNREADABLE:
            raise EvidenceMissing(f"{name} est illisible") from None

    def _refuse(self, words: str) -> None:
        self._zip.close()
        raise EvidenceRefused(words)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise EvidenceRefused("un point de contrôle n’est pas un texte") from None


def _index_of(path: str) -> int:
    """The tile index in `x001/x234/067[.p/<W>]`."""
    digits = path.partition(".p/")[0].replace("/", "").replace("x", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):  # noqa: PLR2004 - five groups of three
        raise EvidenceRefused("l’archive contient des membres inattendus")
    return int(digits)
