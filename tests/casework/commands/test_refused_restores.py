"""A restore that is refused harms nothing that somebody keeps."""

import shutil
from pathlib import Path

import pytest

from casework.sqlite import sessions_file
from tests.casework.commands.place import Place
from tests.casework.commands.test_backup import (
    make_key,
    make_key_again,
    on_sqlite,
    programs,
    restore,
    take,
    target,
)

__all__ = ["programs", "target"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@on_sqlite
def test_a_refused_restore_leaves_the_database_that_was_moved_aside(founded: Place) -> None:
    """Its log of writes and its sessions too, under names that begin like those of the database itself."""
    shares, others, manifest = make_key(founded), make_key_again(founded), take(founded)
    data = founded.database.parent
    sessions_file(founded.database).touch()
    for path in list(data.glob("casework*")):
        path.rename(path.with_name(path.name.replace("casework", "casework-damaged", 1)))
    for name in ("casework-damaged.db-wal", "casework.db.kept", "casework.zip", "casework-sessions.db-kept"):
        (data / name).write_bytes(b"kept")
    for path in data.glob("shreds.db*"):
        path.unlink()
    before = contents(data)
    # The state stands: what these shares do not open is the database.
    refused = restore(founded, founded, manifest, others)
    assert (refused.code, refused.err) == (1, "Ces parts n’ouvrent pas cette sauvegarde.\n")
    assert contents(data) == before
    assert restore(founded, founded, manifest, shares).code == 0
    after = contents(data)
    assert {name: after[name] for name in before} == before


@on_sqlite
def test_an_empty_shred_store_goes_and_the_copy_that_was_kept_beside_it_stays(
    founded: Place, target: Place
) -> None:
    shares, manifest = make_key(founded), take(founded)
    data = target.folder / "data"
    kept = [data / name for name in ("shreds.db.kept", "shreds.db-20260101", "shreds.db-wal.kept")]
    for path in kept:
        shutil.copy2(founded.folder / "data" / "shreds.db", path)
    (data / "shreds.db").touch()
    assert restore(target, founded, manifest, shares).code == 0
    assert all(path.exists() for path in kept)
    assert target.run("check").code == 0


@on_sqlite
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_writes_that_were_left_behind_are_not_played_into_a_restored_database(
    founded: Place, target: Place, suffix: str
) -> None:
    shares, manifest = make_key(founded), take(founded)
    left = target.database.with_name(target.database.name + suffix)
    left.write_bytes(b"writes of another file")
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, "CASEWORK_DATABASE_URL" in ran.err) == (1, True), ran
    assert contents(left.parent) == {left.name: b"writes of another file"}
