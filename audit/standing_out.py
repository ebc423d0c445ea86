"""Which entries stand out among others, or are drawn among them: chosen from spots, whatever was asked for."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

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


def _lot(drawn: tuple[bytes, Spot]) -> bytes:
    return drawn[0]


def _place(spot: Spot) -> int:
    return spot.index
