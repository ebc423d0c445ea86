"""Habits that a reader relies on: time is passed in, one thing commits, files are short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conventions.project import PACKAGES, name, python_files, tree, written_files

LONGEST_FILE = 500
# Which may be longer, and why.
MAY_BE_LONGER = {"docs/audit/verify.py": "outsiders are handed one file, and nothing beside it"}

# Every call that asks the machine what time it is.
_CLOCKS = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "monotonic", "monotonic_ns", "perf_counter"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
# Who may, and why.
MAY_ASK_THE_TIME = {
    ("casework/clock.py", "datetime.now"): "the clock that is passed in",
    ("casework/ids.py", "time.time_ns"): "a UUIDv7 carries the moment it was made",
    ("casework/clock.py", "time.time"): "how far it is ahead of what no setting moves",
    ("casework/clock.py", "time.monotonic"): "what no setting moves",
    ("casework/logs.py", "time.perf_counter"): "how long an answer took",
    ("casework/commands/share_desk.py", "time.monotonic"): "how long shares are waited for",
}
# Who ends a transaction, and why; everyone else is given one.
MAY_COMMIT = {"casework/postgres.py": "the unit of work"}


def called(path: Path) -> Iterator[tuple[str, str]]:
    """(object, attribute) of everything in a file that is taken from something with a name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            yield node.value.attr, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in _CLOCKS:
            yield from ((node.module, alias.name) for alias in node.names)


def test_only_the_clock_asks_what_time_it_is() -> None:
    asked = {
        (name(path), f"{base}.{attribute}")
        for path in python_files(*PACKAGES)
        for base, attribute in called(path)
        if attribute in _CLOCKS.get(base, ())
    }
    assert asked == MAY_ASK_THE_TIME.keys()


def test_only_the_unit_of_work_commits() -> None:
    committing = {
        name(path)
        for path in python_files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    }
    assert committing == MAY_COMMIT.keys()


def test_no_file_is_longer_than_one_can_read_at_once() -> None:
    long = {
        name(path): lines
        for path in written_files()
        if path.suffix in {".py", ".md", ".cedar", ".cedarschema", ".css", ".js", ".html"}
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) >= LONGEST_FILE
    }
    assert long.keys() == MAY_BE_LONGER.keys(), long


@pytest.mark.parametrize("vague", ["utils", "util", "helpers", "helper", "common", "manager", "misc"])
def test_a_file_is_named_after_what_it_holds(vague: str) -> None:
    assert [name(path) for path in python_files(*PACKAGES, "tests") if vague in path.stem.split("_")] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        name(path)
        for path in python_files(*PACKAGES)
        if path.name != "__init__.py" and not ast.get_docstring(tree(path))
    ]
    assert silent == []
