"""Rotation of a compartment's keys, carried out at another process while this one serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from casework.anchors import Anchors
from casework.cases.tables import case_group
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.deployment import Deployment, assemble, dismantle
from casework.identity import sessions
from casework.identity.members import Position, prepare_account
from casework.identity.sessions import SignedIn, Token
from casework.organisations.due import DROP_KEY_AGE, Due, Reason, find_due
from casework.organisations.holders import verified_directory
from casework.organisations.joining import join
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.rotation import REPLACED_FOR, Order, Rotated, rotate
from casework.organisations.tables import drop_key, kek_recovery, key_directory, key_grant, relation_key
from casework.routing import decode_token
from casework.upkeep import sweep
from crypto.dek import dek_row_is_dropped, dek_row_key_number
from crypto.directory import Directory
from crypto.errors import DirectoryRefused, GrantRefused
from crypto.grant import open_grant
from crypto.password import FLOOR_PARAMS
from crypto.relation import wrapping_number
from policies.vocabulary import Profession, Role
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.story import accept, content, entries_of, hand_over, open_case

SOCIAL = Credentials("avec.social", PASSWORD)
CUSTODIAN = Credentials("avec.custodian", PASSWORD)


class Interrupted(Exception):
    """What a test ends a rotation with, where a kill would."""


@asynccontextmanager
async def another_process(centre: Centre) -> AsyncIterator[Deployment]:
    """A deployment that shares nothing with the service but its database and files, as the command line does."""
    other = await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)
    try:
        yield other
    finally:
        await dismantle(other)


async def renew(centre: Centre, *compartments: str, **more: Any) -> Rotated:
    order = Order(CUSTODIAN, compartments) if compartments else None
    async with another_process(centre) as other:
        return await rotate(other, "avec", [SOCIAL], order, **more)


def key_rows(connection: Connection, org: UUID, compartment: str) -> list[bytes]:
    rows = select(case_group.c.dek).where(case_group.c.org_id == org, case_group.c.compartment == compartment)
    return [row.blob for row in connection.execute(rows).scalars()]


async def numbers(centre: Centre, compartment: str) -> set[int]:
    """The numbers of the KEKs that AVEC's key rows of a compartment are under; a dropped row counts as 0."""
    rows = await centre.dba(lambda connection: key_rows(connection, centre.org("avec"), compartment))
    return {0 if dek_row_is_dropped(row) else dek_row_key_number(row) for row in rows}


async def directory_of(centre: Centre) -> Directory:
    def read(connection: Connection) -> Directory:
        anchors = Anchors(centre.deployment.settings.state_dir)
        return verified_directory(connection, anchors, centre.org("avec"))

    return await centre.dba(read)


async def due(centre: Centre) -> tuple[Due, ...]:
    directory, org = await directory_of(centre), centre.org("avec")
    engine = await centre.engine("avec")
    return await centre.dba(
        lambda connection: find_due(connection, directory, engine, org, centre.clock.now())
    )


async def session_keys(centre: Centre, client: Client) -> set[tuple[str, int]]:
    """The KEKs that a session's row holds."""
    token = Token.of(centre.deployment.pepper, decode_token(client.token))

    def find(unit: UnitOfWork) -> SignedIn:
        found = sessions.find(unit, token)
        assert isinstance(found, SignedIn)
        return found

    found = await centre.deployment.database.unit(find)
    return {(kek.group, kek.number) for kek in found.keys.keks}


async def test_after_a_rotation_everything_opens_and_nothing_is_under_the_old_key(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    # Who opened this one holds no health key: its row waits at the drop key.
    hers, other = await open_case(social, "social"), await open_case(psychologist, "social", "health")
    assert await renew(centre, "identity", "social") == Rotated(("identity", "social"), (), (), ())
    for compartment in ("identity", "social"):
        assert await numbers(centre, compartment) == {2}
    assert await numbers(centre, "safety") == {1}

    for client, case in ((social, hers), (psychologist, other)):
        assert (await client.get(f"/cases/{case}"))["groups"]["social"] == content("social")
        assert [item["identity"]["name_in_use"] for item in (await client.get("/cases"))["items"]] == [
            content("identity")["name_in_use"]
        ]
    again = await centre.sign_in("avec.social")
    assert (await again.get(f"/cases/{hers}"))["groups"]["identity"]["name_in_use"]


async def test_what_the_old_key_was_sealed_in_is_destroyed(centre: Centre) -> None:
    await renew(centre, "social")
    org = centre.org("avec")

    def kek_numbers(connection: Connection) -> list[set[int]]:
        return [
            set(
                connection.execute(
                    select(table.c.kek_no).where(table.c.org_id == org, table.c.compartment == "social")
                ).scalars()
            )
            for table in (key_grant, kek_recovery, drop_key)
        ]

    assert await centre.dba(kek_numbers) == [{2}, {2}, {2}]
    directory = await directory_of(centre)
    assert ("social", 1) not in directory.kids
    assert directory.retiring("social") == ()
    # Who held it before holds the new one, and nobody else does.
    holding = {member for member in directory.members if directory.holds(member, "social")}
    assert centre.member("avec.social").bytes in holding
    assert centre.member("avec.auditor").bytes not in holding


async def test_an_open_session_keeps_the_new_key_and_forgets_the_old(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await renew(centre, "social")
    assert ("social", 1) in await session_keys(centre, social)
    await social.get(f"/cases/{case}")
    held = await session_keys(centre, social)
    assert ("social", 2) in held
    assert ("social", 1) not in held


async def test_a_search_and_a_new_case_use_the_key_of_a_rotation_that_is_not_finished(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    old = await open_case(social, "social")

    def interrupt(_moved: int, _of: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await renew(centre, "identity", advance=interrupt)
    assert (await due(centre))[0].reason is Reason.UNFINISHED
    new = await open_case(social, "social")
    assert await numbers(centre, "identity") == {2}
    name = {"name": content("identity")["name_in_use"]}
    found = await social.post("/search", name, expect=200)
    assert {item["case_id"] for item in found["items"]} == {old, new}
    # The same command goes on, and asks for no third key.
    assert (await renew(centre)).keks == ("identity",)
    assert (await directory_of(centre)).compartments["identity"].kek_no == 2
    assert await due(centre) == ()


async def test_the_service_serves_while_keys_are_renewed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    cases = [await open_case(social, "social") for _ in range(3)]
    rotating = asyncio.create_task(renew(centre, "identity", "social", "safety"))
    served = 0
    while not rotating.done() or not served:
        cases.append(await open_case(social, "social"))
        for case in cases[-3:]:
            assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
            served += 1
    await rotating
    assert served
    for compartment in ("identity", "social", "safety"):
        assert await numbers(centre, compartment) == {2}
    for case in cases:
        assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_each_step_is_journaled_with_who_took_it(centre: Centre) -> None:
    await open_case(await centre.sign_in("avec.social"), "social")
    await renew(centre, "social")
    items = [item["entry"] | {"detail": item["detail"]} for item in await centre.journal("avec")]
    steps = {item["action"]: item for item in items if item["action"].startswith("key.")}
    assert list(steps) == ["key.retire", "key.rewrap", "key.rotate", "key.grant", "key.order"]
    assert steps["key.order"]["actor"] == str(centre.member("avec.custodian"))
    assert steps["key.order"]["detail"] == {"compartments": ["social"]}
    for step in ("key.rotate", "key.grant", "key.rewrap", "key.retire"):
        assert steps[step]["actor"] == str(centre.member("avec.social"))
        assert steps[step]["detail"]["compartment"] == "social"
    assert steps["key.rewrap"]["count"] == 1


@pytest.mark.parametrize(
    ("holder", "custodian", "fault"),
    [
        ("avec.custodian", "avec.custodian", KeyActFault.MAY_NOT_GRANT),
        ("avec.social", "avec.supervisor", KeyActFault.MAY_NOT_ORDER),
        ("cidff.jurist", "avec.custodian", KeyActFault.UNKNOWN_LOGIN),
    ],
)
async def test_who_may_not_rotate_changes_nothing_and_it_is_journaled(
    centre: Centre, holder: str, custodian: str, fault: KeyActFault
) -> None:
    before = (await directory_of(centre)).epoch
    async with another_process(centre) as other:
        order = Order(Credentials(custodian, PASSWORD), ("social",))
        with pytest.raises(KeyActRefused) as refused:
            await rotate(other, "avec", [Credentials(holder, PASSWORD)], order)
    assert refused.value.fault is fault
    assert (await directory_of(centre)).epoch == before
    denied = entries_of(await centre.journal("avec"), "key.rotate", "denied")
    assert [item["entry"]["reason"] for item in denied] == [fault]


async def test_a_wrong_password_rotates_nothing(centre: Centre) -> None:
    async with another_process(centre) as other:
        with pytest.raises(KeyActRefused) as refused:
            await rotate(other, "avec", [Credentials("avec.social", "not her password")])
    assert refused.value.fault is KeyActFault.WRONG_PASSWORD


async def test_a_compartment_that_no_given_holder_holds_waits(centre: Centre) -> None:
    rotated = await renew(centre, "journal")
    assert [(one.compartment, one.reason) for one in rotated.waiting] == [("journal", Reason.ORDERED)]
    assert (await directory_of(centre)).compartments["journal"].kek_no == 1


async def test_who_waits_for_a_first_grant_goes_on_waiting(centre: Centre) -> None:
    """New keys are given after a comparison of eight words, which no rotation may go around."""
    worker = Position(Role.WORKER, frozenset({Profession.SOCIAL}))
    new = prepare_account("avec.second", PASSWORD, [worker], FLOOR_PARAMS)
    async with another_process(centre) as other:
        assert "social" in (await join(other, "avec", new, CUSTODIAN)).waiting
    await renew(centre, "social")
    directory = await directory_of(centre)
    assert directory.holds(centre.member("avec.social").bytes, "social")
    assert not directory.holds(new.memberships[0].id.bytes, "social")


async def test_a_rolled_back_kek_is_refused(centre: Centre) -> None:
    """Whoever puts the old grant and an old key row back has given nobody the old key."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    org, member = centre.org("avec"), centre.member("avec.social")
    mine = (key_grant.c.org_id == org, key_grant.c.member_id == member, key_grant.c.compartment == "social")
    this = (case_group.c.case_id == UUID(case), case_group.c.compartment == "social")

    def save(connection: Connection) -> tuple[dict[str, Any], Sealed]:
        grant = connection.execute(select(key_grant).where(*mine)).one()
        return dict(grant._mapping), connection.execute(select(case_group.c.dek).where(*this)).scalar_one()

    grant, row = await centre.dba(save)
    daily = centre.accounts["avec.social"].memberships[0].daily_private
    before = open_grant(await directory_of(centre), grant["epoch"], grant["sealed"].blob, member.bytes, daily)
    assert before.number == 1
    await renew(centre, "social")

    def put_back(connection: Connection) -> None:
        connection.execute(insert(key_grant).values(grant))
        connection.execute(update(case_group).where(*this).values(dek=row))

    await centre.dba(put_back)
    with pytest.raises(GrantRefused):
        open_grant(await directory_of(centre), grant["epoch"], grant["sealed"].blob, member.bytes, daily)
    again = await centre.sign_in("avec.social")
    assert ("social", 1) not in await session_keys(centre, again)
    assert "social" in (await again.get(f"/cases/{case}"))["withheld"]


async def test_a_directory_from_before_a_rotation_is_refused(centre: Centre) -> None:
    before = (await directory_of(centre)).epoch
    await renew(centre, "social")

    def roll_back(connection: Connection) -> None:
        org = centre.org("avec")
        for table in (key_grant, key_directory):
            connection.execute(delete(table).where(table.c.org_id == org, table.c.epoch > before))

    await centre.dba(roll_back)
    with pytest.raises(DirectoryRefused):
        await directory_of(centre)
    with pytest.raises(DirectoryRefused):
        await renew(centre, "social")


async def test_a_damaged_key_row_keeps_the_old_key(centre: Centre) -> None:
    """Only its key can tell what it was: it is not destroyed, and the rotation stays due."""
    social = await centre.sign_in("avec.social")
    case, sound = await open_case(social, "social"), await open_case(social, "social")
    this = (case_group.c.case_id == UUID(case), case_group.c.compartment == "social")

    def damage(connection: Connection) -> Sealed:
        row: Sealed = connection.execute(select(case_group.c.dek).where(*this)).scalar_one()
        broken = bytearray(row.blob)
        broken[30] ^= 1
        connection.execute(update(case_group).where(*this).values(dek=Sealed(bytes(broken))))
        return row

    row = await centre.dba(damage)
    with pytest.raises(KeyActRefused) as refused:
        await renew(centre, "social")
    assert refused.value.fault is KeyActFault.ROWS_DAMAGED
    assert [one.reason for one in await due(centre)] == [Reason.UNFINISHED]
    assert (await social.get(f"/cases/{sound}"))["groups"]["social"] == content("social")
    await centre.dba(lambda connection: connection.execute(update(case_group).where(*this).values(dek=row)))
    assert (await renew(centre)).keks == ("social",)
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_a_drop_key_is_due_after_a_month_and_its_old_half_goes_once_nothing_needs_it(
    centre: Centre,
) -> None:
    reception = await centre.sign_in("avec.reception")
    # She cannot read `social`: the record and the key row wait at the drop key.
    case = await open_case(reception)
    assert 0 in await numbers(centre, "social")
    assert await due(centre) == ()
    centre.clock.offset += DROP_KEY_AGE
    assert ("social", Reason.DROP_KEY) in {(one.compartment, one.reason) for one in await due(centre)}
    rotated = await renew(centre)
    assert "social" in rotated.drops
    assert rotated.keks == ()
    assert rotated.destroyed == ()
    directory = await directory_of(centre)
    assert (directory.compartments["social"].kek_no, directory.compartments["social"].drop.number) == (1, 2)
    # The key row was adopted on the way; the old half waits a day for processes that have not learnt the new one.
    assert await numbers(centre, "social") == {1}
    await sweep(centre.deployment)
    org = centre.org("avec")
    assert centre.deployment.directories.known(None, org).compartments["social"].drop.number == 2  # type: ignore[arg-type]
    centre.clock.offset += REPLACED_FOR
    assert ("social", 1) in (await renew(centre)).destroyed
    halves = select(drop_key.c.number).where(drop_key.c.org_id == org, drop_key.c.compartment == "social")
    assert set(await centre.dba(lambda connection: connection.execute(halves).scalars().all())) == {2}
    supervisor = await centre.sign_in("avec.supervisor")
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["identity"] == content("identity")


async def test_an_old_drop_key_stays_while_a_journal_detail_needs_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await open_case(social, "social")
    async with another_process(centre) as other:
        auditor = Credentials("avec.auditor", PASSWORD)
        await rotate(other, "avec", [auditor], Order(CUSTODIAN, ("journal",)))
        centre.clock.offset += REPLACED_FOR
        rotated = await rotate(other, "avec", [auditor])
    assert rotated.destroyed == ()
    created = entries_of(await centre.journal("avec"), "case.create")
    assert created[0]["detail"]["groups"] == ["identity", "intake", "social"]


async def test_a_partner_seals_to_the_newest_drop_key_without_a_new_card(centre: Centre) -> None:
    """Between two organisations months may pass: what was sealed to a key that is destroyed would be lost."""
    case = await open_case(await centre.sign_in("avec.social"), "legal")
    async with another_process(centre) as other:
        jurists = [Credentials("cidff.jurist", PASSWORD)]
        custodian = Credentials("cidff.custodian", PASSWORD)
        for _ in range(2):
            await rotate(other, "cidff", jurists, Order(custodian, ("identity", "intake", "legal")))
            centre.clock.offset += REPLACED_FOR
            destroyed = (await rotate(other, "cidff", jurists)).destroyed
    assert {("identity", 2), ("intake", 2), ("legal", 2)} <= set(destroyed)
    social = await centre.sign_in("avec.social", step_up=True)
    jurist = await centre.sign_in("cidff.jurist")
    handoff, _ = await hand_over(social, case, "identity", "legal")
    arrived = await accept(jurist, handoff)
    assert (await jurist.get(f"/cases/{arrived}"))["groups"]["legal"] == content("legal")


async def test_relation_flags_outlive_a_rotation_of_index_whose_old_key_opens_them_no_more(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    await social.request("PUT", "/me/declaration", 200, json={"family_name": "Lefèvre"})
    before = await open_case(social)
    old = (await centre.dba(lambda connection: connection.execute(select(relation_key.c.wrapped)).one()))[0]
    await renew(centre, "index")
    new = (await centre.dba(lambda connection: connection.execute(select(relation_key.c.wrapped)).one()))[0]
    assert (wrapping_number(old.blob), wrapping_number(new.blob)) == (1, 2)
    body = {"public": "seeking", "identity": {"name_in_use": "Inès", "family_name": "Lefebvre-Lefèvre"}}
    after = str((await social.post("/cases", body))["id"])
    await social.patch(f"/cases/{before}/groups/identity", body["identity"], 1)
    for case in (before, after):
        (entry, *_) = await centre.journal("avec", case=case)
        assert [each["relations"] for each in entry["relations"]] == [["same_surname"]]
    # Without it the rotation moves what there is, and no relation key is made of nothing.
    await centre.dba(lambda connection: connection.execute(delete(relation_key)))
    await renew(centre, "index")
    assert await centre.dba(lambda connection: connection.execute(select(relation_key)).all()) == []
