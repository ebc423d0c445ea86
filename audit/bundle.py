"""Writing the bundle an auditor takes away, a tile at a time; `audit.layout` says what stands where in it."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sqlalchemy import Connection

from audit.checkpoint import parse_checkpoint
from audit.errors import NothingPublished
from audit.evidence import TILE_HEIGHT, TILE_WIDTH, EvidenceMissing, NodeName
from audit.layout import (
    CHECKPOINT,
    CHECKPOINTS,
    DETAILS,
    LENGTH_BYTES,
    MAX_LENGTH,
    MISSING_HASH,
    ROLLUP_LEAF,
    ROLLUP_PROOF,
    SALT_BYTES,
    tile_path,
    upper_tiles,
)
from audit.stored import StoredLog
from audit.tree import HASH_BYTES

# One log gives one bundle, byte for byte: a zip's dates would say when it was asked for.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_bundle(
    connection: Connection, log: bytes, out: Path | BinaryIO, details: Iterable[tuple[str, bytes]] = ()
) -> None:
    """Write the bundle of `log` up to its newest checkpoint, a tile at a time.

    `details`: the id of an entry, and salt (32 bytes) ‖ plaintext (at most 65,535) of its detail, for each one to
    disclose.
    `connection` should see one snapshot throughout (REPEATABLE READ, or SQLite's one read transaction).

    Raises:
        NothingPublished: the log has no checkpoint yet.
        NoteRefused: the newest checkpoint in the database is not one.

    """
    stored = StoredLog(connection, log)
    try:
        note = stored.latest()
    except EvidenceMissing:
        raise NothingPublished from None
    size = parse_checkpoint(note).checkpoint.size
    with ZipFile(out, "w", ZIP_DEFLATED) as bundle:
        bundle.writestr(_member(CHECKPOINT), note)
        with bundle.open(_member(CHECKPOINTS), "w", force_zip64=True) as member:
            for earlier in stored.earlier():
                member.write(_prefixed(earlier.encode()))
        for name, text in zip((ROLLUP_LEAF, ROLLUP_PROOF), stored.rolled_up() or (), strict=False):
            bundle.writestr(_member(name), text)
        disclosed = b"".join(
            entry_id.encode() + (len(salted) - SALT_BYTES).to_bytes(LENGTH_BYTES) + salted
            for entry_id, salted in details
        )
        if disclosed:
            bundle.writestr(_member(DETAILS), disclosed)
        minimum = stored.minimum_index()
        level_one: dict[NodeName, bytes] = {}
        for tile in stored.tiles(size):
            index, width = tile.first // TILE_WIDTH, len(tile.leaves)
            hashes = b"".join(map(_whole_hash, tile.leaves))
            bundle.writestr(_member(tile_path(0, index, width)), hashes)
            if tile.first >= minimum:
                entries = b"".join(map(_prefixed, tile.entries))
                bundle.writestr(_member(tile_path("entries", index, width)), entries)
            level_one.update({name: node for name, node in tile.subtrees.items() if name[0] == TILE_HEIGHT})
        _write_upper_tiles(bundle, size, {**level_one, **stored.upper_subtrees(size)})


def _write_upper_tiles(bundle: ZipFile, size: int, nodes: dict[NodeName, bytes]) -> None:
    for level, index, width in upper_tiles(size):
        first = index * TILE_WIDTH
        hashes = [_whole_hash(nodes.get((TILE_HEIGHT * level, first + at))) for at in range(width)]
        bundle.writestr(_member(tile_path(level, index, width)), b"".join(hashes))


def _member(name: str) -> ZipInfo:
    info = ZipInfo(name, _DATE)
    info.compress_type = ZIP_DEFLATED
    return info


def _prefixed(content: bytes | None) -> bytes:
    # What is too long for its length cannot be an entry: it is given as missing, and is found so.
    kept = content if content is not None and len(content) <= MAX_LENGTH else b""
    return len(kept).to_bytes(LENGTH_BYTES) + kept


def _whole_hash(node: bytes | None) -> bytes:
    return node if node is not None and len(node) == HASH_BYTES else MISSING_HASH
