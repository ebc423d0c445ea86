"""A restore that is refused harms nothing that somebody keeps, and leaves nothing that could be served."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from casework.backups import Part, read_key
from casework.commands import restore as command
from casework.commands.secret_files import read_shares
from casework.sqlite import sessions_file
from crypto.recovery import recovery_key
from crypto.secret import Secret
from crypto.stream import StreamHead, seal_stream
from tests.casework.commands.place import Place
from tests.casework.commands.test_backup import (
    make_key,
    make_key_again,
    on_sqlite,
    opened,
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


def with_planted_file(state: bytes) -> bytes:
    """The archive of a state directory, with a file more."""
    packed = io.BytesIO(state)
    with tarfile.open(fileobj=packed, mode="a") as archive:
        archive.addfile(tarfile.TarInfo("planted.json"))
    return packed.getvalue()


def exchange(
    manifest: Path, part: Part, content: bytes, public: bytes | None, of_set: UUID | None = None
) -> str:
    """Seal a content in the place of a file, as anybody can who reads the public half; returns the file's name."""
    assert public is not None
    described = json.loads(manifest.read_bytes().split(b"\n")[0])
    set_id = of_set or UUID(described["set"])
    head = StreamHead(set_id.bytes, part.number, described["made_at"], public)
    name: str = described["files"][part]["name"]
    with (manifest.parent / name).open("wb") as file:
        seal_stream(head, io.BytesIO(content), file)
    return name


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("is_padded", [False, True], ids=["resealed", "padded"])
def test_a_file_exchanged_after_it_was_verified_is_refused_and_nothing_of_it_stays(
    founded: Place, target: Place, monkeypatch: pytest.MonkeyPatch, part: Part, is_padded: bool
) -> None:
    """While the shares are asked for, by who may write where the backup lies. Its head is the manifest's.

    Padded: PostgreSQL's program stops reading where its archive ends, long before the end of the file.
    """
    shares, manifest = make_key(founded), take(founded)
    content = opened(manifest, shares, part)
    forged = with_planted_file(content) if part is Part.STATE else content
    forged += bytes(1_000_000 if is_padded else 0)
    names = []

    def while_shares_are_typed(path: Path) -> list[str]:
        names.append(exchange(manifest, part, forged, read_key(founded.state)))
        return read_shares(path)

    monkeypatch.setattr(command, "read_shares", while_shares_are_typed)
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, names[0] in ran.err) == (1, True), ran
    assert list(target.state.iterdir()) == []
    assert list((target.folder / "data").iterdir()) == []
    if target.urls and part is not Part.STATE:
        assert "supprimez-la" in ran.err
        assert "magasin d’effacement" in ran.err


@on_sqlite
@pytest.mark.parametrize("part", list(Part))
def test_a_file_of_another_set_is_refused_before_any_of_it_is_opened(
    founded: Place, target: Place, monkeypatch: pytest.MonkeyPatch, part: Part
) -> None:
    """Sealed to a key that the shares do not open: that is not what is said."""
    shares, manifest = make_key(founded), take(founded)
    unknown = recovery_key(Secret.random()).public
    names = []

    def while_shares_are_typed(path: Path) -> list[str]:
        names.append(exchange(manifest, part, b"", unknown, uuid4()))
        return read_shares(path)

    monkeypatch.setattr(command, "read_shares", while_shares_are_typed)
    ran = restore(target, founded, manifest, shares)
    assert (ran.code, names[0] in ran.err) == (1, True), ran
    assert list(target.state.iterdir()) == []
    assert list((target.folder / "data").iterdir()) == []
