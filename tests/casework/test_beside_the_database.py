"""What stands beside the database: the halves of keys, the anchors of directories, the journal's signing keys."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError

from audit.tables import DEPLOYMENT_LOG
from casework.anchors import FILE_NAME, AnchorMissing, Anchors
from casework.shreds import ShredStore
from casework.signers import SigningKeyRefused, load_signer, new_signer
from crypto.directory import Floor
from tests.casework.centre import Centre

ORIGIN = "centre.example"
ORG, OTHER = uuid4(), uuid4()


async def test_halves_are_found_by_organisation_owner_and_purpose(centre: Centre) -> None:
    store, owner, another = centre.deployment.shreds, uuid4(), uuid4()
    halves = {(owner, "legal"): b"\1" * 32, (owner, "social"): b"\2" * 32, (another, "legal"): b"\3" * 32}

    def work(_unit: object) -> tuple[object, object, object]:
        store.add(ORG, halves)
        return (
            store.of(ORG, [owner], ["legal"]),
            store.of(ORG, [owner, another], ["legal", "social", "health"]),
            store.of(OTHER, [owner, another], ["legal", "social"]),
        )

    assert await centre.deployment.database.unit(work) == ({(owner, "legal"): b"\1" * 32}, halves, {})


async def test_of_nobody_there_are_no_halves(centre: Centre) -> None:
    store = centre.deployment.shreds
    assert await centre.deployment.database.unit(lambda _unit: store.of(ORG, [], ["legal"])) == {}


async def test_a_half_stays_when_the_unit_that_needed_it_fails_and_is_never_replaced(centre: Centre) -> None:
    store, owner = centre.deployment.shreds, uuid4()

    def add_and_fail(_unit: object) -> None:
        store.add(ORG, {(owner, "legal"): b"\1" * 32})
        raise LookupError

    def add_another(_unit: object) -> None:
        store.add(ORG, {(owner, "legal"): b"\2" * 32})

    with pytest.raises(LookupError):
        await centre.deployment.database.unit(add_and_fail)
    with pytest.raises(IntegrityError):
        await centre.deployment.database.unit(add_another)
    found = await centre.deployment.database.unit(lambda _unit: store.of(ORG, [owner], ["legal"]))
    assert found == {(owner, "legal"): b"\1" * 32}


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1)]
)
async def test_the_shred_file_is_durable_and_forgets_what_is_deleted(
    tmp_path: Path, name: str, value: object
) -> None:
    store = ShredStore(make_url(f"sqlite:///{tmp_path / 'shreds.db'}"))
    await store.create()
    with store._engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {name}")).scalar_one() == value
    await store.dispose()


def test_an_organisation_that_was_never_planted_is_not_believed(tmp_path: Path) -> None:
    anchors = Anchors(tmp_path)
    for ask in (anchors.root, anchors.floor, lambda org: anchors.raise_floor(org, Floor(1, b"h" * 32))):
        with pytest.raises(AnchorMissing):
            ask(ORG)


def test_a_root_is_planted_once_and_a_floor_only_rises(tmp_path: Path) -> None:
    anchors = Anchors(tmp_path)
    anchors.plant(ORG, b"r" * 32, Floor(3, b"c" * 32))
    anchors.plant(ORG, b"x" * 32, Floor(9, b"x" * 32))
    assert anchors.root(ORG) == b"r" * 32
    assert anchors.floor(ORG) == Floor(3, b"c" * 32)
    anchors.raise_floor(ORG, Floor(5, b"e" * 32))
    anchors.raise_floor(ORG, Floor(4, b"d" * 32))
    anchors.raise_floor(ORG, Floor(5, b"f" * 32))
    anchors.plant(OTHER, b"o" * 32, Floor(1, b"a" * 32))
    # Another process of the machine reads the same.
    again = Anchors(tmp_path)
    assert (again.root(ORG), again.floor(ORG)) == (b"r" * 32, Floor(5, b"e" * 32))
    assert (again.root(OTHER), again.floor(OTHER)) == (b"o" * 32, Floor(1, b"a" * 32))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_what_another_process_raised_is_seen_at_the_next_look(tmp_path: Path) -> None:
    """However fast it is written, and although two files may take turns at one inode."""
    reader, writer = Anchors(tmp_path), Anchors(tmp_path)
    writer.plant(ORG, b"r" * 32, Floor(1, b"h" * 32))
    for epoch in range(1, 60):
        writer.raise_floor(ORG, Floor(epoch, b"h" * 32))
        assert reader.floor(ORG).epoch == epoch
    writer.go_back(ORG, Floor(12, b"h" * 32))
    assert reader.floor(ORG).epoch == 12
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(AnchorMissing):
        reader.floor(ORG)


def test_a_signing_key_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    made = new_signer(tmp_path, DEPLOYMENT_LOG, ORIGIN)
    assert str(load_signer(tmp_path, DEPLOYMENT_LOG, ORIGIN).key) == str(made.key)
    with pytest.raises(FileExistsError):
        new_signer(tmp_path, DEPLOYMENT_LOG, ORIGIN)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "journal-keys").iterdir())


@pytest.mark.parametrize("fault", ["absent", "lax", "short", "long"])
def test_a_signing_key_that_is_absent_damaged_or_lax_is_refused(tmp_path: Path, fault: str) -> None:
    new_signer(tmp_path, DEPLOYMENT_LOG, ORIGIN)
    (path,) = (tmp_path / "journal-keys").iterdir()
    match fault:
        case "absent":
            path.unlink()
        case "lax":
            path.chmod(0o640)
        case "short":
            path.write_bytes(bytes(31))
        case "long":
            path.write_bytes(bytes(33))
    with pytest.raises(SigningKeyRefused):
        load_signer(tmp_path, DEPLOYMENT_LOG, ORIGIN)
