"""What is installed is what was reviewed: pinned, hashed, and from no index of our own naming."""

import re
import tomllib
from typing import Any

import pytest

from tests.conventions.project import ROOT

_LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt")
_PINNED = re.compile(r"([a-z0-9][a-z0-9-]*)(?:\[[a-z0-9,-]+\])?==[\w.+!]+(?: ;.*)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def requirements(lock: str) -> dict[str, list[str]]:
    """The name of each requirement of a lock file, with its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        stripped = line.partition("#")[0].strip()
        if stripped:
            requirement, *hashes = re.split(r"\s+(?=--hash=)", stripped)
            pinned = _PINNED.fullmatch(requirement)
            assert pinned, f"{lock}: {line.split('--hash')[0]} is an option, an address, or not pinned"
            found[pinned[1]] = hashes
    return found


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(specifiers: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", specifier)[0].lower() for specifier in specifiers}


@pytest.mark.parametrize("lock", _LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str) -> None:
    found = requirements(lock)
    assert found
    for requirement, hashes in found.items():
        assert hashes, f"{lock}: {requirement} has no hash"
        assert all(_HASH.fullmatch(one.strip()) for one in hashes), f"{lock}: {requirement}"


@pytest.mark.parametrize("lock", _LOCKS)
def test_no_lock_file_names_an_index_or_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    for word in ("index-url", "find-links", "trusted-host", "://", " @ ", "file:"):
        assert word not in text


def test_what_the_project_asks_for_is_locked() -> None:
    asked = names(project()["dependencies"])
    for_developers = names(project()["optional-dependencies"]["dev"])
    assert asked <= requirements("requirements.txt").keys()
    assert asked | for_developers <= requirements("requirements-dev.txt").keys()
    compared = names(project()["optional-dependencies"]["bench"])
    assert asked | compared <= requirements("requirements-bench.txt").keys()


def test_developers_run_what_is_delivered() -> None:
    delivered, *others = (requirements(lock) for lock in _LOCKS)
    for lock in others:
        assert {name: lock[name] for name in delivered} == delivered
