"""Whether each writer's numbers are all there, and whether its time runs forwards.

Numbers of one lane may stand in the log in another order than they were given (concurrent transactions), and
a number is excused where a later entry of the lane lists it as void.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# A number given to a transaction that is still open leaves a hole for a while. After 30 s without its entry a
# writer raises the alarm itself.
GRACE_US = 30_000_000
# Requests take their time before they commit, so a lane's times may be a little out of order.
CLOCK_TOLERANCE_US = 60_000_000
# Of more writers, or numbers declared void, than any journal has, a verification follows no more: each is an object
# in memory, and a made-up log would have one for every few bytes.
MOST_LANES = 1 << 16
MOST_VOID = 1 << 20


@dataclass(frozen=True, slots=True)
class Hole:
    """The lane's numbers from `first` on are missing before the entry at `index`."""

    writer: str
    first: int
    index: int


@dataclass(slots=True)
class _Lane:
    # The number it was first seen with, or 1 where the log is read from its beginning.
    first: int
    following: int
    newest_time: int = 0
    # Numbers seen before a smaller one: number → (index in the log, time).
    ahead: dict[int, tuple[int, int]] = field(default_factory=dict)
    void: set[int] = field(default_factory=set)
    # Numbers below the first one, which came later in a log that is pruned.
    below: set[int] = field(default_factory=set)


class Continuity:
    """Follows the lanes of a log while its entries are read in order."""

    def __init__(self, *, from_the_beginning: bool) -> None:
        """Where the log is pruned, a lane may begin at any number."""
        self._from_the_beginning = from_the_beginning
        self._lanes: dict[str, _Lane] = {}
        self._declared = 0
        self.newest_time = 0
        # Whether there were more lanes or void numbers than are followed.
        self.has_too_many = False

    def singular(self, writers: Sequence[str], numbers: Sequence[int], times: Sequence[int]) -> Iterator[int]:
        """Take a run of entries, each where it is simply the next of its lane.

        Yields the place of each one that is not; it is to be taken by `number_is_new` and `time_runs_forwards`
        before the next place is asked for. The next one can declare nothing void that counts: what it names lies
        below it, and is settled. Void numbers that do count lie below one that is ahead.
        """
        lanes = self._lanes
        for at, (writer, n, time) in enumerate(zip(writers, numbers, times, strict=True)):
            lane = lanes.get(writer)
            if lane is None or n != lane.following or lane.ahead or time < lane.newest_time:
                yield at
                continue
            lane.following, lane.newest_time = n + 1, time
        self.newest_time = max(self.newest_time, *times)

    def number_is_new(self, writer: str, n: int, void: Sequence[int], index: int, time: int) -> bool:
        """Take the entry's number; False where its lane already has an entry with it."""
        lane = self._lanes.get(writer)
        if lane is None and len(self._lanes) == MOST_LANES:
            self.has_too_many = True
            return True
        if lane is None:
            first = 1 if self._from_the_beginning else n
            lane = self._lanes[writer] = _Lane(first, first)
        self.newest_time = max(self.newest_time, time)
        if void:
            lane.void.update(one for one in void if one >= lane.following and one not in lane.ahead)
        if n == lane.following:
            lane.following += 1
        elif n > lane.following:
            if n in lane.ahead:
                return False
            lane.ahead[n] = (index, time)
            lane.void.discard(n)
        elif n in lane.void:
            # Declared void because nobody knew, and committed after all.
            lane.void.discard(n)
            return True
        elif n >= lane.first or n in lane.below:
            return False
        else:
            lane.below.add(n)
        if lane.ahead or lane.void:
            _advance(lane)
        return True

    def declared_void(self, void: Sequence[int]) -> Sequence[int]:
        """What an entry declares void, as far as it is followed."""
        if self._declared + len(void) > MOST_VOID:
            self.has_too_many = True
            return ()
        self._declared += len(void)
        return void

    def time_runs_forwards(self, writer: str, time: int) -> bool:
        """Whether `time` (µs) is not behind the newest of this writer by more than the tolerance."""
        lane = self._lanes.get(writer)
        if lane is None:  # one of too many
            return True
        if time < lane.newest_time - CLOCK_TOLERANCE_US:
            return False
        lane.newest_time = max(lane.newest_time, time)
        return True

    def holes(self) -> list[Hole]:
        """The first hole of each lane that has one and whose following entry is past the grace period."""
        holes = []
        for writer, lane in self._lanes.items():
            if not lane.ahead:
                continue
            index, time = lane.ahead[min(lane.ahead)]
            if self.newest_time - time > GRACE_US:
                holes.append(Hole(writer, lane.following, index))
        return holes


def _advance(lane: _Lane) -> None:
    while True:
        if lane.following in lane.ahead:
            del lane.ahead[lane.following]
        elif lane.following not in lane.void:
            # `void` keeps the number: its entry may still come.
            return
        lane.following += 1
