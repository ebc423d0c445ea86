"""What an auditor finds of a month's planted misuse, and how many innocent readings she is shown for it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.casework.centre import Centre, Client
from tests.misuse.month import SLUG, Kind, Month, Size

# Who, of whom, on which day: what the queue shows once, however often it happened.
Occasion = tuple[str, str | None, str]

WORDS = {
    Kind.BROWSING_DESK: "colleague browsing: a receptionist, whom nobody came to see",
    Kind.BROWSING_SUPERVISOR: "colleague browsing: a supervisor, who then does nothing",
    Kind.BROWSING_TEAM: "colleague browsing: a worker, in her own team's cases",
    Kind.SURNAME_DESK: "an ex-partner's surname, looked up at the front desk",
    Kind.SURNAME_TEAM: "an ex-partner's surname, looked up by a worker whose team follows the case",
    Kind.AFTER_WITHDRAWAL: "access by the assigned worker after the person withdrew a consent",
    Kind.ENUMERATION: "enumeration: guessing case numbers, all refused",
    Kind.MASS_EXPORT: "mass export: every case of her team opened within the hour",
}


@dataclass(frozen=True)
class Found:
    """Of one kind, occasions: planted, in the queue, with a relation flag, one or the other."""

    planted: int
    queued: int
    flagged: int
    either: int


@dataclass(frozen=True)
class Result:
    """`readings`: innocent occasions on which something of a person was shown."""

    entries: int
    readings: int
    queued: int
    flagged: int
    kinds: dict[Kind, Found]


async def audit(centre: Centre, month: Month, size: Size) -> Result:
    """Read the month as its auditor does: the queue, and every entry with its relations."""
    auditor = await centre.sign_in(f"{SLUG}.auditor")
    period = {"from": (centre.clock.now() - timedelta(days=size.days + 1)).isoformat()}
    queue = {
        _occasion(item["entry"]["entry"]) for item in await _pages(auditor, "/journal/unexplained", period)
    }
    occasions: dict[str, Occasion] = {}
    flagged: set[Occasion] = set()
    for item in await _pages(auditor, "/journal/entries", period):
        occasions[item["id"]] = _occasion(item["entry"])
        if item["relations"] and len(item["entry"].get("subjects", ())) == 1:
            flagged.add(occasions[item["id"]])
    by_kind = {kind: {occasions[str(entry)] for entry in month.planted(kind)} for kind in Kind}
    guilty = set().union(*by_kind.values())
    innocent = {occasions[str(entry)] for entry in month.readings} - guilty
    return Result(
        entries=len(month.entries),
        readings=len(innocent),
        queued=len(queue & innocent),
        flagged=len(flagged & innocent),
        kinds={kind: _found(planted, queue, flagged) for kind, planted in by_kind.items()},
    )


def _found(planted: Collection[Occasion], queue: set[Occasion], flagged: set[Occasion]) -> Found:
    return Found(
        len(planted),
        len(queue.intersection(planted)),
        len(flagged.intersection(planted)),
        len((queue | flagged).intersection(planted)),
    )


def _occasion(entry: dict[str, Any]) -> Occasion:
    subjects = entry.get("subjects", ())
    return (
        entry.get("actor", ""),
        subjects[0]["p"] if subjects else None,
        str(entry["time"] // 86_400_000_000),
    )


async def _pages(client: Client, path: str, period: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.get(path, params={"limit": 200, **period, **cursor})
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def written(result: Result, size: Size, seed: int) -> str:
    """The page of docs/audit."""
    lines = [
        "# What a month of planted misuse looks like to the auditor",
        "",
        f"Made by `python -m tests.misuse` (seed {seed}): {len(size.logins)} members, {size.cases} cases,"
        f" {result.entries:,} entries of a month of ordinary work with its noise, and the misuse below planted in"
        " it. Nobody in it exists. An *occasion* is one member, one person, one day.",
        "",
        "| misuse | occasions | in the queue of what nothing explains | with a relation flag | either |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(WORDS[kind], found) for kind, found in result.kinds.items()]
    share = 100 * result.queued / result.readings
    lines += [
        "",
        f"Innocent: {result.readings:,} occasions on which something of a person was read in ordinary work; the"
        f" queue shows {result.queued:,} of them ({share:.1f} %), and {result.flagged:,} carry a relation flag"
        " (people who share a surname by chance).",
        "",
        *_NOTES,
    ]
    return "\n".join(lines) + "\n"


def _row(words: str, found: Found) -> str:
    shares = " | ".join(_of(count, found) for count in (found.queued, found.flagged, found.either))
    return f"| {words} | {found.planted} | {shares} |"


def _of(count: int, found: Found) -> str:
    return f"{count} ({100 * count / found.planted:.0f} %)" if found.planted else "–"


_NOTES = (
    "What the table says, and does not:",
    "",
    "- The queue asks whether somebody had a reason to look, and a front desk has one whenever the person came a",
    "  day before or after. Whoever browses in her own team's cases always has one. The flag does not ask for any.",
    "- An ex-partner's family is found by the flag where both surnames were written down; here they always were.",
    "  Who shares no surname, phone or address, or declared nothing, is found by no flag.",
    "- The worker who is assigned reads on after a withdrawal, as she must: what is withdrawn is a",
    "  partner's reading.",
    "- Guessed case numbers, and a team's cases opened in an hour, are no unexplained readings. Other lists and",
    "  alerts are for these; this table gives no credit for them.",
    "- How often a desk takes a call that nobody notes, or a supervisor looks and does nothing, is a guess of",
    "  this generator, and decides the last figures.",
)
