"""What a verification checks of a tile by itself: hashes, form, and the few fields that the steps over the whole
log need. It is most of the work, and the tiles of a long bundle are given to several processes.

Most entries are read by one pattern that is narrower than the form: what it matches is an entry, byte for byte in
canonical form; what it does not match is read whole by `audit.entry`.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeAlias

from audit.canonical import INTEGER_BOUND
from audit.evidence import TILE_WIDTH, Evidence, EvidenceMissing, EvidenceRefused, Tile
from audit.opened_bundle import OpenedBundle

# From so many entries on, starting processes costs less than it saves.
MANY = 1 << 17
# Tiles that one process reads at a time; so many chunks wait at most for each process, which bounds the memory.
_CHUNK = 16
_AHEAD = 2

_CODE, _UUID, _HEX = r"[a-z][a-z0-9_.]{0,99}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9a-f]{64}"
_TOKEN = r"[0-9a-f][0-9a-f-]{7,35}"  # noqa: S105 - a name
# Up to 15 digits are below 2^53.
_COUNT, _NUMBER = r"(?:0|[1-9][0-9]{0,14})", r"[1-9][0-9]{0,14}"


def _many(pattern: str) -> str:
    return rf"\[(?:{pattern}(?:,{pattern})*)?\]"


def _or_null(pattern: str) -> str:
    return f'(?:null|"{pattern}")'


_POLICIES = _many('"[a-z][a-z0-9_.-]{0,99}"')
_ROWS = _many(rf'\{{"r":"{_HEX}","v":{_COUNT}\}}')
_PERSONS = _many(rf'\{{"p":"{_HEX}","rows":{_ROWS}\}}')
_STANDS_FOR = "".join(f'(?:"{name}":"{_UUID}",)?' for name in ("consent", "glass", "handoff"))
# Not of an entry that says something about the journal, nor of one that declares numbers void.
_ORDINARY = re.compile(
    (
        rf'\{{"action":"(?!log\.){_CODE}","actor":{_or_null(_UUID)},"auth":"(?:none|password|mfa|step_up)",'
        rf'"basis":\{{{_STANDS_FOR}"policies":{_POLICIES},"set":{_or_null(_HEX)}\}},'
        rf'"count":(?:null|{_COUNT}),"detail":{_or_null(_HEX)},"id":"({_UUID})",'
        rf'"lane":\{{"n":({_NUMBER}),"writer":"({_TOKEN})"\}},"log":"([!#-*,-\[\]-~]{{1,200}})",'
        rf'"nonce":"[0-9a-f]{{32}}","outcome":"(?:allowed|denied|failed)","purpose":{_or_null(_CODE)},'
        rf'"reason":{_or_null(_CODE)},"request":"{_TOKEN}","role":{_or_null(_CODE)},"source":{_or_null(_HEX)},'
        rf'"subjects":({_PERSONS}),"time":([1-9][0-9]{{0,15}}),"v":1\}}'
    ).encode()
).fullmatch
_PSEUDONYMS = re.compile(rb'"p":"([0-9a-f]{64})"').findall


class Skim(NamedTuple):
    """What the whole log is checked for: the entry's id (16 bytes), its writer and number there, its time in µs."""

    id: bytes
    writer: str
    n: int
    time: int


Skimmed: TypeAlias = Skim | bytes | None
"""A skim; or the bytes of what is an entry or none, and is to be read whole; or None where they are missing."""


@dataclass(frozen=True, slots=True)
class SkimmedTile:
    """A tile after its own checks.

    `nodes`: the leaf hashes, computed, or stored where the bytes are pruned; None where both are missing.
    `root`: the hash of the whole tile where it is full and no node is missing. `log`: the origin that every skim
    has. `differs`: what was computed is not what is stored. `tile`: the tile itself, where more than this is needed
    of it.
    """

    first: int
    nodes: list[bytes | None]
    root: bytes | None
    log: str
    entries: list[Skimmed]
    differs: bool
    tile: Tile | None


def skim_tile(tile: Tile, *, whole: bool = False) -> SkimmedTile:
    """Hash a tile's entries, and read those that are ordinary; `whole` leaves all to be read whole."""
    computed = [None if raw is None else sha256(b"\x00" + raw).digest() for raw in tile.entries]
    nodes = [node or stored for node, stored in zip(computed, tile.leaves, strict=True)]
    is_whole = len(nodes) == TILE_WIDTH and None not in nodes
    differs = computed != tile.leaves or None in tile.leaves
    entries: list[Skimmed] = list(tile.entries)
    log, writers = b"", dict[bytes, str]()
    for at, raw in enumerate(tile.entries):
        found = None if raw is None or whole else _ORDINARY(raw)
        if found is None:
            continue
        entry_id, n, writer, origin, persons, time = found.groups()
        log = log or origin
        moment = int(time)
        if origin == log and moment < INTEGER_BOUND and (b"},{" not in persons or _are_distinct(persons)):
            identity = bytes.fromhex(entry_id.replace(b"-", b"").decode())
            entries[at] = Skim(identity, writers.setdefault(writer, writer.decode()), int(n), moment)
    root = _root([node for node in nodes if node is not None]) if is_whole else None
    return SkimmedTile(tile.first, nodes, root, log.decode(), entries, differs, tile)


def skimmed_tiles(evidence: Evidence, size: int, *, whole: bool) -> Iterator[SkimmedTile]:
    """The tiles of a log in their order. A database's are read whole: it has columns beside each entry.

    Raises:
        EvidenceMissing, EvidenceRefused: at the first tile that cannot be read.

    """
    if isinstance(evidence, OpenedBundle) and size >= MANY:
        evidence.refuse_other_members(size)
        yield from _skimmed_by_many(evidence.path, size, whole)
        return
    for tile in evidence.tiles(size):
        yield skim_tile(tile, whole=whole or tile.columns is not None)


def _are_distinct(persons: bytes) -> bool:
    found = _PSEUDONYMS(persons)
    return len(set(found)) == len(found)


def _root(nodes: list[bytes]) -> bytes:
    while len(nodes) > 1:
        nodes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)
        ]
    return nodes[0]


_Chunk: TypeAlias = tuple[list[SkimmedTile], EvidenceMissing | EvidenceRefused | None]


def _skimmed_by_many(path: Path, size: int, whole: bool) -> Iterator[SkimmedTile]:
    processes = len(os.sched_getaffinity(0))
    waiting: deque[Future[_Chunk]] = deque()
    # Not forked: whoever calls this may run threads.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        try:
            for first in range(0, size, TILE_WIDTH * _CHUNK):
                chunk = range(first, min(size, first + TILE_WIDTH * _CHUNK), TILE_WIDTH)
                waiting.append(pool.submit(_skim_chunk, path, size, chunk, whole))
                if len(waiting) > processes * _AHEAD:
                    yield from _tiles_of(waiting.popleft())
            while waiting:
                yield from _tiles_of(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _tiles_of(chunk: "Future[_Chunk]") -> Iterator[SkimmedTile]:
    tiles, error = chunk.result()
    yield from tiles
    if error is not None:
        raise error


_opened: dict[Path, OpenedBundle] = {}


def _skim_chunk(path: Path, size: int, chunk: range, whole: bool) -> _Chunk:
    """In a process of its own, which opens the bundle once."""
    tiles = []
    try:
        bundle = _opened.get(path) or _opened.setdefault(path, OpenedBundle(path))
        for at in chunk:
            skimmed = skim_tile(bundle.tile(at, size), whole=whole)
            # The bytes go to the other process only where they are needed there.
            tiles.append(skimmed if skimmed.differs else replace(skimmed, tile=None))
    except (EvidenceMissing, EvidenceRefused) as error:
        return tiles, error
    return tiles, None
