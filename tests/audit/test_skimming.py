"""Entries that are read by one pattern are read as `audit.entry` reads them, in one process or in several."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import skimming
from audit.entry import Asked, Basis, Entry, LaneNumber, Outcome, Row, Subject
from audit.errors import EntryRefused
from audit.evidence import Tile
from audit.skimming import Run, SkimmedTile, skim_tile
from audit.tree import Frontier, leaf_hash
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from tests.audit import second
from tests.audit.journal import ORIGIN, Journal, make_entry, new_id, verify
from tests.audit.test_bundle import bundle_of, members, zipped
from tests.audit.test_verifier import trust


@pytest.fixture
def engine_name() -> str:
    return "sqlite"


def skimmed(*raws: bytes, whole: bool = False) -> list[Any]:
    """Of each entry what was read of it; or its bytes, where it is to be read whole."""
    return pieces(skim_tile(Tile(0, [leaf_hash(raw) for raw in raws], list(raws)), whole=whole))


def pieces(tile: SkimmedTile, start: int = 0, stop: int | None = None) -> list[Any]:
    found: list[Any] = []
    for each in tile.entries(start, len(tile.nodes) if stop is None else stop):
        if isinstance(each, Run):
            found += zip(each.ids, each.writers, each.numbers, each.times, strict=True)
        else:
            found.append(each[1])
    return found


def as_skim(raw: bytes) -> tuple[bytes, str, int, int]:
    entry = Entry.from_bytes(raw)
    identity = bytes.fromhex(entry.id.replace("-", ""))
    return identity, entry.lane.writer, entry.lane.n, entry.time


PERSON, OTHER = "11" * 32, "33" * 32
SITUATION = Asked(allowed=("case.list", "case.read.social"), denied=(), holds=("mine", "status.open"))
ORDINARY = [
    make_entry(),
    make_entry(actor=None, subjects=(), reason="not_found", outcome=Outcome.DENIED, count=0),
    make_entry(subjects=(Subject(p=PERSON, rows=()), Subject(p=OTHER, rows=(Row(r="22" * 32, v=0),) * 2))),
    make_entry(basis=Basis(policies=(), set=None, consent=new_id(), handoff=new_id(), glass=new_id())),
    make_entry(basis=Basis(policies=(), set=None, asked=(SITUATION,), glass=new_id())),
    make_entry(basis=Basis(policies=(), set=None, asked=(SITUATION, SITUATION))),
    make_entry(time=2**53 - 1, count=10**15 - 1, detail="ab" * 32, source="cd" * 32),
]
READ_WHOLE = [
    make_entry(action="log.heartbeat"),
    make_entry(lane=LaneNumber(n=3, void=(1,), writer="0" * 8)),
    make_entry(count=2**53 - 1),
    make_entry(time=0),
    make_entry(log='a\\b"'),
]


def test_ordinary_entries_are_skimmed_and_others_left_whole() -> None:
    for entry in ORDINARY:
        raw = entry.to_bytes()
        assert skimmed(raw) == [as_skim(raw)]
        assert skimmed(raw, whole=True) == [raw]
    for entry in READ_WHOLE:
        raw = entry.to_bytes()
        assert skimmed(raw) == [raw]


def test_what_only_looks_like_an_entry_is_left_to_be_refused() -> None:
    twice = ORDINARY[2].to_bytes().replace(OTHER.encode(), PERSON.encode())
    late = ORDINARY[0].to_bytes().replace(b'"time":1700', b'"time":9700')
    for raw in (twice, late):
        assert skimmed(raw) == [raw]
        with pytest.raises(EntryRefused):
            Entry.from_bytes(raw)


def test_a_tile_has_one_log_and_others_entries_are_left_whole() -> None:
    one, foreign = make_entry().to_bytes(), make_entry(log="casework.test/journal/cidff").to_bytes()
    tile = skim_tile(Tile(0, [None, None], [one, foreign]))
    assert (tile.run.log, pieces(tile), tile.differs) == (ORIGIN, [as_skim(one), foreign], True)


def test_runs_lie_between_the_entries_that_are_read_whole_and_name_their_first() -> None:
    raws = [make_entry().to_bytes() for _ in range(7)]
    raws[2] = make_entry(action="log.heartbeat").to_bytes()
    held: list[bytes | None] = [*raws[:5], None, raws[6]]
    tile = skim_tile(Tile(512, [leaf_hash(raw) for raw in raws], held))
    starts = [each.first if isinstance(each, Run) else each for each in tile.entries(0, 7)]
    assert starts == [512, (514, raws[2]), 515, 518]
    expected = [as_skim(raws[0]), as_skim(raws[1]), raws[2], *map(as_skim, raws[3:5]), as_skim(raws[6])]
    assert pieces(tile) == expected
    assert pieces(tile, 0, 2) + pieces(tile, 2, 3) + pieces(tile, 3, 7) == expected
    assert [pieces(tile, at, at) for at in (0, 2, 5, 7)] == [[]] * 4


def test_the_root_of_a_full_tile_is_that_of_its_leaves() -> None:
    raws = [make_entry().to_bytes() for _ in range(256)]
    leaves: list[bytes | None] = [leaf_hash(raw) for raw in raws]
    frontier = Frontier()
    for raw in raws:
        frontier.append(leaf_hash(raw))
    for entries in (list(raws), [None] * 256):
        assert skim_tile(Tile(0, leaves, entries)).root == frontier.root()
    whole = Frontier()
    assert whole.append(frontier.root(), 8) == [(8, 0, frontier.root())]
    assert (whole.size, whole.root()) == (256, frontier.root())
    assert skim_tile(Tile(0, [*leaves[:255], None], [None] * 256)).root is None
    assert skim_tile(Tile(0, leaves[:255], [None] * 255)).root is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_is_skimmed_is_an_entry_whatever_was_changed(data: Any) -> None:
    """The pattern accepts nothing that the form refuses, and reads the same out of it."""
    raw = bytearray(data.draw(st.sampled_from(ORDINARY)).to_bytes())
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(raw) - 1))
        new = data.draw(
            st.sampled_from([b"", b"0", b"9", b"a", b"f", b"A", b'"', b",", b"\\", b"{}", b"null", b"\n"])
        )
        raw[at : at + data.draw(st.integers(0, 2))] = new
    found = skimmed(bytes(raw))[0]
    if isinstance(found, tuple):
        assert found == as_skim(bytes(raw))


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skimming, "MANY", 1)
    monkeypatch.setattr(skimming, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(skimming, "_BYTES_UNDER_WAY", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})


@pytest.mark.usefixtures("several")
def test_several_processes_find_what_one_finds(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.grow(250, 300)
    content = members(bundle_of(journal))
    name = "tile/entries/001"
    changed = content[name].replace(b'"case.open"', b'"case.read"', 1)
    for extra, verdict, index in (
        ({}, Verdict.VALID, None),
        ({name: changed}, Verdict.INCONSISTENT, 256),
        # The first tile was read, and is not forgotten for it.
        (
            {name: b"", "tile/entries/000": content["tile/entries/000"].replace(b"mfa", b"abc", 1)},
            Verdict.INCONSISTENT,
            0,
        ),
        ({name: None}, Verdict.INCOMPLETE, None),
    ):
        path = journal.directory / "judged.zip"
        path.write_bytes(zipped({key: raw for key, raw in {**content, **extra}.items() if raw is not None}))
        by_several = verify_bundle(path, trust(journal), verify)
        with monkeypatch.context() as alone:
            alone.setattr(skimming, "MANY", 10**9)
            assert verify_bundle(path, trust(journal), verify) == by_several
        assert by_several.verdict is verdict
        assert (by_several.first_wrong.index if by_several.first_wrong else None) == index
        assert second.exit_code(path, trust(journal)) == verdict


def test_each_chunk_is_read_as_the_whole_is(journal: Journal) -> None:
    """What another process runs, run here."""
    journal.grow(300)
    path = Path(journal.directory / "chunk.zip")
    content = members(bundle_of(journal))
    path.write_bytes(zipped(content))
    tiles, error = skimming._skim_chunk(path, 300, range(0, 300, 256), whole=False)
    assert ([tile.first for tile in tiles], [tile.tile for tile in tiles], error) == (
        [0, 256],
        [None] * 2,
        None,
    )
    lacking = journal.directory / "lacking.zip"
    lacking.write_bytes(zipped({**content, "tile/entries/001.p/44": b"x"}))
    tiles, error = skimming._skim_chunk(lacking, 300, range(0, 300, 256), whole=False)
    assert (len(tiles), type(error).__name__) == (1, "EvidenceRefused")
