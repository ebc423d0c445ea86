"""The bundle's layout, and what a stranger's zip is answered."""

import io
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from audit.bundle import write_bundle
from audit.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from audit.errors import NothingPublished
from audit.layout import tile_path, upper_tiles
from audit.tree import leaf_hash
from audit.trust import Trust
from audit.verdict import CheckName, Verdict
from audit.verifier import verify_bundle
from tests.audit import second
from tests.audit.journal import LOG, ORIGIN, Journal, verify


@pytest.fixture
def engine_name() -> str:
    """What is tested here is the file."""
    return "sqlite"


def bundle_of(journal: Journal) -> bytes:
    out = io.BytesIO()
    journal.run(lambda connection: write_bundle(connection, LOG, out))
    return out.getvalue()


def members(raw: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(raw)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def zipped(content: dict[str, bytes], *, method: int = ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with ZipFile(out, "w", method) as bundle:
        for name, raw in content.items():
            bundle.writestr(name, raw)
    return out.getvalue()


def judge(journal: Journal, raw: bytes) -> tuple[Verdict, set[CheckName]]:
    path = journal.directory / "made-up.zip"
    path.write_bytes(raw)
    trust = Trust(keys=(journal.key,))
    report = verify_bundle(path, trust, verify)
    assert second.exit_code(path, trust) == report.exit_code, report
    return report.verdict, {check.name for check in report.checks if not check.passed}


@pytest.mark.parametrize(
    ("index", "path"),
    [
        (0, "tile/0/000"),
        (67, "tile/0/067"),
        (999, "tile/0/999"),
        (1000, "tile/0/x001/000"),
        (1234067, "tile/0/x001/x234/067"),
    ],
)
def test_tile_paths_of_tlog_tiles(index: int, path: str) -> None:
    assert tile_path(0, index, 256) == path
    assert tile_path(0, index, 5) == f"{path}.p/5"


def test_the_upper_tiles_of_70000_leaves() -> None:
    """The example of tlog-tiles."""
    assert list(upper_tiles(70_000)) == [(1, 0, 256), (1, 1, 17), (2, 0, 1)]
    assert list(upper_tiles(256)) == [(1, 0, 1)]
    assert list(upper_tiles(255)) == []


def test_a_bundle_holds_checkpoints_tiles_and_entries(journal: Journal) -> None:
    notes = journal.grow(2, 255, 2)
    content = members(bundle_of(journal))
    assert list(content) == [
        "checkpoint",
        "checkpoints",
        "tile/0/000",
        "tile/entries/000",
        "tile/0/001.p/3",
        "tile/entries/001.p/3",
        "tile/1/000.p/1",
    ]
    assert content["checkpoint"] == notes[2].encode()
    earlier = b"".join(len(note.encode()).to_bytes(2) + note.encode() for note in notes[:2])
    assert content["checkpoints"] == earlier
    assert len(content["tile/0/000"]) == 8_192
    entries, hashes = content["tile/entries/001.p/3"], content["tile/0/001.p/3"]
    for at in range(3):
        length = int.from_bytes(entries[:2])
        raw, entries = entries[2 : 2 + length], entries[2 + length :]
        assert hashes[32 * at : 32 * (at + 1)] == leaf_hash(raw)
    assert entries == b""


def test_one_log_gives_one_bundle_byte_for_byte(journal: Journal) -> None:
    journal.grow(3)
    assert bundle_of(journal) == bundle_of(journal)


def test_there_is_no_bundle_before_the_first_checkpoint(journal: Journal) -> None:
    with pytest.raises(NothingPublished):
        bundle_of(journal)


Change = Callable[[dict[str, bytes]], dict[str, bytes]]


def without(name: str) -> Change:
    return lambda content: {key: raw for key, raw in content.items() if key != name}


def with_member(name: str, raw: bytes) -> Change:
    return lambda content: {**content, name: raw}


ENTRIES, TILE = "tile/entries/000.p/3", "tile/0/000.p/3"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (without("checkpoint"), Verdict.INCOMPLETE),
        (without("checkpoints"), Verdict.INCOMPLETE),
        (without(TILE), Verdict.INCOMPLETE),
        (with_member("../../etc/passwd", b""), Verdict.INCONSISTENT),
        (with_member("/tile/0/000", b""), Verdict.INCONSISTENT),
        (with_member("tile/0/000", b""), Verdict.INCONSISTENT),
        (with_member("tile/0/001.p/3", b""), Verdict.INCONSISTENT),
        (with_member("tile/entries/x000/000.p/3", b""), Verdict.INCONSISTENT),
        (with_member("tile/entries/nothing", b""), Verdict.INCONSISTENT),
        (with_member("tile/entries/" + "9" * 400, b""), Verdict.INCONSISTENT),
        (with_member("tile/entries/٣", b""), Verdict.INCONSISTENT),
        (with_member("checkpoint", b"\xff"), Verdict.INCONSISTENT),
        (with_member("checkpoint", b"a" * 70_000), Verdict.INCONSISTENT),
        (with_member("checkpoints", b"\xff\xff short"), Verdict.INCONSISTENT),
        (with_member("checkpoints", b"\x00"), Verdict.INCONSISTENT),
        (with_member("checkpoints", b"\x00\x01\xff"), Verdict.INCONSISTENT),
        (with_member("checkpoints", b"\x00\x00"), Verdict.INCONSISTENT),
        (with_member(TILE, bytes(95)), Verdict.INCONSISTENT),
        (with_member(TILE, bytes(9_000)), Verdict.INCONSISTENT),
        (with_member(ENTRIES, b""), Verdict.INCONSISTENT),
        (with_member(ENTRIES, bytes(8)), Verdict.INCONSISTENT),
        (with_member(ENTRIES, b"\x00\x00\x00\x00\xff\xff"), Verdict.INCONSISTENT),
        (with_member(ENTRIES, bytes(17_000_000)), Verdict.INCONSISTENT),
        (with_member(ENTRIES, bytes(6)), Verdict.INCOMPLETE),
    ],
)
def test_a_made_up_bundle_is_a_verdict(journal: Journal, change: Change, verdict: Verdict) -> None:
    journal.grow(3)
    content = members(bundle_of(journal))
    assert judge(journal, zipped(content))[0] is Verdict.VALID
    assert judge(journal, zipped(change(content)))[0] is verdict


def test_a_bundle_that_claims_to_be_huge_is_refused_at_once(journal: Journal) -> None:
    journal.grow(3)
    huge = sign_checkpoint(Checkpoint(ORIGIN, 2**52, bytes(32)), [journal.signer])
    raw = zipped({**members(bundle_of(journal)), "checkpoint": huge.encode()})
    verdict, failed = judge(journal, raw)
    assert verdict is Verdict.INCOMPLETE
    assert CheckName.FORM in failed


def test_a_bundle_with_fewer_members_than_its_size_needs_is_incomplete(journal: Journal) -> None:
    claim = sign_checkpoint(Checkpoint(ORIGIN, 2_000, bytes(32)), [journal.signer])
    content = {"checkpoint": claim.encode(), "checkpoints": b"", "tile/1/000.p/7": bytes(range(32)) * 7}
    assert judge(journal, zipped(content))[0] is Verdict.INCOMPLETE


def test_a_bundle_without_any_entry_is_not_valid(journal: Journal) -> None:
    journal.grow(3)
    assert judge(journal, zipped(without(ENTRIES)(members(bundle_of(journal)))))[0] is Verdict.INCOMPLETE


def test_a_member_that_stands_there_twice_is_refused(journal: Journal) -> None:
    journal.grow(3)
    out = io.BytesIO(bundle_of(journal))
    with ZipFile(out, "a") as bundle, pytest.warns(UserWarning, match="Duplicate name"):
        bundle.writestr("checkpoint", b"another")
    assert judge(journal, out.getvalue()) == (Verdict.INCONSISTENT, {CheckName.FORM})


def test_another_compression_is_refused(journal: Journal) -> None:
    journal.grow(3)
    raw = zipped(members(bundle_of(journal)), method=ZIP_BZIP2)
    assert judge(journal, raw) == (Verdict.INCONSISTENT, {CheckName.FORM})


def test_an_encrypted_member_is_refused(journal: Journal) -> None:
    journal.grow(3)
    raw = bytearray(bundle_of(journal))
    directory = raw.index(b"PK\x01\x02")
    raw[directory + 8] |= 1
    assert judge(journal, bytes(raw)) == (Verdict.INCONSISTENT, {CheckName.FORM})


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_download_that_broke_off_is_incomplete(journal: Journal, keep: int) -> None:
    journal.grow(3)
    assert judge(journal, bundle_of(journal)[:keep]) == (Verdict.INCOMPLETE, {CheckName.FORM})


def test_a_file_that_is_not_there_is_incomplete(tmp_path: Path) -> None:
    report = verify_bundle(tmp_path / "nothing.zip", Trust(), verify)
    assert report.verdict is Verdict.INCOMPLETE


def test_any_damaged_byte_is_never_valid_and_never_a_traceback(journal: Journal) -> None:
    note = journal.grow(2, 1)[1]
    raw = bundle_of(journal)
    content = members(raw)
    for at in range(0, len(raw), 41):
        damaged = bytearray(raw)
        damaged[at] ^= 0x55
        verdict, _ = judge(journal, bytes(damaged))
        if verdict is Verdict.VALID:
            # A zip has bytes that say nothing (versions, dates): then its content must be untouched.
            assert members(bytes(damaged)) == content
    assert parse_checkpoint(note).checkpoint.size == 3


def test_a_list_of_checkpoints_that_is_cut_short_is_found_though_a_tile_is_missing(journal: Journal) -> None:
    journal.grow(1, 1, 1)
    content = members(bundle_of(journal))
    lacking = {**without(TILE)(content), "checkpoints": content["checkpoints"][:-1]}
    assert judge(journal, zipped(lacking))[0] is Verdict.INCONSISTENT


def test_a_broken_list_of_checkpoints_is_incomplete(journal: Journal) -> None:
    journal.grow(2, 1)
    raw = bytearray(bundle_of(journal))
    with ZipFile(io.BytesIO(bytes(raw))) as bundle:
        info: ZipInfo = bundle.getinfo("checkpoints")
    raw[info.header_offset + 30 + len("checkpoints") + 25] ^= 0xFF
    assert judge(journal, bytes(raw))[0] is not Verdict.VALID
