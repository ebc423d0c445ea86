"""A backup that is killed or fails: no copy in the clear is left, and the journal does not say that it was made."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import select

from audit import tables
from casework.commands import backup as backup_command
from casework.copying import destroying
from casework.dumps import DumpFailed
from tests.casework.commands.place import Place
from tests.casework.commands.test_backup import make_key, on_sqlite, programs, take
from tests.casework.commands.test_organisations import read
from tests.casework.commands.test_serving import serving

# Fixtures that are used by being named.
__all__ = ["programs"]

# `casework backup`, killed while a part is being sealed.
_KILLED_AT_THE_HALVES = """
import os, signal, sys
from casework.backups import Set
from casework.cli import main
add = Set.add
def until_halves(self, part, engine, content):
    if part == "shreds":
        assert content.read(16) == b"SQLite format 3\\0"
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, part, engine, content)
Set.add = until_halves
sys.argv = ["casework", "backup", sys.argv[1]]
main()
"""


@on_sqlite
def test_a_backup_that_is_killed_leaves_no_copy_of_the_halves(founded: Place, tmp_path: Path) -> None:
    make_key(founded)
    data = founded.folder / "data"
    before = sorted(data.iterdir())
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_THE_HALVES, tmp_path],
        env={**os.environ, **founded.environment},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in data.iterdir() if path.name.startswith(".")] == []
    assert set(before) <= set(data.iterdir())


@on_sqlite
def test_a_copy_that_an_earlier_version_left_is_named_and_removed(founded: Place) -> None:
    make_key(founded)

    def leave() -> Path:
        folder = founded.folder / "data" / ".backup-left"
        folder.mkdir()
        shutil.copy(founded.database.with_name("shreds.db"), folder / "copy.db")
        return folder

    left = leave()
    assert left.name in founded.run("doctor").out
    take(founded)
    assert not left.exists()
    assert left.name not in founded.run("doctor").out
    leave()
    with serving(founded):
        assert not left.exists()


def test_a_backup_is_journaled_and_says_where_the_pepper_belongs(founded: Place) -> None:
    make_key(founded)
    folder = founded.folder / "b"
    folder.mkdir()
    ran = founded.run("backup", folder)
    assert "CASEWORK_PEPPER_FILE" in ran.out
    founded.integrate()
    assert _journaled(founded) == ["backup.begin", "backup.create"]


def _journaled(place: Place) -> list[str]:
    place.integrate()
    query = select(tables.entry.c.action).where(tables.entry.c.action.like("backup.%"))
    return sorted(read(place, lambda connection: connection.scalars(query).all()))


def test_a_backup_that_failed_is_not_journaled_as_made(
    founded: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what could be seen before the beginning is not journaled at all."""
    make_key(founded)
    folder = founded.folder / "b"
    folder.mkdir()
    if "CASEWORK_OWNER_URL" in founded.environment:
        assert founded.run("backup", folder, CASEWORK_OWNER_URL="").code != 0
        assert _journaled(founded) == []

    def fail(*_: Any) -> NoReturn:
        # The lock is held: what a renewal replaces stays until the backup is over.
        with destroying(founded.state) as no_backup_runs:
            assert not no_backup_runs
        raise DumpFailed("pg_dump")

    monkeypatch.setattr(backup_command, "copy_of", fail)
    assert founded.run("backup", folder).code != 0
    assert _journaled(founded) == ["backup.begin"]
    assert list(folder.iterdir()) == []
    with destroying(founded.state) as no_backup_runs:
        assert no_backup_runs
