"""The server's disk: without the pepper it is worth nothing, and with it second factors and guesses, no record."""

from dataclasses import replace

from sqlalchemy import MetaData

from audit.tables import metadata as audit_metadata
from casework.column_types import SealedBytes
from casework.database import metadata
from casework.identity.tables import sessions_metadata
from crypto.journal import source_hash
from crypto.pepper import Pepper
from crypto.secret import Secret
from tests.casework.centre import LOGINS, PASSWORD, Centre
from tests.thefts import loot
from tests.thefts.loot import Loot
from tests.thefts.opening import KEY_COLUMNS, OPENERS, plunder
from tests.thefts.stage import prepare

GUESSES = ("123456", "centre2026", PASSWORD)


def test_the_thief_tries_every_sealed_column() -> None:
    every: tuple[MetaData, ...] = (metadata, sessions_metadata)
    sealed = {
        (table.name, column.name)
        for one in every
        for table in one.sorted_tables
        for column in table.c
        if isinstance(column.type, SealedBytes)
    }
    assert OPENERS.keys() | KEY_COLUMNS == sealed | {("audit_detail", "sealed")}
    assert "sealed" in audit_metadata.tables["audit_detail"].c


async def test_disk_cookie_passwords_and_second_factors_open_nothing_without_the_pepper(
    centre: Centre,
) -> None:
    """Database, sessions, shred store and state, with a stepped-up cookie and what every member knows."""
    stage = await prepare(centre)
    stolen = replace(
        await loot.disk(centre),
        passwords=dict.fromkeys(LOGINS, PASSWORD),
    )
    with_cookie = replace(stolen, secrets=stolen.secrets | {loot.token(stage.social.token)})
    haul = plunder(with_cookie)
    assert (haul.opened, haul.keys.keks, haul.keys.daily, haul.keys.signers) == ((), {}, {}, set())
    assert haul.keys.totp_seeds == {}
    # The same with the pepper opens: it is the pepper that was missing, and nothing else.
    assert plunder(replace(with_cookie, secrets=with_cookie.secrets | {loot.pepper(centre)})).opened


async def test_pepper_and_disk_open_every_second_factor_and_no_record(centre: Centre) -> None:
    await prepare(centre)
    stolen = await loot.disk(centre)
    haul = plunder(replace(stolen, secrets=stolen.secrets | {loot.pepper(centre)}))
    assert (haul.opened, haul.keys.keks, haul.keys.daily, haul.keys.signers) == ((), {}, {}, set())
    assert haul.keys.totp_seeds == {account.id: account.totp_seed for account in centre.accounts.values()}


async def test_with_the_pepper_guessed_passwords_are_tried_offline_and_without_it_none_can_be(
    centre: Centre,
) -> None:
    """No limit slows this down but the cost of Argon2id; the pepper alone keeps it from being tried."""
    rows = await loot.database(centre)

    def guessed(secrets: frozenset[bytes]) -> list[str]:
        tried = (Loot(rows, secrets, {"avec.social": guess}) for guess in GUESSES)
        return [guess for guess, one in zip(GUESSES, tried, strict=True) if plunder(one).keys.daily]

    assert guessed(frozenset({loot.pepper(centre)})) == [PASSWORD]
    assert guessed(loot.state(centre)) == []


async def test_with_the_pepper_an_address_in_the_journal_is_found_by_trying(centre: Centre) -> None:
    await centre.sign_in("avec.social")
    rows = await loot.database(centre)
    journal = b"".join(bytes(row.bytes) for row in rows["audit_entry"])
    addresses = ["10.0.0.1", "127.0.0.1", "192.168.1.1"]

    def found(pepper: bytes) -> list[str]:
        one = Pepper.from_secret(Secret(pepper))
        return [address for address in addresses if source_hash(one, address).hex().encode() in journal]

    assert b"127.0.0.1" not in journal
    assert (found(loot.pepper(centre)), found(bytes(32))) == (["127.0.0.1"], [])
