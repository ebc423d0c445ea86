"""What `casework serve` does not start on: it names the file or the setting and the rule, and shows no content."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import policies
from tests.casework.commands.place import COMMAND, Place, Ran

CANARY = "canari-91d2"
SHIPPED = Path(policies.__file__).parent


@pytest.fixture
def engine_name() -> str:
    """Nothing here reaches a database."""
    return "sqlite"


def serve(place: Place, folder: Path, **changed: str) -> Ran:
    """Try to serve, where the folder `policies` of `folder` comes first."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CASEWORK_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMAND, "serve", "--port", "0"],
        cwd=folder,
        env={**others, **place.environment, **changed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def refused(ran: Ran, *words: str) -> None:
    assert (ran.code, ran.out) == (1, ""), ran
    assert "Traceback" not in ran.err
    assert CANARY not in ran.err
    assert all(word in ran.err for word in words), ran.err


def _remove(pepper: Path) -> None:
    pepper.unlink()


def _open_to_others(pepper: Path) -> None:
    pepper.chmod(0o640)


def _cut(pepper: Path) -> None:
    pepper.write_bytes(CANARY.encode().ljust(31))


def _lengthen(pepper: Path) -> None:
    pepper.write_bytes(CANARY.encode().ljust(33))


def _make_a_folder(pepper: Path) -> None:
    pepper.unlink()
    pepper.mkdir()


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (_remove, "aucun fichier lisible"),
        (_open_to_others, "d’autres que son propriétaire"),
        (_cut, "32 octets"),
        (_lengthen, "32 octets"),
        (_make_a_folder, "fichier"),
    ],
)
def test_a_pepper_that_is_not_one_is_refused_by_rule(
    founded: Place, tmp_path: Path, spoil: Callable[[Path], None], rule: str
) -> None:
    spoil(founded.folder / "secret" / "pepper")
    refused(serve(founded, tmp_path), "CASEWORK_PEPPER_FILE", rule)


_NOT_A_POLICY = f'\n@id("base.{CANARY}") permit (principal, action,'
_UNKNOWN_ACTION = """
@id("base.typo") @title("Voir sa liste")
permit (principal, action == Action::"case.lits", resource);
"""


@pytest.mark.parametrize("added", [_NOT_A_POLICY, _UNKNOWN_ACTION], ids=["syntax", "vocabulary"])
def test_base_rules_that_are_not_sound_are_refused_by_name(
    founded: Place, tmp_path: Path, added: str
) -> None:
    shutil.copytree(SHIPPED, tmp_path / "policies", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "policies" / "base.cedar"
    file.write_text(file.read_text("utf-8") + added, "utf-8")
    refused(serve(founded, tmp_path), "Règles refusées", "base:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CASEWORK_DATA_DIR", f"/nowhere/{CANARY}"),
        ("CASEWORK_STATE_DIR", f"/nowhere/{CANARY}"),
        ("CASEWORK_DATABASE_URL", f"postgresql://casework:{CANARY}@localhost/casework"),
        ("CASEWORK_SHRED_URL", f"mysql://{CANARY}"),
        ("CASEWORK_MANAGED_NETWORKS", CANARY),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(
    founded: Place, tmp_path: Path, name: str, value: str
) -> None:
    refused(serve(founded, tmp_path, **{name: value}), name)
