"""From measurements to figures: medians over rounds, and ratios taken inside a round before their median."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Round:
    """One contestant in one round of one action: milliseconds of CPU an act, of the server and of the database
    server; acts a second; the seconds that each act took.
    """

    cpu_ms: float
    database_ms: float
    per_second: float
    seconds: tuple[float, ...]


class Figures(Struct, frozen=True):
    """Milliseconds of server and database CPU an act; acts a second; what half, 95 and 99 of 100 took at most."""

    cpu_ms: float
    database_ms: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def percentile(values: Sequence[float], of_hundred: int) -> float:
    """The smallest value that so many of a hundred do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * of_hundred // 100)
    return ordered[max(rank, 1) - 1]


def figures(rounds: Sequence[Round]) -> Figures:
    return Figures(
        cpu_ms=median(one.cpu_ms for one in rounds),
        database_ms=median(one.database_ms for one in rounds),
        per_second=median(one.per_second for one in rounds),
        p50_ms=median(percentile(one.seconds, 50) for one in rounds) * 1_000,
        p95_ms=median(percentile(one.seconds, 95) for one in rounds) * 1_000,
        p99_ms=median(percentile(one.seconds, 99) for one in rounds) * 1_000,
    )


def ratio(rounds: Sequence[Round], others: Sequence[Round]) -> float:
    """The median of the ratios of CPU inside each round: what both felt of the machine falls out."""
    return median(one.cpu_ms / other.cpu_ms for one, other in zip(rounds, others, strict=True))
