"""The results in Markdown, and their place in README."""

import re
from collections.abc import Iterable, Iterator, Sequence

from bench.figures import Figures
from bench.results import Results

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
CASEWORK = "casework"
TWINS = {
    "core_plain": "Core, plain",
    "core_same_layer": "Core, same access layer",
    "fastapi_orm": "FastAPI + ORM",
    "drf": "Django REST framework",
}
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
ACTIONS = {
    "open": "open a case with 10 follow-ups",
    "list": "list 50 cases",
    "save": "save a follow-up",
    "search": "search among 10,000 persons",
    "sign_in": "sign in",
    "hand_over": "hand over 20 follow-ups",
}
# CPU of casework to that of the twin, at most.
GOALS = {
    ("open", "core_plain"): 1.0,
    ("save", "core_plain"): 1.0,
    ("list", "core_plain"): 2.0,
    ("open", "core_same_layer"): 1.5,
    ("save", "core_same_layer"): 1.6,
}
SEARCH_P95_MS = 150
_LONG_MS = 10


class MarkersMissing(Exception):
    """README does not say where the figures go."""


def insert(document: str, section: str, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """`document` with `section` between the two markers, which stay.

    Raises:
        MarkersMissing: see there.

    """
    begin, end = markers
    between = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    whole = f"{begin}\n{section.strip()}\n{end}"
    replaced, count = between.subn(lambda _: whole, document)
    if count != 1:
        raise MarkersMissing
    return replaced


def section(results: Results) -> str:
    """What README holds between the markers: the tables and the chart."""
    return f"{markdown(results)}\n\n![Server CPU of an act: casework and its twins](docs/bench.svg)"


def markdown(results: Results) -> str:
    parts = [
        _introduction(results),
        "Milliseconds of server CPU an act; in brackets casework’s as a multiple of the twin’s:",
        table(["engine", "act", CASEWORK, *TWINS.values()], cpu_rows(results)),
        _goals(results),
        "Acts a second, and milliseconds that half and 99 of 100 took (p50 / p99), all clients acting at once:",
        table(["engine", "act", CASEWORK, *TWINS.values()], speed_rows(results)),
    ]
    if results.profile:
        acts = [ACTIONS[action] for action in results.profile]
        parts += [
            "Where casework’s time goes on SQLite, in percent of an act (a profile in process; it makes many small "
            "calls look dearer than they are):",
            table(["part", *acts], profile_rows(results)),
        ]
    if results.skipped:
        parts.append("Not measured: " + "; ".join(results.skipped) + ".")
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def cpu_rows(results: Results) -> Iterator[list[str]]:
    for engine, action, found in measured(results):
        ratios = results.ratios.get(engine, {}).get(action, {})
        row = [ENGINES[engine], ACTIONS[action], _ms(found[CASEWORK].cpu_ms) if CASEWORK in found else "—"]
        for twin in TWINS:
            times = f" ({ratios[twin]:.2f})" if twin in ratios else ""
            row.append(_ms(found[twin].cpu_ms) + times if twin in found else "—")
        yield row


def speed_rows(results: Results) -> Iterator[list[str]]:
    for engine, action, found in measured(results):
        yield [
            ENGINES[engine],
            ACTIONS[action],
            *(_speed(found[name]) if name in found else "—" for name in (CASEWORK, *TWINS)),
        ]


def profile_rows(results: Results) -> Iterator[list[str]]:
    parts = {part for profiled in results.profile.values() for part in profiled.parts}
    weight = {
        part: sum(profiled.parts.get(part, 0.0) for profiled in results.profile.values()) for part in parts
    }
    for part in sorted(parts, key=lambda part: -weight[part]):
        yield [part, *(f"{profiled.parts.get(part, 0.0):.0f}" for profiled in results.profile.values())]


def measured(results: Results) -> Iterator[tuple[str, str, dict[str, Figures]]]:
    """(engine, action, figures by contestant), in the order of the tables."""
    for engine in ENGINES:
        for action in ACTIONS:
            found = results.figures.get(engine, {}).get(action)
            if found:
                yield engine, action, found


def missed(results: Results) -> list[str]:
    """Each goal that these results miss, in words."""
    found = []
    for engine, by_action in results.ratios.items():
        for (action, twin), goal in GOALS.items():
            ratio = by_action.get(action, {}).get(twin)
            if ratio is not None and round(ratio, 2) > goal:
                found.append(
                    f"{ACTIONS[action]} on {ENGINES[engine]}: {ratio:.2f} times {TWINS[twin]}, goal {goal}"
                )
    for engine, by_contestant in results.figures.items():
        search = by_contestant.get("search", {}).get(CASEWORK)
        if search is not None and search.p95_ms > SEARCH_P95_MS:
            name = ENGINES[engine]
            found.append(
                f"{ACTIONS['search']} on {name}: p95 {search.p95_ms:.0f} ms, goal {SEARCH_P95_MS} ms"
            )
    return found


def _goals(results: Results) -> str:
    words = (
        "Goals, in CPU: open and save at most 1.0 times plain Core, a list at most 2.0 times; open 1.5 and save "
        f"1.6 times Core on the same access layer; search in {SEARCH_P95_MS} ms (p95)."
    )
    not_met = missed(results)
    return f"{words} Missed: {'; '.join(not_met)}." if not_met else f"{words} All are met."


def _introduction(results: Results) -> str:
    machine = results.machine
    cores = (
        "server on one core, client and database server on the other"
        if machine.cores_are_apart
        else ("server and client on the same cores, which this machine could not keep apart")
    )
    counts = ", ".join(f"{ACTIONS[action]} {count}" for action, count in results.requests.items())
    return (
        f"Made by `make bench` on {results.made_at:%Y-%m-%d}: {machine.processor}, {machine.cores} cores, "
        f"{machine.system}, Python {machine.python}, {machine.postgresql}; {cores}. Medians of {results.rounds} "
        f"rounds in which all five take turns; acts a round: {counts}. What the twins are: "
        "[how the bench measures](docs/bench.md)."
    )


def _ms(value: float) -> str:
    return (
        f"{value:.0f}" if value >= _LONG_MS * 10 else f"{value:.1f}" if value >= _LONG_MS else f"{value:.2f}"
    )


def _speed(found: Figures) -> str:
    return f"{found.per_second:.0f} · {_ms(found.p50_ms)} / {_ms(found.p99_ms)}"
