"""README shows what the command found, between its markers, and nothing that was written by hand."""

from datetime import UTC, datetime

import msgspec
import pytest

from bench.figures import Figures
from bench.report import BEGIN, END, MarkersMissing, insert, markdown, missed, section
from bench.results import Machine, Profiled, Results
from tests.conventions.project import ROOT

RESULTS = ROOT / "bench" / "results.json"


def results(open_ratio: float = 0.5, search_p95: float = 20.0) -> Results:
    """One run that measured opening on SQLite and searching on PostgreSQL."""
    found = Figures(cpu_ms=1.234, database_ms=0, per_second=800, p50_ms=9.5, p95_ms=search_p95, p99_ms=120)
    return Results(
        made_at=datetime(2026, 11, 22, tzinfo=UTC),
        machine=Machine("a processor", 2, True, "Linux", "3.11", "PostgreSQL 15"),
        rounds=3,
        requests={"open": 10},
        figures={
            "sqlite": {"open": {"casework": found, "core_plain": found}},
            "postgresql": {"search": {"casework": found}},
        },
        ratios={"sqlite": {"open": {"core_plain": open_ratio}}},
        profile={"open": Profiled(2.0, {"JSON": 25.0, "policies": 75.0})},
        skipped=["sign_in: casework answers 429 (sqlite)"],
    )


def test_a_row_has_the_cpu_of_each_and_how_many_times_a_twin_it_is() -> None:
    shown = markdown(results())
    assert "| SQLite | open a case with 10 follow-ups | 1.23 | 1.23 (0.50) | — | — | — |" in shown
    assert (
        "| SQLite | open a case with 10 follow-ups | 800 · 9.50 / 120 | 800 · 9.50 / 120 | — | — | — |"
        in shown
    )


def test_the_dearest_part_of_the_profile_comes_first() -> None:
    shown = markdown(results())
    assert shown.index("| policies | 75 |") < shown.index("| JSON | 25 |")


def test_what_was_not_measured_is_said() -> None:
    assert "Not measured: sign_in: casework answers 429 (sqlite)." in markdown(results())


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (results(), []),
        (results(open_ratio=1.004), []),
        (
            results(open_ratio=1.2),
            ["open a case with 10 follow-ups on SQLite: 1.20 times Core, plain, goal 1.0"],
        ),
        (results(search_p95=151), ["search among 10,000 persons on PostgreSQL: p95 151 ms, goal 150 ms"]),
    ],
)
def test_a_goal_that_is_missed_is_named(run: Results, names: list[str]) -> None:
    assert missed(run) == names
    assert all(name in markdown(run) for name in names)


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert insert(document, "new \\1") == f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"


@pytest.mark.parametrize("document", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_its_two_markers_is_left_alone(document: str) -> None:
    with pytest.raises(MarkersMissing):
        insert(document, "new")


def test_readme_shows_the_last_run_and_nothing_else() -> None:
    last = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert insert(readme, section(last)) == readme


def test_the_chart_of_the_last_run_is_there() -> None:
    assert (ROOT / "docs" / "bench.svg").read_text("utf-8").rstrip().endswith("</svg>")
