"""The threat model names tests that exist and limits that SECURITY.md explains, and none is forgotten."""

import ast
import re

from tests.conventions.project import ROOT, tree

PAGES = sorted((ROOT / "docs" / "threat-model").glob("*.md"))
# The traps of the policies, each with its test.
TRAPS = ROOT / "docs" / "policies" / "README.md"
PROMISES = 8
_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
# "Not held: *This*, *that*"; a line may end between two of its words.
_LIMITS = re.compile(r"[Nn]ot held:((?:,?\s+\*[^*]+\*)+)|A thief of the whole database does:(\s+\*[^*]+\*)")
_NAME = re.compile(r"\*([^*]+)\*")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def pages() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)


def limits_named(text: str) -> set[str]:
    found = ("".join(groups) for groups in _LIMITS.findall(text))
    return {" ".join(name.split()) for names in found for name in _NAME.findall(names)}


def limits_explained() -> list[str]:
    """The bold words at the head of each limit in SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text("utf-8").partition("## What is not promised yet")[2]
    bullets = [line for line in text.splitlines() if line.startswith("- ")]
    heads = [_BOLD.match(line, 2) for line in bullets]
    assert bullets
    assert all(heads), "a limit begins with its name in bold"
    return [head[1] for head in heads if head is not None]


def test_every_test_that_is_named_is_there() -> None:
    named = set(_TEST.findall(pages() + TRAPS.read_text("utf-8")))
    assert len(named) > 50
    for path in {path for path, _ in named}:
        functions = {node.name for node in ast.walk(tree(ROOT / path)) if isinstance(node, _FUNCTIONS)}
        assert {name for of, name in named if of == path} <= functions, path


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_every_promise_has_a_line_with_a_test_or_a_limit() -> None:
    rows = re.findall(r"^\| (\d) \|.*$", pages(), re.MULTILINE)
    assert rows == [str(number) for number in range(1, PROMISES + 1)]
    for line in re.findall(r"^\| \d \|.*$", pages(), re.MULTILINE):
        assert _TEST.search(line) or limits_named(line), line


def test_every_theft_has_a_test_or_a_limit() -> None:
    text = (ROOT / "docs" / "threat-model" / "thefts.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| stolen ")]
    assert len(rows) > 25
    for row in rows:
        assert _TEST.search(row) or limits_named(row) or "promise 1" in row, row


def test_every_limit_that_is_named_is_explained_and_every_one_explained_is_named() -> None:
    explained = limits_explained()
    assert len(explained) == len(set(explained))
    assert limits_named(pages()) == set(explained)
