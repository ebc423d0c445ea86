"""The files of this repository that people write."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("audit", "casework", "crypto", "migrations", "policies")
# Written by a tool, or by someone else and kept as it came.
_NOT_WRITTEN = ("casework/web/static/vendor", "policies/matrix", "tests/crypto/golden", "bench/results.json")
_TOP = ("*.md", "*.toml", "Makefile", ".ci/run")


def python_files(*folders: str) -> list[Path]:
    """The Python files below these folders, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    """A file's path as the repository knows it."""
    return path.relative_to(ROOT).as_posix()


def written_files() -> Iterator[Path]:
    """Every text file that someone wrote."""
    for pattern in _TOP:
        yield from ROOT.glob(pattern)
    for folder in (*PACKAGES, "bench", "tests", "docs", "deploy"):
        for path in sorted((ROOT / folder).rglob("*")):
            generated = name(path).startswith(_NOT_WRITTEN) or "__pycache__" in path.parts
            if path.is_file() and not generated:
                yield path


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=name(path))
