"""`make bench`: measure, write the results, and put table and chart into README."""

import argparse
import asyncio
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from bench import blocks, deciding, verifying, writing
from bench.actions import ACTIONS, Asker
from bench.chart import draw
from bench.contestants import Engine, Postgres, Sqlite, contestants
from bench.deployed import environment
from bench.figures import figures, ratio
from bench.processes import CLIENT_CORE, CORES_ARE_APART, hold
from bench.profiling import OneProfilerOnly, profile
from bench.report import CASEWORK, TWINS, insert, markdown, section
from bench.results import Machine, Profiled, Results
from bench.running import Run
from bench.scale import FULL, QUICK, Scale
from tests.postgres import Cluster, find_binaries

ROOT = Path(__file__).parents[1]
README, CHART, RESULTS = ROOT / "README.md", ROOT / "docs" / "bench.svg", ROOT / "bench" / "results.json"
BLOCKS = ROOT / "bench" / "blocks.json"
VERIFYING = ROOT / "bench" / "verifying.json"
DECIDING = ROOT / "bench" / "deciding.json"
WRITING = ROOT / "bench" / "writing.json"
_PROFILED = ("open", "list", "save")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tiny run that writes nothing: does it all work?"
    )
    parser.add_argument("--blocks", action="store_true", help="the building blocks alone: half a minute")
    parser.add_argument("--verifying", action="store_true", help="verifying a journal alone: five minutes")
    parser.add_argument(
        "--writing", action="store_true", help="writing to the journal alone, on PostgreSQL: two minutes"
    )
    parser.add_argument(
        "--policies",
        action="store_true",
        help="decisions, and lists of a million cases on PostgreSQL: three minutes",
    )
    options = parser.parse_args()
    if options.policies:
        measure_deciding()
        return
    if options.blocks:
        measure_blocks()
        return
    if options.verifying:
        measure_verifying()
        return
    if options.writing:
        measure_writing()
        return
    quick = options.quick
    folder = Path(tempfile.mkdtemp(prefix="casework-bench-"))
    # The database server runs as somebody else and must reach its own folder below.
    folder.chmod(0o711)
    try:
        results = run(folder, QUICK if quick else FULL)
    finally:
        shutil.rmtree(folder)
    print(markdown(results))
    if not quick:
        write(results)
        measure_blocks()
        measure_verifying()
        measure_writing()
        measure_deciding()


def measure_verifying() -> None:
    """Measure the verification of a long journal."""
    found = verifying.measure(_machine(""), datetime.now(UTC))
    _keep(found, verifying.section(found), VERIFYING, verifying.MARKERS)


def measure_writing() -> None:
    """Measure writing to the journal."""
    with _cluster() as on:
        if on is not None:
            cluster, folder, machine = on
            found = asyncio.run(writing.measure(cluster, folder, machine, datetime.now(UTC)))
            _keep(found, writing.section(found), WRITING, writing.MARKERS)


def measure_deciding() -> None:
    """Measure decisions and lists of a million cases."""
    with _cluster() as on:
        if on is not None:
            cluster, _, machine = on
            found = deciding.measure(cluster, machine)
            _keep(found, deciding.section(found), DECIDING, deciding.MARKERS)


def measure_blocks() -> None:
    """Measure the building blocks."""
    found = blocks.measure(_machine(""))
    _keep(found, blocks.section(found), BLOCKS, blocks.MARKERS)


@contextmanager
def _cluster() -> Iterator[tuple[Cluster, Path, Machine] | None]:
    """A PostgreSQL of its own, with its folder; None, said aloud, where there are no binaries."""
    binaries = find_binaries()
    if binaries is None:
        print("SKIPPED, NOT MEASURED: PostgreSQL, of which no binaries were found", flush=True)
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="casework-bench-"))
    # The database server runs as somebody else and must reach its own folder below.
    folder.chmod(0o711)
    cluster = Cluster(binaries, folder)
    try:
        yield cluster, folder, _machine("PostgreSQL " + cluster.sql("SHOW server_version").split()[0])
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def _keep(found: Struct, section: str, path: Path, markers: tuple[str, str]) -> None:
    """Show what was measured, keep its figures, and put its section between its own markers into README."""
    print(section)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    README.write_text(insert(README.read_text("utf-8"), section, markers), "utf-8")


def run(folder: Path, scale: Scale) -> Results:
    """Measure both engines, where PostgreSQL can be had, and profile casework on SQLite."""
    if not CORES_ARE_APART:
        print("SERVER AND CLIENT SHARE CORES: no two of them can be kept apart here", flush=True)
    # The database server is started from here, so it has the client's core.
    hold(os.getpid(), CLIENT_CORE)
    runs = {"sqlite": Run("sqlite", scale)}
    asker = _play(runs["sqlite"], Sqlite(), folder / "sqlite", scale)
    # Now, while its clients' sessions live.
    profiled = _profile(folder / "sqlite" / CASEWORK, asker, scale)
    binaries, version = find_binaries(), "no PostgreSQL"
    if binaries is None:
        print("SKIPPED, NOT MEASURED: PostgreSQL, of which no binaries were found", flush=True)
    else:
        cluster = Cluster(binaries, folder)
        try:
            version = "PostgreSQL " + cluster.sql("SHOW server_version").split()[0]
            runs["postgresql"] = Run("postgresql", scale, cluster.pid)
            _play(runs["postgresql"], Postgres(cluster), folder / "postgresql", scale)
        finally:
            cluster.stop()
    return Results(
        made_at=datetime.now(UTC),
        machine=_machine(version),
        rounds=scale.rounds,
        requests=scale.requests,
        figures={
            engine: {
                action: {name: figures(rounds) for name, rounds in by_name.items()}
                for action, by_name in run.rounds.items()
            }
            for engine, run in runs.items()
        },
        ratios={engine: _ratios(run) for engine, run in runs.items()},
        profile=profiled,
        skipped=[words for run in runs.values() for words in run.skipped.values()],
    )


def write(results: Results) -> None:
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    draw(results, CHART)
    README.write_text(insert(README.read_text("utf-8"), section(results)), "utf-8")


def _play(run: Run, engine: Engine, folder: Path, scale: Scale) -> Asker:
    """Let everyone play on one engine; returns casework's client."""
    with contestants(engine, folder, scale) as taking_part:
        asyncio.run(run.play(taking_part))
        return taking_part[0].asker


def _ratios(run: Run) -> dict[str, dict[str, float]]:
    return {
        action: {
            twin: ratio(by_name[CASEWORK], by_name[twin])
            for twin in TWINS
            if CASEWORK in by_name and twin in by_name
        }
        for action, by_name in run.rounds.items()
    }


def _profile(home: Path, asker: Asker, scale: Scale) -> dict[str, Profiled]:
    actions = [action for action in ACTIONS if action.name in _PROFILED]
    try:
        return profile(environment(home, Sqlite().casework_urls(home)), asker, actions, scale.profiled)
    except OneProfilerOnly:
        print(
            "SKIPPED, NOT MEASURED: where the time goes; this Python profiles one thread at a time",
            flush=True,
        )
        return {}


def _machine(postgresql: str) -> Machine:
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return Machine(
        processor=named[0].partition(":")[2].strip() if named else platform.machine(),
        cores=os.cpu_count() or 1,
        cores_are_apart=CORES_ARE_APART,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        postgresql=postgresql,
    )


if __name__ == "__main__":
    main()
