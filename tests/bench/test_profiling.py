"""Each function's own time belongs to one part of casework, a builtin's to whoever called it."""

import pytest

from bench.profiling import OTHER, Function, Stats, by_part, part_of

SERVICE: Function = ("/somewhere/casework/cases/service.py", 10, "view_case")
ENGINE: Function = ("/somewhere/policies/engine.py", 20, "decide_case")
BUILTIN: Function = ("~", 0, "<built-in method builtins.len>")
STDLIB: Function = ("/usr/lib/python3/dataclasses.py", 30, "replace")
WAITING: Function = ("~", 0, "<method 'acquire' of '_thread.lock' objects>")


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (SERVICE, OTHER),
        (ENGINE, "policies"),
        (("/somewhere/casework/journal.py", 1, "record"), "journal"),
        (("/site-packages/sqlalchemy/engine/base.py", 1, "execute"), "SQLAlchemy"),
        (("~", 0, "<method 'execute' of 'sqlite3.Cursor' objects>"), "database driver and disk"),
        (WAITING, "waiting"),
        (BUILTIN, None),
        (STDLIB, None),
    ],
)
def test_a_function_belongs_to_the_part_of_its_file(function: Function, part: str | None) -> None:
    assert part_of(function) == part


def test_what_belongs_to_no_part_counts_for_whoever_called_it() -> None:
    stats: Stats = {
        SERVICE: (1, 1, 1.0, 9.0, {}),
        ENGINE: (1, 1, 2.0, 4.0, {SERVICE: (1, 1, 2.0, 4.0)}),
        STDLIB: (1, 1, 1.0, 2.0, {ENGINE: (1, 1, 1.0, 2.0)}),
        BUILTIN: (2, 2, 4.0, 4.0, {STDLIB: (1, 1, 1.0, 1.0), SERVICE: (1, 1, 3.0, 3.0)}),
    }
    assert by_part([stats]) == {OTHER: 50.0, "policies": 50.0}


def test_waiting_is_left_out() -> None:
    stats: Stats = {SERVICE: (1, 1, 1.0, 9.0, {}), WAITING: (1, 1, 8.0, 8.0, {SERVICE: (1, 1, 8.0, 8.0)})}
    assert by_part([stats]) == {OTHER: 100.0}
