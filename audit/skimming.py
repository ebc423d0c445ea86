"""What a verification checks of a tile by itself: hashes, form, and the few fields that the steps over the whole
log need. It is most of the work, and the tiles of a long bundle are given to several processes.

Most entries are read by one pattern that is narrower than the form: what it matches is an entry, byte for byte in
canonical form; what it does not match is read whole by `audit.entry`.
"""

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from audit.canonical import INTEGER_BOUND
from audit.evidence import TILE_WIDTH, Evidence, EvidenceMissing, EvidenceRefused, Tile
from audit.opened_bundle import OpenedBundle

# From so many entries on, starting processes costs less than it saves.
MANY = 1 << 17
# A process is given so many bytes at a time, or one tile; and so many are under way, or not yet judged, in all.
# Whatever a bundle holds, this bounds the memory, which is a few times as much.
_CHUNK_BYTES = 1 << 22
_BYTES_UNDER_WAY = 3 << 24
# One process judges what all of them read: more would wait for it.
_MOST_PROCESSES = 4

_CODE, _HEX = r"[a-z][a-z0-9_.]{0,99}", r"[0-9a-f]{64}"
# Written out: a group that repeats costs more time.
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
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
_SITUATION = rf'\{{"allowed":{_POLICIES},"denied":{_POLICIES},"holds":{_POLICIES}\}}'
_ASKED = rf'(?:"asked":\[{_SITUATION}(?:,{_SITUATION})*\],)?'
_STANDS_FOR = "".join(f'(?:"{name}":"{_UUID}",)?' for name in ("consent", "glass", "handoff"))
# Not of an entry that says something about the journal, nor of one that declares numbers void.
_ORDINARY = re.compile(
    (
        rf'\{{"action":"(?!log\.){_CODE}","actor":{_or_null(_UUID)},"auth":"(?:none|password|mfa|step_up)",'
        rf'"basis":\{{{_ASKED}{_STANDS_FOR}"policies":{_POLICIES},"set":{_or_null(_HEX)}\}},'
        rf'"count":(?:null|{_COUNT}),"detail":{_or_null(_HEX)},"id":"({_UUID})",'
        rf'"lane":\{{"n":({_NUMBER}),"writer":"({_TOKEN})"\}},"log":"([!#-*,-\[\]-~]{{1,200}})",'
        rf'"nonce":"[0-9a-f]{{32}}","outcome":"(?:allowed|denied|failed)","purpose":{_or_null(_CODE)},'
        rf'"reason":{_or_null(_CODE)},"request":"{_TOKEN}","role":{_or_null(_CODE)},"source":{_or_null(_HEX)},'
        rf'"subjects":({_PERSONS}),"time":([1-9][0-9]{{0,15}}),"v":1\}}'
    ).encode()
).fullmatch
_PSEUDONYMS = re.compile(rb'"p":"([0-9a-f]{64})"').findall


@dataclass(frozen=True, slots=True)
class Run:
    """Entries that follow each other from index `first` on, all of one log, and of each what the whole log is
    checked for: its id (16 bytes), its writer and number there, its time in µs. A column each: an object for each
    entry would cost more to hand from one process to another than all that is checked of it afterwards.
    """

    first: int
    log: str
    ids: list[bytes]
    writers: list[str]
    numbers: list[int]
    times: list[int]


@dataclass(frozen=True, slots=True)
class SkimmedTile:
    """A tile after its own checks.

    `nodes`: the leaf hashes, computed, or stored where the bytes are pruned; None where both are missing.
    `root`: the hash of the whole tile where it is full and no node is missing. `run`: all its entries, blank where
    one is in `others` (by place in the tile, ascending): there it is missing (None) or is to be read whole.
    `differs`: what was computed is not what is stored. `tile`: the tile itself, where more of it is needed.
    """

    first: int
    nodes: list[bytes | None]
    root: bytes | None
    run: Run
    others: dict[int, bytes | None]
    differs: bool
    tile: Tile | None

    def entries(self, start: int, stop: int) -> Iterator[Run | tuple[int, bytes]]:
        """Those from place `start` up to `stop`, in order: runs, and between them the index and bytes of one that
        is to be read whole. What is missing is left out.
        """
        for at in [*(other for other in self.others if start <= other < stop), stop]:
            if start < at:
                of = slice(start, at)
                run = self.run
                yield Run(
                    self.first + start,
                    run.log,
                    run.ids[of],
                    run.writers[of],
                    run.numbers[of],
                    run.times[of],
                )
            raw = self.others.get(at) if at < stop else None
            if raw is not None:
                yield self.first + at, raw
            start = at + 1


_BLANK = (b"0" * 32, b"0", b"", b"", b"", b"0")


def skim_tile(tile: Tile, *, whole: bool = False) -> SkimmedTile:
    """Hash a tile's entries, and read those that are ordinary; `whole` leaves all to be read whole."""
    computed = [None if raw is None else sha256(b"\x00" + raw).digest() for raw in tile.entries]
    nodes = [node or stored for node, stored in zip(computed, tile.leaves, strict=True)]
    is_whole = len(nodes) == TILE_WIDTH and None not in nodes
    found = [None if raw is None or whole else _ORDINARY(raw) for raw in tile.entries]
    fields = [_BLANK if each is None else each.groups() for each in found]
    ids, numbers, writers, origins, persons, moments = zip(*fields, strict=True)
    log = next(filter(None, origins), b"")
    times = list(map(int, moments))
    others = {
        at: raw
        for at, raw in enumerate(tile.entries)
        if not (log and origins[at] == log and times[at] < INTEGER_BOUND)
        or (b"},{" in persons[at] and not _are_distinct(persons[at]))
    }
    names = {writer: writer.decode() for writer in set(writers)}
    run = Run(
        tile.first,
        log.decode(),
        _identities(ids),
        [names[writer] for writer in writers],
        list(map(int, numbers)),
        times,
    )
    root = _root([node for node in nodes if node is not None]) if is_whole else None
    differs = computed != tile.leaves or None in tile.leaves
    return SkimmedTile(tile.first, nodes, root, run, others, differs, tile)


def skimmed_tiles(evidence: Evidence, size: int, *, whole: bool) -> Iterator[SkimmedTile]:
    """The tiles of a log in their order. A database's are read whole: it has columns beside each entry.

    Raises:
        EvidenceMissing, EvidenceRefused: at the first tile that cannot be read.

    """
    if isinstance(evidence, OpenedBundle) and size >= MANY:
        evidence.refuse_other_members(size)
        yield from _skimmed_by_many(evidence, size, whole)
        return
    for tile in evidence.tiles(size):
        yield skim_tile(tile, whole=whole or tile.columns is not None)


def _are_distinct(persons: bytes) -> bool:
    found = _PSEUDONYMS(persons)
    return len(set(found)) == len(found)


def _identities(ids: Sequence[bytes]) -> list[bytes]:
    """16 bytes for each UUID in its text form."""
    joined = bytes.fromhex(b"".join(ids).replace(b"-", b"").decode())
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


def _root(nodes: list[bytes]) -> bytes:
    while len(nodes) > 1:
        nodes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)
        ]
    return nodes[0]


_Chunk: TypeAlias = tuple[list[SkimmedTile], EvidenceMissing | EvidenceRefused | None]


def _skimmed_by_many(bundle: OpenedBundle, size: int, whole: bool) -> Iterator[SkimmedTile]:
    processes = min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)
    waiting: deque[Future[_Chunk]] = deque()
    weights: deque[int] = deque()
    try:
        # Not forked: whoever calls this may run threads.
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            try:
                for chunk, weight in _chunks(bundle, size):
                    while waiting and sum(weights) + weight > _BYTES_UNDER_WAY:
                        yield from _tiles_of(waiting.popleft())
                        weights.popleft()
                    waiting.append(pool.submit(_skim_chunk, bundle.path, size, chunk, whole))
                    weights.append(weight)
                while waiting:
                    yield from _tiles_of(waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
    except (BrokenExecutor, MemoryError, OSError):
        words = "un processus de vérification s’est arrêté : il a pu manquer de mémoire"
        raise EvidenceMissing(words) from None


def _chunks(bundle: OpenedBundle, size: int) -> Iterator[tuple[range, int]]:
    """The first leaves of the tiles to read together, and about how many bytes they take."""
    begins = weight = 0
    for first in range(0, size, TILE_WIDTH):
        more = bundle.bytes_of_tile(first, size)
        if weight and weight + more > _CHUNK_BYTES:
            yield range(begins, first, TILE_WIDTH), weight
            begins, weight = first, 0
        weight += more
    yield range(begins, size, TILE_WIDTH), weight


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
