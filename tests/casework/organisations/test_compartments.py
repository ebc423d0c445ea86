"""`GET /compartments`: how many persons hold each key, for the custodian alone."""

from sqlalchemy import Connection, update

from casework.identity.tables import account
from casework.organisations.compartments import COMPARTMENTS
from tests.casework.centre import Centre


async def test_the_custodian_reads_how_many_hold_each_key_and_is_warned_of_fewer_than_two(
    centre: Centre,
) -> None:
    custodian = await centre.sign_in("avec.custodian")
    before = {item["name"]: item for item in (await custodian.get("/compartments"))["items"]}
    assert list(before) == list(COMPARTMENTS)
    assert before["identity"]["holders"] > 2
    # Several memberships of one person are one holder, and she alone holds health here.
    assert before["health"] == {"name": "health", "holders": 1, "wanted": 2, "is_thin": True}
    assert not before["social"]["is_thin"]
    await centre.dba(lambda connection: _end(connection, centre, "avec.psychologist"))
    after = {item["name"]: item for item in (await custodian.get("/compartments"))["items"]}
    assert after["health"] == {"name": "health", "holders": 0, "wanted": 2, "is_thin": True}
    assert after["identity"]["holders"] == before["identity"]["holders"] - 1


async def test_what_nobody_may_ever_hold_is_no_warning(centre: Centre) -> None:
    custodian = await centre.sign_in("cidff.custodian")
    items = {item["name"]: item for item in (await custodian.get("/compartments"))["items"]}
    never = [item for item in items.values() if item["holders"] == 0 and not item["is_thin"]]
    assert [item["name"] for item in never] == ["health"]


async def test_who_does_not_manage_keys_is_refused_and_it_is_journaled(centre: Centre) -> None:
    for login in ("avec.social", "avec.auditor"):
        client = await centre.sign_in(login)
        await client.refused("GET", "/compartments", 403, "forbidden")
    entries = await centre.journal("avec", action="key.recover")
    assert [entry["outcome"] for entry in entries] == ["denied", "denied"]


def _end(connection: Connection, centre: Centre, login: str) -> None:
    connection.execute(update(account).where(account.c.id == centre.accounts[login].id).values(active=False))
