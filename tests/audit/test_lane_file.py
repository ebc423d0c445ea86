"""A process that is killed leaves the numbers of its open transactions behind, and nothing else."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from audit.continuity import GRACE_US, Continuity
from audit.entry import LaneNumber
from audit.lane import Lane
from audit.lane_file import AbandonedLane, LaneFile, abandoned_files
from tests.audit.journal import LOG, START, WRITER

OTHER = "9c5b94b1-35ad-49bb-b118-8e8fc24abf80"


def die(file: LaneFile) -> None:
    """What the kernel does with a killed process's files: they stay, unlocked."""
    os.close(file._descriptor)


def left(folder: Path) -> list[AbandonedLane]:
    return [lane for file in abandoned_files(folder) for lane in file.lanes]


def close_all(folder: Path) -> list[LaneNumber]:
    """The numbers of the closing entries; nobody hears whether they are committed."""
    return [lane.resume().next() for file in abandoned_files(folder) for lane in file.lanes]


def begin(file: LaneFile, writer: str = WRITER) -> Lane:
    return Lane(writer, file.slot(LOG, writer))


def test_the_numbers_that_were_not_settled_are_left_and_no_others(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    lane, other = begin(file), begin(file, OTHER)
    numbers = [lane.next() for _ in range(5)]
    for settled in (0, 2, 4):
        lane.settle(numbers[settled])
    other.settle(other.next())
    die(file)
    found = left(tmp_path)
    assert [(one.log, one.writer, one.last, one.unsettled) for one in found] == [
        (LOG, WRITER, 5, (2, 4)),
        (LOG, OTHER, 1, ()),
    ]


def test_a_void_number_is_left_until_the_entry_that_declares_it_is_committed(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    lane = begin(file)
    lane.void(lane.next())
    declaring = lane.next()
    assert declaring.void == (1,)
    path = next(tmp_path.iterdir())
    before = path.read_bytes()
    lane.settle(declaring)
    assert path.read_bytes() != before
    lane.next()
    die(file)
    assert [one.unsettled for one in left(tmp_path)] == [(3,)]


def test_closing_a_lane_excuses_what_may_never_come_and_not_what_vanished(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    lane = begin(file)
    first, open_one, vanished, last = (lane.next() for _ in range(4))
    for settled in (first, vanished, last):
        lane.settle(settled)
    die(file)
    (closing,) = close_all(tmp_path)
    assert (closing.n, closing.void) == (5, (open_one.n,))
    for entries, holes in (((first, vanished, last, closing), 0), ((first, last, closing), 1)):
        continuity = Continuity(from_the_beginning=True)
        for index, number in enumerate(entries):
            assert continuity.number_is_new(number.writer, number.n, number.void, index, START)
        continuity.number_is_new(OTHER, 1, (), 9, START + GRACE_US + 1)
        assert len(continuity.holes()) == holes


def test_a_death_while_a_lane_is_closed_uses_no_number_twice(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    begin(file).next()
    die(file)
    closings = close_all(tmp_path) + close_all(tmp_path)
    assert [(one.n, one.void) for one in closings] == [(2, (1,)), (3, (1, 2))]


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    begin(file).next()
    assert list(abandoned_files(tmp_path)) == []
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_out_of_a_backup_closes_nothing(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    begin(file).next()
    die(file)
    (original,) = tmp_path.iterdir()
    (tmp_path / "restored").mkdir()
    shutil.copy(original, tmp_path / "restored" / original.name)
    assert left(tmp_path / "restored") == []
    assert len(left(tmp_path)) == 1


def test_a_forgotten_file_is_gone(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    begin(file).next()
    die(file)
    for found in abandoned_files(tmp_path):
        found.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_for_its_owner_alone_and_locked(tmp_path: Path) -> None:
    file = LaneFile(tmp_path / "lanes")
    (path,) = (tmp_path / "lanes").iterdir()
    assert (tmp_path / "lanes").stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0
    with path.open("rb+") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.close()


def test_more_numbers_than_a_slot_holds_do_not_reach_the_next_one(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    many, other = begin(file), begin(file, OTHER)
    for _ in range(1_000):
        many.next()
    other.next()
    die(file)
    found = left(tmp_path)
    assert [one.last for one in found] == [1_000, 1]
    assert found[0].unsettled == tuple(range(1, len(found[0].unsettled) + 1))


def test_a_file_that_ends_unsettled_is_left_to_the_next_start(tmp_path: Path) -> None:
    file = LaneFile(tmp_path)
    lane = begin(file)
    number = lane.next()
    assert lane.is_unsettled
    file.close(is_settled=False)
    assert [one.unsettled for one in left(tmp_path)] == [(number.n,)]
    other = LaneFile(tmp_path)
    settled = begin(other, OTHER)
    settled.settle(settled.next())
    assert not settled.is_unsettled
    other.close()
    assert len(left(tmp_path)) == 1
