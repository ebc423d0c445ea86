"""Verifying a journal of a million entries, and the proofs of one: seconds, memory, milliseconds.

What it is held against is the least that anybody could do with the same bytes: inflate them, hash each entry once,
and parse it with the JSON parser of Python.
"""

import json
import os
import random
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from msgspec import Struct
from sqlalchemy import Connection, create_engine, insert

from audit import skimming, tables
from audit.checkpoint import VerificationKey, parse_checkpoint
from audit.evidence import TILE_WIDTH
from audit.log import prove_consistency, prove_inclusion
from audit.opened_bundle import OpenedBundle
from audit.receipt import verify_receipt
from audit.tree import Frontier, leaf_hash, verify_consistency
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from bench.journals import write_journal
from bench.report import table
from bench.results import Machine
from crypto.signing import verify

MARKERS = ("<!-- verifying:begin -->", "<!-- verifying:end -->")
SIZE = 1_000_000
PROOFS = 100
_LOG = bytes(16)


class Pass(Struct, frozen=True):
    """One reading of the whole journal: seconds by the clock and of CPU, and MiB that its largest process held."""

    seconds: float
    cpu: float
    mib: int


class Verifying(Struct, frozen=True):
    """Once each. `load`: how many processes wanted a core when it began; `proof_ms`: medians."""

    made_at: datetime
    machine: Machine
    size: int
    entry_bytes: int
    load: float
    one: Pass
    all_cores: Pass
    bare: Pass
    proof_ms: dict[str, float]


def measure(machine: Machine, now: datetime, size: int = SIZE) -> Verifying:
    """Make a journal of `size` entries, verify it in turns, and prove some of it."""
    with TemporaryDirectory(prefix="casework-bench-") as folder:
        path = Path(folder) / "journal.zip"
        key = write_journal(path, size)
        load = os.getloadavg()[0]
        one, several, bare = (_apart(work, path, key) for work in (_verify_alone, _verify, _read))
        entry_bytes = _entry_bytes(path)
        proofs = _prove(path, key, size, Path(folder) / "journal.db")
    return Verifying(now, machine, size, entry_bytes, load, one, several, bare, proofs)


def section(found: Verifying) -> str:
    """What README holds between the markers."""
    machine = found.machine
    rows = [
        [name, f"{each.seconds:.1f}", f"{each.cpu:.1f}", str(each.mib)]
        for name, each in (
            ("casework, one process", found.one),
            ("casework, a process for each core", found.all_cores),
            ("inflate, SHA-256 and `json.loads` alone", found.bare),
        )
    ]
    proofs = ", ".join(f"{name} {value:.2f} ms" for name, value in found.proof_ms.items())
    return "\n\n".join(
        (
            f"Made by `make bench BENCH_FLAGS=--verifying` on {found.made_at:%Y-%m-%d}: {machine.processor}, "
            f"{machine.cores} cores, {machine.system}, Python {machine.python}; {found.size:,} entries of "
            f"{found.entry_bytes} bytes, a checkpoint for each thousand; once each. When it began {found.load:.1f} "
            "processes wanted a core: the more, the less do seconds by the clock say.",
            table(["a bundle of a million entries", "seconds", "seconds of CPU", "MiB"], rows),
            f"One process takes {found.one.cpu / found.bare.cpu:.2f} times the CPU of the least. Proofs in that "
            f"journal, on SQLite (medians of {PROOFS}): {proofs}.",
        )
    )


def _apart(work: Callable[[Path, VerificationKey], None], path: Path, key: VerificationKey) -> Pass:
    """In a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_timed, work, path, key).result()


def _timed(work: Callable[[Path, VerificationKey], None], path: Path, key: VerificationKey) -> Pass:
    began, before = time.perf_counter(), time.process_time()
    work(path, key)
    seconds = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    # Of this process from here on; of those that it started, everything.
    cpu = time.process_time() - before + used[1].ru_utime + used[1].ru_stime
    return Pass(seconds, cpu, max(each.ru_maxrss for each in used) // 1024)


def _verify(path: Path, key: VerificationKey) -> None:
    report = verify_bundle(path, Trust(keys=(key,)), verify)
    if report.verdict is not Verdict.VALID:
        raise RuntimeError(report.verdict.words)


def _verify_alone(path: Path, key: VerificationKey) -> None:
    skimming.MANY = 1 << 62
    _verify(path, key)


def _read(path: Path, _key: VerificationKey) -> None:
    bundle = OpenedBundle(path)
    for tile in bundle.tiles(_size(bundle)):
        for raw in tile.entries:
            sha256(raw or b"").digest()
            json.loads(raw or b"")


def _size(bundle: OpenedBundle) -> int:
    return parse_checkpoint(bundle.latest()).checkpoint.size


def _entry_bytes(path: Path) -> int:
    tile = OpenedBundle(path).tile(0, TILE_WIDTH)
    return sum(len(raw or b"") for raw in tile.entries) // TILE_WIDTH


def _prove(path: Path, key: VerificationKey, size: int, database: Path) -> dict[str, float]:
    """Milliseconds of making and of verifying proofs, against the newest checkpoint."""
    chosen = random.Random(7).sample(range(1, size), PROOFS)
    engine = create_engine(f"sqlite:///{database}")
    tables.metadata.create_all(engine)
    taken: dict[str, list[float]] = {}

    def timed(name: str, began: float) -> None:
        taken.setdefault(name, []).append((time.perf_counter() - began) * 1_000)

    with engine.begin() as connection:
        ids, roots = _store(connection, path, size, set(chosen))
        for index in chosen:
            began = time.perf_counter()
            text = prove_inclusion(connection, _LOG, ids[index])
            timed("inclusion", began)
            began = time.perf_counter()
            head, _ = verify_receipt(text, None, [key], verify)
            timed("verified", began)
            began = time.perf_counter()
            proof, _ = prove_consistency(connection, _LOG, index)
            timed("consistency", began)
            began = time.perf_counter()
            verify_consistency(index, size, roots[index], head.root, proof)
            timed("verified too", began)
    engine.dispose()
    return {name: median(values) for name, values in taken.items()}


def _store(
    connection: Connection, path: Path, size: int, chosen: set[int]
) -> tuple[dict[int, str], dict[int, bytes]]:
    """The tree in the tables, the chosen entries, and the newest checkpoint; their ids, and the root at each."""
    bundle, frontier = OpenedBundle(path), Frontier()
    note = bundle.latest()
    ids: dict[int, str] = {}
    roots: dict[int, bytes] = {}
    connection.execute(insert(tables.checkpoint), {"log": _LOG, "size": size, "note": note})
    for tile in bundle.tiles(size):
        leaves, subtrees = [], []
        for index, raw in enumerate(tile.entries, tile.first):
            leaf = leaf_hash(raw or b"")
            if index in chosen:
                roots[index] = frontier.root()
                entry = json.loads(raw or b"")
                ids[index] = entry["id"]
                row = {name: entry[name] for name in ("time", "action", "outcome", "actor")}
                connection.execute(
                    insert(tables.entry),
                    {"log": _LOG, "idx": index, "entry_id": entry["id"], "bytes": raw, **row},
                )
            leaves.append({"log": _LOG, "idx": index, "hash": leaf})
            subtrees += [
                {"log": _LOG, "level": level, "idx": at, "hash": node}
                for level, at, node in frontier.append(leaf)
            ]
        connection.execute(insert(tables.leaf), leaves)
        connection.execute(insert(tables.subtree), subtrees)
    return ids, roots
