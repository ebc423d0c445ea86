"""A stolen backup, made by the real command: what its sealed files, its opened files and the pepper are worth."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import make_url

from audit.tables import metadata as audit_metadata
from casework.database import metadata
from casework.schema import migrate
from casework.shreds import shreds_metadata
from crypto.errors import CryptoError
from crypto.secret import Secret
from crypto.stream import open_stream
from tests.casework.commands.place import Place
from tests.casework.commands.test_backup import make_key, new_case, opened, take
from tests.casework.commands.test_organisations import id_of, read
from tests.casework.commands.test_serving import serving
from tests.thefts.loot import Loot, Rows, keys_in, read_tables
from tests.thefts.opening import plunder


@pytest.fixture
def engine_name() -> str:
    """The sealed files are the same streams on both engines; SQLite's can be opened where they lie."""
    return "sqlite"


def all_rows(folder: Path, manifest: Path, shares: list[str]) -> Rows:
    """Every row of an opened backup, its halves included, read from the files themselves."""
    found: list[Rows] = []
    for part, tables in (("database", (metadata, audit_metadata)), ("shreds", (shreds_metadata,))):
        path = folder / f"{part}.db"
        path.write_bytes(opened(manifest, shares, part))
        look = read_tables(*tables)
        asyncio.run(
            migrate(
                make_url(f"sqlite:///{path}"), lambda connection, look=look: found.append(look(connection))
            )
        )
    return {name: rows for one in found for name, rows in one.items()}


def test_no_key_of_the_server_opens_a_sealed_backup(founded: Place) -> None:
    make_key(founded)
    with serving(founded) as (_, url):
        new_case(url, founded)
        manifest = take(founded)
    rows = read(founded, read_tables(metadata, audit_metadata))
    pepper = (founded.folder / "secret" / "pepper").read_bytes()
    tried = Loot(rows, keys_in(founded.state) | {pepper}).values
    assert pepper in tried
    for file in manifest.parent.glob("*.sealed"):
        for value in tried:
            with file.open("rb") as source, pytest.raises(CryptoError):
                next(open_stream(Secret(value), source))


def test_an_opened_backup_opens_nothing_without_the_pepper_nor_with_it_but_for_whose_password_is_known(
    founded: Place, tmp_path: Path
) -> None:
    shares = make_key(founded)
    with serving(founded) as (_, url):
        new_case(url, founded)
        manifest = take(founded)
    rows = all_rows(tmp_path, manifest, shares)
    state, pepper = keys_in(founded.state), (founded.folder / "secret" / "pepper").read_bytes()
    password = {"avec.social": founded.password("avec", "avec.social")}
    for without in (Loot(rows, state, password), Loot(rows, state | {pepper})):
        haul = plunder(without)
        assert (haul.opened, haul.keys.keks) == ((), {})
    haul = plunder(Loot(rows, state | {pepper}, password))
    assert "Canari fictif" in haul.text
    assert {org for org, _ in haul.compartments} == {id_of(founded, "avec")}
    # The shares of a backup are not those of an organisation.
    assert plunder(Loot(rows, state | {pepper}, shares=shares[:2])).opened == ()
