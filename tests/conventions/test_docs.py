"""The documents lead nowhere that is not there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conventions.project import ROOT, name, written_files

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\s]+)`")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A path from the root of the repository to a file, or to a folder with a stroke at its end.
_OUR_FILE = re.compile(
    r"(?:audit|casework|crypto|migrations|policies|tests|docs|deploy|\.ci)/[\w./-]*(?:\.[a-z]{2,11}|/)"
)


def documents() -> list[Path]:
    return [path for path in written_files() if path.suffix == ".md"]


def test_the_documents_of_a_newcomer_are_there() -> None:
    here = {name(path) for path in documents()}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} <= here


def inner_links() -> Iterator[tuple[Path, str]]:
    """(document, target) of every link that stays in the repository."""
    for document in documents():
        for target in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
            if "://" not in target and not target.startswith("mailto:"):
                yield document, target


def test_every_link_leads_to_a_file() -> None:
    broken = [
        (name(document), target)
        for document, target in inner_links()
        if target.startswith("/") or not (document.parent / target.partition("#")[0]).exists()
    ]
    assert broken == []


def test_every_link_to_a_heading_leads_to_one() -> None:
    broken = []
    for document, target in inner_links():
        path, _, heading = target.partition("#")
        there = document.parent / path if path else document
        if heading and there.suffix == ".md" and heading not in _anchors(there):
            broken.append((name(document), target))
    assert broken == []


def test_every_file_that_is_named_is_there() -> None:
    missing = [
        (name(document), word)
        for document in documents()
        for word in _CODE.findall(document.read_text(encoding="utf-8"))
        if _OUR_FILE.fullmatch(word) and not (ROOT / word).exists()
    ]
    assert missing == []


def _anchors(document: Path) -> set[str]:
    """The anchors that a forge gives to a document's headings."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
