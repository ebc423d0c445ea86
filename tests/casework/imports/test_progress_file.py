"""What the progress file says is true after any crash, and the file is its owner's alone."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from casework.imports.errors import ImportRefused
from casework.imports.progress_file import Begun, Made, ProgressFile, Refused, Sent, progress_file

DIGEST = "5a" * 32
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
RECORDS = (
    Begun(DIGEST, "avec", uuid4()),
    Sent(2, NOW),
    Made(2, uuid4()),
    Sent(3, NOW),
    Refused(3),
    Sent(4, NOW),
    Made(4, None),
    Sent(5, NOW),
)


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "personnes.csv"
    with progress_file(path, DIGEST) as progress:
        for record in RECORDS:
            progress.write(record)
    return path


def beside(csv_file: Path) -> Path:
    return csv_file.with_name("personnes.csv.progress")


def assert_refused(csv_file: Path, words: str, digest: str = DIGEST) -> None:
    with pytest.raises(ImportRefused, match=words), progress_file(csv_file, digest):
        pass


def states(progress: ProgressFile) -> list[Sent | Made | None]:
    return [progress.state(row) for row in range(2, 7)]


def test_what_was_written_is_known_again(csv_file: Path) -> None:
    assert stat.S_IMODE(beside(csv_file).stat().st_mode) == 0o600
    with progress_file(csv_file, DIGEST) as progress:
        assert progress.begun == RECORDS[0]
        assert states(progress) == [RECORDS[2], None, RECORDS[6], RECORDS[7], None]


def test_a_crash_at_any_byte_loses_at_most_the_last_record(csv_file: Path) -> None:
    content = beside(csv_file).read_bytes()
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        beside(csv_file).write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        with progress_file(csv_file, DIGEST) as progress:
            expected = ProgressFile(-1, list(RECORDS[:whole]))
            assert (progress.begun, states(progress)) == (expected.begun, states(expected))
            # What is written next begins a line of its own.
            if whole:
                progress.write(Sent(9, NOW))
        with progress_file(csv_file, DIGEST) as progress:
            assert progress.state(9) == (Sent(9, NOW) if whole else None)


def test_a_damaged_file_is_refused(csv_file: Path) -> None:
    lines = beside(csv_file).read_bytes().splitlines(keepends=True)
    for damaged in ([*lines[:2], b"\0" * 40 + b"\n", *lines[2:]], lines[1:], [*lines, lines[0]], [b"{}\n"]):
        beside(csv_file).write_bytes(b"".join(damaged))
        assert_refused(csv_file, "abîmé")


def test_another_content_under_the_same_name_is_refused(csv_file: Path) -> None:
    assert_refused(csv_file, "a changé", "5b" * 32)


def test_two_runs_at_once_are_refused(csv_file: Path) -> None:
    with progress_file(csv_file, DIGEST):
        assert_refused(csv_file, "en cours")


def test_a_file_that_others_may_write_or_a_link_is_refused(csv_file: Path, tmp_path: Path) -> None:
    beside(csv_file).chmod(0o620)
    assert_refused(csv_file, "0600")
    target = tmp_path / "elsewhere"
    target.write_text("untouched")
    beside(csv_file).unlink()
    beside(csv_file).symlink_to(target)
    assert_refused(csv_file, "ne peut pas être tenu")
    assert target.read_text() == "untouched"


def test_a_disk_that_is_full_stops_before_anything_depends_on_it(csv_file: Path) -> None:
    full = Path("/dev/full")
    with full.open("wb", buffering=0) as file:
        progress = ProgressFile(file.fileno(), list(RECORDS))
        with pytest.raises(ImportRefused, match="ne peut pas être tenu"):
            progress.write(Made(5, uuid4()))
    assert progress.state(5) == RECORDS[7]
