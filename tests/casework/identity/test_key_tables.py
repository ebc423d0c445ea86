"""Key tables changed beside the service: nobody is signed in on keys that do not lead back to the root."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update
from structlog.testing import capture_logs

from casework.column_types import Sealed
from casework.identity.tables import membership
from casework.organisations.tables import drop_key, key_directory, key_grant
from crypto import grant
from crypto.directory_entries import DirectoryEntry, EntrySigner, MemberBody, sign_entry
from crypto.header import PREFIX
from crypto.hpke import hpke_seal, new_key_pair
from crypto.kek import new_kek
from crypto.signing import SigningKey
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem
from tests.casework.story import open_case

LOGIN = "avec.social"


@contextmanager
def alarm(error: str) -> Iterator[None]:
    """The log holds an alarm of this error, and nothing of what was sent."""
    with capture_logs() as logs:
        yield
    assert error in [line.get("error") for line in logs if line["log_level"] in {"error", "critical"}]
    assert PASSWORD not in str(logs)


async def _begin(centre: Centre) -> Client:
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": PASSWORD})
    return Client(centre, begun.json()["token"])


async def _refuse_sign_in(centre: Centre, error: str) -> Client:
    """Both factors are right, and no session comes of it."""
    waiting = await _begin(centre)
    with alarm(error):
        code = {"code": centre.code(LOGIN)}
        answer = await waiting.request("POST", "/sessions/current/second-factor", json=code)
    assert_problem(answer, 500, "sealed_data_damaged")
    await waiting.refused("GET", "/me", 401, "not_signed_in")
    return waiting


async def _let_in(centre: Centre, waiting: Client) -> None:
    """The same session completes once the tables are as they were."""
    code = {"code": centre.code(LOGIN)}
    await waiting.post("/sessions/current/second-factor", code, expect=200)
    case = await open_case(waiting, "social")
    assert (await waiting.get(f"/cases/{case}"))["groups"]["social"]


def _grant_of(member: UUID, compartment: str) -> Any:
    return (key_grant.c.member_id == member) & (key_grant.c.compartment == compartment)


async def _sealed(centre: Centre, member: UUID, compartment: str) -> Sealed:
    query = select(key_grant.c.sealed).where(_grant_of(member, compartment))
    found: Sealed = await centre.dba(lambda connection: connection.execute(query).scalar_one())
    return found


async def _put(centre: Centre, member: UUID, compartment: str, sealed: Sealed) -> None:
    statement = update(key_grant).where(_grant_of(member, compartment)).values(sealed=sealed)
    await centre.dba(lambda connection: connection.execute(statement))


async def test_the_grant_of_a_colleague_opens_nothing_for_another(centre: Centre) -> None:
    social, psychologist = centre.member(LOGIN), centre.member("avec.psychologist")
    own = await _sealed(centre, social, "safety")
    await _put(centre, social, "safety", await _sealed(centre, psychologist, "safety"))
    waiting = await _refuse_sign_in(centre, "GrantRefused")
    await _put(centre, social, "safety", own)
    await _let_in(centre, waiting)


async def test_a_planted_key_is_refused(centre: Centre) -> None:
    """Sealed properly, to her certified key, for this very grant: it is not the key that the directory names."""
    social, org = centre.member(LOGIN), centre.org("avec")
    own = await _sealed(centre, social, "social")

    def plant(connection: Connection) -> Sealed:
        rows = connection.execute(
            select(key_directory.c.entry).where(key_directory.c.org_id == org).order_by(key_directory.c.epoch)
        ).scalars()
        bodies = [DirectoryEntry.from_bytes(bytes(row)).body for row in rows]
        daily = next(b.daily_public for b in bodies if isinstance(b, MemberBody) and b.member == social.bytes)
        directory = centre.directory(connection, "avec")
        certified = next(g for g in directory.grants_of(social.bytes) if g.group == "social")
        planted = new_kek(org.bytes, "social", certified.kek_no)
        info = grant._info(org.bytes, certified)
        return Sealed(PREFIX + hpke_seal(daily, info, planted.secret.reveal()))

    await _put(centre, social, "social", await centre.dba(plant))
    waiting = await _refuse_sign_in(centre, "GrantRefused")
    await _put(centre, social, "social", own)
    await _let_in(centre, waiting)


async def test_a_grant_that_no_directory_entry_certifies_is_not_opened(centre: Centre) -> None:
    """Her colleague's health key, in a row of her own under an entry that grants nothing."""
    health = await _sealed(centre, centre.member("avec.psychologist"), "health")
    row = insert(key_grant).values(
        org_id=centre.org("avec"),
        epoch=1,
        member_id=centre.member(LOGIN),
        compartment="health",
        kek_no=1,
        sealed=health,
    )
    await centre.dba(lambda connection: connection.execute(row))
    social = await centre.sign_in(LOGIN)
    assert "health" not in (await social.get("/me"))["compartments"]
    psychologist = await centre.sign_in("avec.psychologist")
    assert "health" in (await psychologist.get("/me"))["compartments"]


def _own(org: UUID, epoch: int) -> Any:
    return (key_directory.c.org_id == org) & (key_directory.c.epoch == epoch)


def _epoch_of_member(connection: Connection, org: UUID, member: UUID) -> tuple[int, DirectoryEntry]:
    rows = connection.execute(
        select(key_directory.c.epoch, key_directory.c.entry).where(key_directory.c.org_id == org)
    )
    for epoch, raw in rows:
        entry = DirectoryEntry.from_bytes(bytes(raw))
        if isinstance(entry.body, MemberBody) and entry.body.member == member.bytes:
            return epoch, entry
    raise AssertionError(member)


def _alter_a_byte(connection: Connection, org: UUID, member: UUID) -> None:
    epoch, entry = _epoch_of_member(connection, org, member)
    raw = bytearray(entry.to_bytes())
    raw[40] ^= 1
    connection.execute(update(key_directory).where(_own(org, epoch)).values(entry=bytes(raw)))


def _replace_the_public_key(connection: Connection, org: UUID, member: UUID) -> None:
    """Whoever holds the new half would be sent every later key; the entry is signed, by someone else."""
    epoch, entry = _epoch_of_member(connection, org, member)
    assert isinstance(entry.body, MemberBody)
    body = replace(entry.body, daily_public=new_key_pair().public)
    forged = sign_entry(org.bytes, epoch, entry.previous, body, EntrySigner(entry.signer, SigningKey.new()))
    connection.execute(update(key_directory).where(_own(org, epoch)).values(entry=forged.to_bytes()))


def _delete_the_last_entries(connection: Connection, org: UUID, _member: UUID) -> None:
    last = connection.execute(
        select(func.max(key_directory.c.epoch)).where(key_directory.c.org_id == org)
    ).scalar_one()
    for table in (key_grant, key_directory):
        connection.execute(delete(table).where(table.c.org_id == org, table.c.epoch > last - 3))


def _delete_one_in_the_middle(connection: Connection, org: UUID, member: UUID) -> None:
    epoch, _ = _epoch_of_member(connection, org, member)
    connection.execute(delete(key_directory).where(_own(org, epoch)))


def _append_a_grant_signed_by_nobody(connection: Connection, org: UUID, member: UUID) -> None:
    raws = connection.execute(
        select(key_directory.c.entry).where(key_directory.c.org_id == org).order_by(key_directory.c.epoch)
    ).scalars()
    entries = [DirectoryEntry.from_bytes(bytes(raw)) for raw in raws]
    body = next(entry.body for entry in entries if entry.body.KIND == "grant")
    signer = EntrySigner(member.bytes, SigningKey.new())
    forged = sign_entry(org.bytes, len(entries) + 1, entries[-1].hash, body, signer)
    row = {"org_id": org, "epoch": len(entries) + 1, "entry": forged.to_bytes()}
    connection.execute(insert(key_directory).values(row))


@pytest.mark.parametrize(
    "tamper",
    [
        _alter_a_byte,
        _replace_the_public_key,
        _delete_the_last_entries,
        _delete_one_in_the_middle,
        _append_a_grant_signed_by_nobody,
    ],
)
async def test_a_directory_that_was_changed_signs_nobody_in(
    centre: Centre, tamper: Callable[[Connection, UUID, UUID], None]
) -> None:
    org = centre.org("avec")

    def snapshot(connection: Connection) -> list[tuple[Any, list[dict[str, Any]]]]:
        tables = (key_directory, key_grant)
        return [
            (table, [dict(row._mapping) for row in connection.execute(select(table))]) for table in tables
        ]

    def restore(connection: Connection) -> None:
        for table in (key_grant, key_directory):
            connection.execute(delete(table))
        for table, rows in before:
            connection.execute(insert(table), rows)

    before = await centre.dba(snapshot)
    await centre.dba(lambda connection: tamper(connection, org, centre.member(LOGIN)))
    waiting = await _refuse_sign_in(centre, "DirectoryRefused")
    # Another organisation's directory is its own.
    await centre.sign_in("cidff.jurist")
    await centre.dba(restore)
    await _let_in(centre, waiting)
    assert not await centre.journal("avec", action="session.second_factor", outcome="denied")


async def test_a_daily_key_older_than_the_directory_it_has_seen_is_refused(centre: Centre) -> None:
    """The floor is in the password-wrapped blob: it cannot be another member's either."""
    social, supervisor = centre.member(LOGIN), centre.member("avec.supervisor")

    def keys(connection: Connection, member: UUID) -> Sealed:
        found: Sealed = connection.execute(
            select(membership.c.daily_key).where(membership.c.id == member)
        ).scalar_one()
        return found

    def put(connection: Connection, sealed: Sealed) -> None:
        connection.execute(update(membership).where(membership.c.id == social).values(daily_key=sealed))

    own = await centre.dba(lambda connection: keys(connection, social))
    hers = await centre.dba(lambda connection: keys(connection, supervisor))
    await centre.dba(lambda connection: put(connection, hers))
    waiting = await _refuse_sign_in(centre, "SealBroken")
    await centre.dba(lambda connection: put(connection, own))
    await _let_in(centre, waiting)


async def test_a_replaced_drop_key_opens_nothing_and_nothing_is_sealed_to_it(centre: Centre) -> None:
    """What is written without reading goes to the certified key, whatever the row says."""
    planted = new_key_pair()
    statement = (
        update(drop_key)
        .where(drop_key.c.org_id == centre.org("avec"), drop_key.c.compartment == "safety")
        .values(public=planted.public)
    )
    query = select(drop_key.c.public).where(
        drop_key.c.org_id == centre.org("avec"), drop_key.c.compartment == "safety"
    )
    own = await centre.dba(lambda connection: bytes(connection.execute(query).scalar_one()))
    reception = await centre.sign_in("avec.reception")
    await centre.dba(lambda connection: connection.execute(statement))
    case = await open_case(reception, "safety")
    supervisor = await centre.sign_in("avec.supervisor")
    with alarm("SealBroken"):
        await supervisor.refused("GET", f"/cases/{case}", 500, "sealed_data_damaged")
    await centre.dba(lambda connection: connection.execute(statement.values(public=own)))
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["safety"]
