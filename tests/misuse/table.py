"""What an auditor finds of a month's planted misuse, and how many innocent readings she is shown for it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from casework.audit_review.explaining import explanations
from casework.audit_review.out_of_hours import is_usually_open
from casework.audit_review.schemas import Kind as Lists
from casework.facts import PARIS
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
    Kind.AFTER_HANDOFF: "access to a received case after the person withdrew her consent to its handoff",
    Kind.CLOSED_CASE: "a closed case, opened by a colleague whose team followed it",
    Kind.AT_NIGHT: "a case of her team, opened by a colleague late in the evening",
    Kind.ENUMERATION: "enumeration: guessing case numbers, all refused",
    Kind.MASS_EXPORT: "mass export: every case of her team opened within the hour",
}


# The flag that an entry carries, beside the lists of findings.
FLAG = "flag"
HEADS = {
    Lists.UNEXPLAINED: "nothing explains it",
    FLAG: "relation flag",
    Lists.DENIALS: "refusals",
    Lists.WITHDRAWALS: "withdrawals",
    Lists.VOLUMES: "volumes",
    Lists.CLOSED: "closed",
    Lists.HOURS: "hours",
}


@dataclass(frozen=True)
class Found:
    """Of one kind, occasions: planted, on each list or with a flag, and on any of them."""

    planted: int
    on: dict[str, int]
    anywhere: int


@dataclass(frozen=True)
class Result:
    """`readings`: innocent occasions on which something of a person was shown.

    `innocent`: findings of each list behind which nothing planted stands; of the flag, innocent readings.
    """

    entries: int
    readings: int
    innocent: dict[str, int]
    kinds: dict[Kind, Found]


async def audit(centre: Centre, month: Month, size: Size) -> Result:
    """Read the month as its auditor does: the lists, and every entry with its relations."""
    auditor = await centre.sign_in(f"{SLUG}.auditor")
    period = {"from": (centre.clock.now() - timedelta(days=size.days + 1)).isoformat()}
    entries = await _pages(auditor, "/journal/entries", period)
    occasions = {item["id"]: _occasion(item["entry"]) for item in entries}
    by_kind = {kind: {occasions[str(entry)] for entry in month.planted(kind)} for kind in Kind}
    guilty = set().union(*by_kind.values())
    innocent = {occasions[str(entry)] for entry in month.readings} - guilty
    flagged = {
        occasions[item["id"]]
        for item in entries
        if item["relations"] and len(item["entry"].get("subjects", ())) == 1
    }
    shown: dict[str, set[Occasion]] = {FLAG: flagged}
    innocents = {FLAG: len(flagged & innocent)}
    for listed in Lists:
        if listed in HEADS:
            found = await _pages(auditor, "/journal/findings", {"kind": listed, **period})
            behind = _behind(listed, [item["entry"]["entry"] for item in found], entries)
            shown[listed] = set().union(*behind)
            innocents[listed] = sum(not one & guilty for one in behind)
    return Result(
        entries=len(month.entries),
        readings=len(innocent),
        innocent=innocents,
        kinds={
            kind: Found(
                len(planted),
                {head: len(shown[head] & planted) for head in HEADS},
                len(set().union(*shown.values()) & planted),
            )
            for kind, planted in by_kind.items()
        },
    )


def _behind(listed: str, found: list[dict[str, Any]], entries: list[dict[str, Any]]) -> list[set[Occasion]]:
    """Of each finding the occasions that it stands for: its own, or those of its member and day that it counts."""
    counts = _COUNTS.get(listed)
    if counts is None:
        return [{_occasion(entry)} for entry in found]
    of_day: dict[tuple[str, str], set[Occasion]] = {}
    for item in entries:
        actor, _, day = occasion = _occasion(item["entry"])
        if counts(item["entry"]):
            of_day.setdefault((actor, day), set()).add(occasion)
    return [of_day[actor, day] for actor, _, day in map(_occasion, found)]


def _is_reading(entry: dict[str, Any]) -> bool:
    return entry["outcome"] == "allowed" and entry["action"] in explanations().accesses


def _is_late_reading(entry: dict[str, Any]) -> bool:
    moment = datetime.fromtimestamp(entry["time"] / 1_000_000, UTC).astimezone(PARIS)
    return _is_reading(entry) and not is_usually_open(moment)


_COUNTS = {
    Lists.DENIALS: lambda entry: entry["outcome"] == "denied",
    Lists.VOLUMES: _is_reading,
    Lists.HOURS: _is_late_reading,
}


def _occasion(entry: dict[str, Any]) -> Occasion:
    subjects = entry.get("subjects", ())
    return (
        entry.get("actor") or "",
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
        "How many occasions of each kind of misuse stand on which of the auditor's lists, and on any of them.",
        "",
        f"| misuse | occasions | {' | '.join(HEADS.values())} | any |",
        "|---" * (len(HEADS) + 3) + "|",
    ]
    lines += [_row(WORDS[kind], found) for kind, found in result.kinds.items()]
    innocent = " | ".join(f"{result.innocent[head]:,}" for head in HEADS)
    share = 100 * result.innocent[Lists.UNEXPLAINED] / result.readings
    lines += [
        f"| *findings behind which nothing of this stands* | | {innocent} | |",
        "",
        f"Innocent: {result.readings:,} occasions on which something of a person was read in ordinary work; the"
        f" queue of what nothing explains shows {share:.1f} % of them. A finding of refusals, volumes or hours is"
        " a member's day; of the flag, an occasion (people who share a surname by chance).",
        "",
        *_NOTES,
    ]
    return "\n".join(lines) + "\n"


def _row(words: str, found: Found) -> str:
    shares = " | ".join(_of(count, found) for count in (*found.on.values(), found.anywhere))
    return f"| {words} | {found.planted} | {shares} |"


def _of(count: int, found: Found) -> str:
    return f"{count} ({100 * count / found.planted:.0f} %)" if count else "–"


_NOTES = (
    "What the table says, and does not:",
    "",
    "- The queue asks whether somebody had a reason to look, and a front desk has one whenever the person came a",
    "  day before or after. Whoever browses in her own team's cases always has one. The flag does not ask for any.",
    "- An ex-partner's family is found by the flag where both surnames were written down; here they always were.",
    "  Who shares no surname, phone or address, or declared nothing, is found by no flag.",
    "- The worker who is assigned reads on after a consent is withdrawn, as she must. Of a case that came from a",
    "  partner, every reading after the withdrawal is shown, her own work for the person included: the list asks",
    "  why what came was still needed. Its innocent findings are that work, a day's each, and many: 20 such cases",
    "  make most of what the list shows. They are to be settled a case at a time.",
    "- A guess of case numbers is found by the run of refusals, and a team's cases opened in an hour by the",
    "  volume of that day, with whatever else she read on it. Both are found after the fact; the alert of the hour",
    "  is for the same day. The mass export here begins at seven in the evening (UTC), so `hours` shows it too.",
    "- What is read of a closed case and late in the evening is found whoever reads: the innocent findings are",
    "  a supervisor's second look, and an evening at work. Browsing in her own team's open cases by day is on a",
    "  list by chance alone.",
    "- How often a desk takes a call that nobody notes, or a supervisor looks and does nothing, is a guess of",
    "  this generator, as are evenings at work and closed cases looked at again: they decide the last row.",
)
