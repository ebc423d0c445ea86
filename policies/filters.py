"""A list filter from a set of allowed states: a few cubes, each one indexable branch of a query.

A cube fixes some facts and a set of statuses and leaves the other facts free. The minimisation is that of
Quine and McCluskey (prime implicants, then a cover, here a greedy one) over five binary variables and one of
three values; it is small enough (1,701 cubes) to list every cube outright.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

from policies.facts import ALL_CASE_FACTS, CASE_STATES, CaseFacts
from policies.vocabulary import Fact, Status

_EVERY_STATE = (1 << CASE_STATES) - 1


@dataclass(frozen=True, slots=True)
class Cube:
    """Cases whose facts are as ``required`` and whose status is one of ``statuses``; other facts are free."""

    required: tuple[tuple[Fact, bool], ...]
    statuses: frozenset[Status]

    def covers(self, facts: CaseFacts) -> bool:
        """Whether a case with these facts is in the cube."""
        agrees = all(bool(facts.bits & CaseFacts.WEIGHTS[fact]) is value for fact, value in self.required)
        return agrees and facts.status in self.statuses


def minimise(states: Iterable[int]) -> tuple[Cube, ...]:
    """The cubes whose union is exactly ``states`` (packed case facts); no state, no cube, which means FALSE.

    The cube that adds most comes first, ties by a fixed order: the same states always give the same query.
    """
    missing = sum(1 << state for state in set(states))
    within = [(extent, cube) for extent, cube in _cubes() if not extent & ~missing]
    chosen = []
    while missing:
        extent, cube = max(within, key=lambda candidate: (candidate[0] & missing).bit_count())
        chosen.append(cube)
        missing &= ~extent
    return tuple(chosen)


@cache
def _cubes() -> tuple[tuple[int, Cube], ...]:
    """Every cube with its states as a 96-bit number; those with most states first, so primes win ties."""
    by_fact = {
        fact: _extent(facts.bits for facts in ALL_CASE_FACTS if facts.bits & weight)
        for fact, weight in CaseFacts.WEIGHTS.items()
    }
    by_status = {
        status: _extent(facts.bits for facts in ALL_CASE_FACTS if facts.status is status) for status in Status
    }
    subsets = [frozenset(chosen) for size in (3, 2, 1) for chosen in combinations(Status, size)]
    cubes = []
    for values, statuses in product(product((None, True, False), repeat=len(Fact)), subsets):
        required = tuple((fact, value) for fact, value in zip(Fact, values, strict=True) if value is not None)
        extent = sum(by_status[status] for status in statuses)
        for fact, value in required:
            extent &= by_fact[fact] if value else _EVERY_STATE & ~by_fact[fact]
        cubes.append((extent, Cube(required, statuses)))
    return tuple(sorted(cubes, key=lambda entry: -entry[0].bit_count()))


def _extent(states: Iterable[int]) -> int:
    return sum(1 << state for state in states)
