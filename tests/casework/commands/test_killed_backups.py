"""A backup that is killed: no copy in the clear is left, and what an earlier version left is named and removed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.casework.commands.place import Place
from tests.casework.commands.test_backup import make_key, on_sqlite, take
from tests.casework.commands.test_serving import serving

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
