"""Numbers of a writer, and how a missing one is noticed."""

from random import Random
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.continuity import CLOCK_TOLERANCE_US, GRACE_US, Continuity, Hole
from audit.entry import LaneNumber
from audit.lane import Lane
from tests.audit.journal import START, WRITER

LATER = START + GRACE_US + 1


def number(n: int, *void: int, writer: str = WRITER) -> LaneNumber:
    return LaneNumber(n=n, void=void, writer=writer)


def take(continuity: Continuity, *numbers: LaneNumber, time: int = START) -> list[bool]:
    return [
        continuity.number_is_new(one.writer, one.n, one.void, index, time)
        for index, one in enumerate(numbers)
    ]


def test_numbers_begin_at_one_and_follow_one_another() -> None:
    lane = Lane(WRITER)
    assert [lane.next() for _ in range(3)] == [number(1), number(2), number(3)]


def test_a_void_number_is_named_by_the_next_entry_once() -> None:
    lane = Lane(WRITER)
    lost = lane.next()
    lane.void(lost)
    assert lane.next() == number(2, 1)
    assert lane.next() == number(3)


def test_what_a_lost_entry_had_declared_void_is_declared_again() -> None:
    lane = Lane(WRITER)
    lane.void(lane.next())
    lane.next()
    lane.void(lane.next())
    lane.void(lane.next())
    assert lane.next() == number(5, 3, 4)
    lane.void(number(2, 1))
    assert lane.next() == number(6, 1, 2)


def test_threads_never_share_a_number() -> None:
    lane = Lane(WRITER)
    taken: list[int] = []
    threads = [Thread(target=lambda: taken.extend(lane.next().n for _ in range(200))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 801))


@settings(max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_whatever_is_lost_and_in_whatever_order_it_is_integrated_no_number_is_missed(
    kept: list[bool], random: Random
) -> None:
    lane = Lane(WRITER)
    integrated = []
    for is_kept in [*kept, True]:
        taken = lane.next()
        if is_kept:
            integrated.append(taken)
        else:
            lane.void(taken)
    random.shuffle(integrated)
    continuity = Continuity(from_the_beginning=True)
    assert all(take(continuity, *integrated))
    take(continuity, number(1, writer="ffffffff"), time=LATER)
    assert continuity.holes() == []


@settings(max_examples=60)
@given(st.integers(2, 30), st.data())
def test_any_number_that_vanished_is_a_hole(count: int, data: st.DataObject) -> None:
    gone = data.draw(st.integers(1, count - 1))
    continuity = Continuity(from_the_beginning=True)
    take(continuity, *(number(n) for n in range(1, count + 1) if n != gone))
    take(continuity, number(1, writer="ffffffff"), time=LATER)
    assert continuity.holes() == [Hole(WRITER, gone, gone - 1)]


def test_a_young_hole_is_still_being_written() -> None:
    continuity = Continuity(from_the_beginning=True)
    take(continuity, number(1), number(3))
    take(continuity, number(1, writer="ffffffff"), time=START + GRACE_US)
    assert continuity.holes() == []


@pytest.mark.parametrize("numbers", [(1, 1), (1, 3, 3), (1, 2, 3, 2)])
def test_a_number_is_used_once(numbers: tuple[int, ...]) -> None:
    continuity = Continuity(from_the_beginning=True)
    assert take(continuity, *map(number, numbers)) == [True] * (len(numbers) - 1) + [False]


def test_a_number_that_was_void_and_came_after_all_is_used_once() -> None:
    continuity = Continuity(from_the_beginning=True)
    numbers = [number(1), number(3, 2), number(2), number(2)]
    assert take(continuity, *numbers) == [True, True, True, False]


def test_void_said_twice_or_of_what_came_changes_nothing() -> None:
    continuity = Continuity(from_the_beginning=True)
    assert all(take(continuity, number(2, 1), number(3, 1), number(5, 2, 4), number(6)))
    take(continuity, number(1, writer="ffffffff"), time=LATER)
    assert continuity.holes() == []


def test_a_lane_of_a_pruned_log_begins_anywhere() -> None:
    continuity = Continuity(from_the_beginning=False)
    assert all(take(continuity, number(40), number(39), number(41), number(43), time=START))
    take(continuity, number(9, writer="ffffffff"), time=LATER)
    assert continuity.holes() == [Hole(WRITER, 42, 3)]


def test_time_may_lag_within_the_tolerance_only() -> None:
    continuity = Continuity(from_the_beginning=True)
    take(continuity, number(1))
    assert continuity.time_runs_forwards(WRITER, START)
    assert continuity.time_runs_forwards(WRITER, START - CLOCK_TOLERANCE_US)
    assert not continuity.time_runs_forwards(WRITER, START - CLOCK_TOLERANCE_US - 1)


# Writer, by how much its number is above its last, time, void numbers.
WRITTEN = st.tuples(
    st.sampled_from(["0" * 8, "1" * 8]),
    st.sampled_from([1, 1, 1, 2, 3, 0, -1, -2]),
    st.sampled_from([START, START + 1, START + CLOCK_TOLERANCE_US, START + CLOCK_TOLERANCE_US + 2]),
    st.lists(st.integers(1, 6), max_size=1),
)


@settings(max_examples=300, deadline=None)
@given(written=st.lists(WRITTEN, max_size=12), width=st.integers(1, 5), from_the_beginning=st.booleans())
def test_a_run_of_entries_is_taken_as_its_entries_are_one_by_one(
    written: list[tuple[str, int, int, list[int]]], width: int, from_the_beginning: bool
) -> None:
    last: dict[str, int] = {}
    entries = []
    for writer, above, time, named in written:
        n = last[writer] = max(1, last.get(writer, 0) + above)
        entries.append((writer, n, time, [one for one in named if one < n]))
    singly, by_runs = (Continuity(from_the_beginning=from_the_beginning) for _ in range(2))

    def take_one(continuity: Continuity, index: int) -> tuple[bool, bool]:
        writer, n, time, void = entries[index]
        is_new = continuity.number_is_new(writer, n, void, index, time)
        return is_new, continuity.time_runs_forwards(writer, time)

    one_by_one = [take_one(singly, index) for index in range(len(entries))]
    found = [(True, True)] * len(entries)
    for first in range(0, len(entries), width):
        run = entries[first : first + width]
        writers, numbers, times, _ = zip(*run, strict=True)
        for at in by_runs.singular(writers, numbers, times):
            found[first + at] = take_one(by_runs, first + at)
    assert (found, by_runs.holes()) == (one_by_one, singly.holes())
    assert by_runs.newest_time == singly.newest_time


@pytest.mark.parametrize("numbers", [(5, 6, 7, 5), (7, 5, 5), (5, 5)])
def test_in_a_pruned_log_too_a_number_comes_once(numbers: tuple[int, ...]) -> None:
    *before, again = numbers
    continuity = Continuity(from_the_beginning=False)
    for index, n in enumerate(before):
        assert continuity.number_is_new("0" * 8, n, (), index, START)
    assert not continuity.number_is_new("0" * 8, again, (), len(before), START)
