"""Which entries stand out among others, or are drawn among them: chosen from spots, whatever was asked for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from statistics import median

from audit.counting import Tally
from audit.review import Spot


def sampled(found: Sequence[Spot], log: bytes, per_month: int) -> list[Spot]:
    """So many of each calendar month (UTC), newest first; always the same ones of the same entries.

    Those whose SHA-256 of log, month and entry id is smallest: nobody who writes an entry chooses its id.
    """
    months: dict[str, list[tuple[bytes, Spot]]] = defaultdict(list)
    for spot in found:
        month = f"{datetime.fromtimestamp(spot.time / 1_000_000, UTC):%Y-%m}"
        drawn = sha256(log + month.encode() + spot.entry_id.encode()).digest()
        months[month].append((drawn, spot))
    chosen = [spot for each in months.values() for _, spot in sorted(each, key=_lot)[:per_month]]
    return sorted(chosen, key=_place, reverse=True)


def runs(found: Sequence[Spot], at_least: int, within: int) -> list[Spot]:
    """Rows of one member's entries of which at least so many lie within so many microseconds, newest first.

    One spot a row, which ends where she pauses for longer: its first entry, and how many there are.
    """
    by_actor: dict[str, list[Spot]] = defaultdict(list)
    for spot in sorted(found, key=_moment):
        if spot.actor is not None:
            by_actor[spot.actor].append(spot)
    kept = []
    for hers in by_actor.values():
        ends = [
            place for place, (one, other) in enumerate(pairwise(hers), 1) if other.time - one.time > within
        ]
        for since, until in pairwise([0, *ends, len(hers)]):
            row = hers[since:until]
            if any(
                last.time - one.time <= within for one, last in zip(row, row[at_least - 1 :], strict=False)
            ):
                kept.append(replace(row[0], times=len(row), last=row[-1].time))
    return sorted(kept, key=_place, reverse=True)


def above_peers(
    tallies: Sequence[Tally], roles: Mapping[str, str], factor: int, at_least: int
) -> list[Tally]:
    """The tallies that are at least so high, and more than so many times the median of the peers' tallies.

    Peers are the other members of the same role: what she does herself raises no bar of hers. Whoever is alone in
    her role is measured against her own other tallies; a first one of so high stands out by itself.
    """
    by_role: dict[str | None, list[Tally]] = defaultdict(list)
    for tally in tallies:
        by_role[roles.get(tally.actor)].append(tally)
    return [
        tally
        for tally in tallies
        if tally.count >= at_least and tally.count > factor * _usual(tally, by_role[roles.get(tally.actor)])
    ]


def _usual(tally: Tally, of_role: Sequence[Tally]) -> float:
    peers = [other.count for other in of_role if other.actor != tally.actor]
    return median(peers or [other.count for other in of_role if other is not tally] or [0])


def _moment(spot: Spot) -> tuple[int, int]:
    return spot.time, spot.index


def _lot(drawn: tuple[bytes, Spot]) -> bytes:
    return drawn[0]


def _place(spot: Spot) -> int:
    return spot.index
