"""Removal of a member: what ends at once, what becomes due, and what she can no longer do with what she kept."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, select, update

from casework.column_types import Sealed
from casework.identity.tables import account, membership, session
from casework.organisations.due import Reason
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.removal import Removed, remove
from casework.organisations.rotation import Rotated, rotate
from casework.organisations.tables import key_directory, key_grant, past_team_member, team_member
from crypto.directory_entries import (
    Body,
    CompartmentBody,
    EntrySigner,
    GrantBody,
    KekRetiredBody,
    sign_entry,
)
from crypto.errors import DirectoryFault, DirectoryRefused
from crypto.kek import new_kek
from tests.casework.centre import PASSWORD, Centre, assert_problem
from tests.casework.organisations.test_rotation import (
    CUSTODIAN,
    another_process,
    directory_of,
    due,
    numbers,
)
from tests.casework.story import content, entries_of, open_case

LEAVING = "avec.psychologist"
STAYING = ("avec.social", "avec.jurist", "avec.supervisor")


async def leave(centre: Centre, login: str = LEAVING, custodian: Credentials = CUSTODIAN) -> Removed:
    async with another_process(centre) as other:
        return await remove(other, "avec", login, custodian)


async def renew(centre: Centre, *holders: str) -> Rotated:
    async with another_process(centre) as other:
        return await rotate(other, "avec", [Credentials(holder, PASSWORD) for holder in holders])


async def test_an_old_session_after_a_removal_opens_nothing_and_is_ended(centre: Centre) -> None:
    leaving = await centre.sign_in(LEAVING)
    case = await open_case(leaving, "social")
    pending = await centre.http.post("/api/v1/sessions", json={"login": LEAVING, "password": PASSWORD})
    assert await leave(centre) == Removed((centre.member(LEAVING),), 2)
    for path in (f"/cases/{case}", "/cases", "/me"):
        await leaving.refused("GET", path, 401, "not_signed_in")
    headers = {"authorization": f"Bearer {pending.json()['token']}"}
    factor = await centre.http.post(
        "/api/v1/sessions/current/second-factor", json={"code": centre.code(LEAVING)}, headers=headers
    )
    assert_problem(factor, 401, "not_signed_in")
    again = await centre.http.post("/api/v1/sessions", json={"login": LEAVING, "password": PASSWORD})
    assert_problem(again, 401, "sign_in_refused")
    left = select(session.c.id).where(session.c.account_id == centre.accounts[LEAVING].id)
    assert not await centre.dba(lambda connection: connection.execute(left).all())


async def test_a_session_and_an_account_that_are_put_back_open_nothing(centre: Centre) -> None:
    """The tables alone make nobody a member: the directory does, and she has seen what follows her removal."""
    leaving = await centre.sign_in(LEAVING)
    case = await open_case(leaving, "social")
    mine = session.c.account_id == centre.accounts[LEAVING].id

    def save(connection: Connection) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in connection.execute(select(session).where(mine))]

    rows = await centre.dba(save)
    await leave(centre)
    await centre.learn("avec")

    def put_back(connection: Connection) -> None:
        connection.execute(insert(session), rows)
        of = account.c.id == centre.accounts[LEAVING].id
        connection.execute(update(account).where(of).values(active=True))
        of = membership.c.account_id == centre.accounts[LEAVING].id
        connection.execute(update(membership).where(of).values(active=True))

    await centre.dba(put_back)
    await leaving.refused("GET", f"/cases/{case}", 401, "not_signed_in")
    await leaving.refused("GET", "/cases", 401, "not_signed_in")


async def test_every_compartment_that_she_held_is_due_until_holders_have_renewed_it(centre: Centre) -> None:
    before = await directory_of(centre)
    held = {group for group in before.compartments if before.holds(centre.member(LEAVING).bytes, group)}
    assert {"identity", "social", "health"} <= held
    case = await open_case(await centre.sign_in(LEAVING), *sorted(held - {"identity", "index", "intake"}))
    await leave(centre)
    assert {(one.compartment, one.reason) for one in await due(centre)} == {
        (compartment, Reason.REMOVED) for compartment in held
    }
    # A half-done state is shown as due, and the next holder goes on with the rest.
    first = await renew(centre, "avec.social")
    assert {one.compartment for one in await due(centre)} == {one.compartment for one in first.waiting}
    rest = await renew(centre, *STAYING)
    assert {*first.keks, *rest.keks} | {one.compartment for one in rest.waiting} == held
    after = await directory_of(centre)
    for compartment in {*first.keks, *rest.keks}:
        old, new = before.compartments[compartment], after.compartments[compartment]
        assert (new.kek_no, new.drop.number) == (old.kek_no + 1, old.drop.number + 1)
        assert await numbers(centre, compartment) <= {2}
        assert not after.holds(centre.member(LEAVING).bytes, compartment)
    opened = await (await centre.sign_in("avec.supervisor")).get(f"/cases/{case}")
    assert opened["groups"]["identity"]["name_in_use"] == content("identity")["name_in_use"]


async def test_what_she_kept_opens_no_key_that_was_renewed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await open_case(social, "social")
    mine = (key_grant.c.member_id == centre.member(LEAVING), key_grant.c.compartment == "social")
    await leave(centre)
    await renew(centre, "avec.social")
    grants = await centre.dba(lambda connection: connection.execute(select(key_grant).where(*mine)).all())
    assert grants == []
    assert not (await directory_of(centre)).grants_of(centre.member(LEAVING).bytes)


@pytest.mark.parametrize("kind", ["grant", "rotation", "retirement"])
async def test_a_grant_by_a_removed_granter_is_refused_wherever_it_is_written(
    centre: Centre, kind: str
) -> None:
    """She kept her signing key and the KEK, and writes to the database herself."""
    signer = centre.accounts[LEAVING].memberships[0]
    await leave(centre)
    directory, org = await directory_of(centre), centre.org("avec")
    current = directory.compartments["social"]
    kek = new_kek(org.bytes, "social", current.kek_no + 1)
    bodies: dict[str, Body] = {
        "rotation": CompartmentBody("social", kek.number, kek.kid, current.drop.number, current.drop.public),
        "retirement": KekRetiredBody("social", 1),
    }
    accomplice = centre.member("avec.reception").bytes
    fingerprint = directory.members[accomplice].fingerprint
    bodies["grant"] = GrantBody("social", 1, current.kid, accomplice, fingerprint, bytes(32))
    entry = sign_entry(
        org.bytes,
        directory.epoch + 1,
        directory.head,
        bodies[kind],
        EntrySigner(signer.id.bytes, signer.signing),
    )

    def write(connection: Connection) -> None:
        connection.execute(
            insert(key_directory).values(org_id=org, epoch=entry.epoch, entry=entry.to_bytes())
        )
        row = {"org_id": org, "epoch": entry.epoch, "member_id": UUID(bytes=accomplice), "kek_no": 1}
        connection.execute(insert(key_grant).values(**row, compartment="social", sealed=Sealed(b"x")))

    await centre.dba(write)
    with pytest.raises(DirectoryRefused) as refused:
        await directory_of(centre)
    assert refused.value.fault is DirectoryFault.UNKNOWN_SIGNER
    with pytest.raises(DirectoryRefused):
        await renew(centre, "avec.social")


@pytest.mark.parametrize(
    ("login", "custodian", "fault"),
    [
        (LEAVING, "avec.supervisor", KeyActFault.MAY_NOT_CERTIFY),
        ("avec.custodian", "avec.custodian", KeyActFault.HERSELF),
        ("cidff.jurist", "avec.custodian", KeyActFault.UNKNOWN_LOGIN),
    ],
)
async def test_who_may_not_removes_nobody_and_it_is_journaled(
    centre: Centre, login: str, custodian: str, fault: KeyActFault
) -> None:
    before = (await directory_of(centre)).epoch
    with pytest.raises(KeyActRefused) as refused:
        await leave(centre, login, Credentials(custodian, PASSWORD))
    assert refused.value.fault is fault
    assert (await directory_of(centre)).epoch == before
    denied = entries_of(await centre.journal("avec"), "member.remove", "denied")
    assert [item["entry"]["reason"] for item in denied] == [fault]


async def test_a_removal_takes_every_membership_and_is_journaled_by_the_custodian(centre: Centre) -> None:
    both = {member.id for member in centre.accounts["avec.double"].memberships}
    assert set((await leave(centre, "avec.double")).members) == both
    done = entries_of(await centre.journal("avec"), "member.remove")
    assert {item["detail"]["member"] for item in done} == {str(member) for member in both}
    assert {item["entry"]["actor"] for item in done} == {str(centre.member("avec.custodian"))}
    # Removed is removed: the login is nobody's any more, and no removal is repeated.
    with pytest.raises(KeyActRefused) as refused:
        await leave(centre, "avec.double")
    assert refused.value.fault is KeyActFault.UNKNOWN_LOGIN


async def test_a_removal_ends_what_she_belonged_to_and_remembers_since_when(centre: Centre) -> None:
    team = await centre.team("avec", "nuit", LEAVING, "avec.social")
    await leave(centre)

    def read(connection: Connection) -> tuple[list[Any], list[Any]]:
        now = connection.execute(select(team_member.c.member_id)).scalars().all()
        return list(now), list(connection.execute(select(past_team_member)).all())

    staying, (past,) = await centre.dba(read)
    assert staying == [centre.member("avec.social")]
    assert (past.team_id, past.member_id) == (team, centre.member(LEAVING))
    assert past.since < past.until
