"""Another role or other professions: what is no longer hers is out of her hands at once, whoever writes where."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, insert, select, update

from casework.identity.members import Position, SecrecyBasis
from casework.identity.tables import account, membership
from casework.organisations.due import Reason
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.positions import Change, change_at_terminal
from casework.organisations.rotation import rotate
from policies.vocabulary import Profession, Role
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.organisations.test_rotation import CUSTODIAN, another_process, directory_of, due
from tests.casework.story import entries_of, open_case

LOGIN = "avec.psychologist"
RECEPTION = {"role": "reception", "professions": [], "secrecy_basis": "mission", "reason": "Change de poste."}
PSYCHOLOGIST = {**RECEPTION, "role": "worker", "professions": ["psychologist"], "secrecy_basis": "profession"}


def path(centre: Centre, login: str = LOGIN) -> str:
    return f"/members/{centre.member(login)}/position"


async def put(client: Client, at: str, body: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = (await client.request("PUT", at, 200, json=body)).json()
    return changed


async def custodian(centre: Centre, **more: Any) -> Client:
    return await centre.sign_in("avec.custodian", **{"step_up": True, **more})


async def test_a_narrowed_role_opens_no_more_of_what_it_lost_and_its_sessions_end(centre: Centre) -> None:
    before = await centre.sign_in(LOGIN)
    case = await open_case(before, "health")
    held = set((await before.get("/me"))["compartments"])
    changed = await put(await custodian(centre), path(centre), RECEPTION)
    lost = set(changed["due"])
    assert {"health", "social"} <= lost < held
    assert changed["waiting"] == []
    for asked in ("/me", "/cases", f"/cases/{case}"):
        await before.refused("GET", asked, 401, "not_signed_in")
    after = await centre.sign_in(LOGIN)
    me = await after.get("/me")
    assert (me["role"], me["professions"]) == ("reception", [])
    # The keys themselves: no policy that is replaced gives them.
    assert set(me["compartments"]) == held - lost
    directory = await directory_of(centre)
    assert not any(directory.holds(centre.member(LOGIN).bytes, group) for group in lost)


async def test_what_a_narrowed_role_knew_is_due_until_holders_have_renewed_it(centre: Centre) -> None:
    lost = set((await put(await custodian(centre), path(centre), RECEPTION))["due"])
    assert {(one.compartment, one.reason) for one in await due(centre)} == {
        (compartment, Reason.REMOVED) for compartment in lost
    }
    holders = [Credentials(login, PASSWORD) for login in ("avec.social", "avec.jurist", "avec.supervisor")]
    async with another_process(centre) as other:
        rotated = await rotate(other, "avec", holders)
    assert set(rotated.keks) | {one.compartment for one in rotated.waiting} == lost
    assert rotated.keks
    assert {one.compartment for one in await due(centre)} == lost - set(rotated.keks)


async def test_a_widened_role_waits_for_a_holder_who_heard_her_words(centre: Centre) -> None:
    """And one that was narrowed and is widened again is granted anew."""
    signer = await custodian(centre)
    await put(signer, path(centre), RECEPTION)
    again = await put(signer, path(centre), PSYCHOLOGIST)
    assert {"health", "social"} <= set(again["waiting"])
    assert again["due"] == []
    member = await centre.sign_in(LOGIN)
    assert set((await member.get("/me"))["compartments"]).isdisjoint(again["waiting"])
    words = " ".join((await member.get("/me/words"))["words"])
    holder = await centre.sign_in("avec.double", step_up=True, role="worker")
    grants = f"/members/{centre.member(LOGIN)}/grants"
    await holder.refused("POST", grants, 403, "words_refused", json={"words": "un deux trois"})
    granted = await holder.post(grants, {"words": words}, 200)
    assert {"social", "identity"} <= set(granted["granted"])
    assert "social" in (await member.get("/me"))["compartments"]


async def test_the_change_is_journaled_with_what_it_was_and_why(centre: Centre) -> None:
    changed = await put(await custodian(centre), path(centre), RECEPTION)
    (entry,) = await centre.journal("avec", action="member.change")
    assert entry["entry"]["actor"] == str(centre.member("avec.custodian"))
    assert entry["entry"]["basis"]["policies"] == ["base.custodian"]
    assert entry["detail"] == {
        "member": str(centre.member(LOGIN)),
        "before": "worker psychologist",
        "after": "reception",
        "secrecy_basis": "mission",
        "waiting": [],
        "ended": changed["due"],
        "reason": "Change de poste.",
    }


async def test_nobody_else_changes_a_position_and_nobody_her_own(centre: Centre) -> None:
    for login in ("avec.supervisor", "avec.dpo", "avec.auditor", LOGIN):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("PUT", path(centre), 403, "forbidden", json=RECEPTION)
    signer = await custodian(centre)
    await signer.refused("PUT", path(centre, "avec.custodian"), 403, "forbidden", json=RECEPTION)
    elsewhere = await centre.sign_in("cidff.custodian", step_up=True)
    await elsewhere.refused("PUT", path(centre), 404, "not_found", json=RECEPTION)
    unconfirmed = await custodian(centre, step_up=False)
    await unconfirmed.refused("PUT", path(centre), 403, "step_up_needed", json=RECEPTION)
    denied = entries_of(await centre.journal("avec"), "member.manage", "denied")
    assert len(denied) == 6
    hidden = await centre.journal("cidff", action="member.change")
    assert [(item["outcome"], item["entry"]["reason"]) for item in hidden] == [("denied", "not_found")]
    assert (await (await centre.sign_in(LOGIN)).get("/me"))["professions"] == ["psychologist"]


async def test_a_role_that_she_holds_already_is_refused(centre: Centre) -> None:
    """One role a session: with two memberships of one role nobody could choose."""
    body = {**RECEPTION, "role": "supervisor"}
    refused = await (await custodian(centre)).request("PUT", path(centre, "avec.double"), 422, json=body)
    assert refused.json()["errors"] == [{"field": "role", "code": "already_held"}]


async def test_a_role_that_is_written_into_the_tables_alone_is_nobodys(centre: Centre) -> None:
    member = await centre.sign_in(LOGIN)
    mine = membership.c.id == centre.member(LOGIN)
    planted = update(membership).where(mine).values(role="supervisor", professions="")
    await centre.dba(lambda connection: connection.execute(planted))
    await member.refused("GET", "/cases", 401, "not_signed_in")
    await (await centre.sign_in(LOGIN)).refused("GET", "/cases", 401, "not_signed_in")


async def test_who_is_a_member_in_the_tables_alone_is_given_no_position(centre: Centre) -> None:
    """A custodian does not certify whom a database administrator put in."""
    planted = uuid4()

    def plant(connection: Connection) -> None:
        row = connection.execute(select(membership).where(membership.c.id == centre.member(LOGIN))).one()
        connection.execute(insert(membership).values(**row._asdict() | {"id": planted, "role": "supervisor"}))

    await centre.dba(plant)
    signer = await custodian(centre)
    await signer.refused("PUT", f"/members/{planted}/position", 404, "not_found", json=RECEPTION)
    denied = await centre.journal("avec", action="member.change")
    assert [(item["outcome"], item["entry"]["reason"]) for item in denied] == [("denied", "not_found")]
    assert [item["detail"]["tried"] for item in denied] == [{"member": str(planted)}]


async def change(centre: Centre, login: str, custodian: Credentials = CUSTODIAN) -> Change:
    position = Position(Role.WORKER, frozenset({Profession.SOCIAL}))
    async with another_process(centre) as other:
        return await change_at_terminal(other, "avec", login, position, SecrecyBasis.CONTRACT, custodian)


async def test_at_the_terminal_the_same_holds(centre: Centre) -> None:
    for login, custodian, fault in (
        ("avec.custodian", CUSTODIAN, KeyActFault.HERSELF),
        ("avec.nobody", CUSTODIAN, KeyActFault.UNKNOWN_LOGIN),
        ("cidff.jurist", CUSTODIAN, KeyActFault.UNKNOWN_LOGIN),
        ("avec.double", CUSTODIAN, KeyActFault.SEVERAL_ROLES),
        (LOGIN, Credentials("avec.supervisor", PASSWORD), KeyActFault.MAY_NOT_CERTIFY),
        (LOGIN, Credentials("avec.custodian", "wrong"), KeyActFault.WRONG_PASSWORD),
    ):
        with pytest.raises(KeyActRefused) as refused:
            await change(centre, login, custodian)
        assert refused.value.fault is fault
    session = await centre.sign_in(LOGIN)
    changed = await change(centre, LOGIN)
    assert (changed.ended, changed.waiting) == (("health",), ("legal",))
    await session.refused("GET", "/me", 401, "not_signed_in")
    assert (await (await centre.sign_in(LOGIN)).get("/me"))["professions"] == ["social"]
    entries = await centre.journal("avec", action="member.change")
    assert [item["entry"]["reason"] for item in entries] == [
        None,
        "wrong_password",
        "may_not_certify",
        "several_roles",
        "unknown_login",
        "unknown_login",
        "herself",
    ]
    assert entries[0]["detail"]["before"] == "worker psychologist"


async def test_on_what_her_secrecy_rests_is_recorded_and_a_closed_vocabulary(centre: Centre) -> None:
    """Code pénal 226-13: it is the person's. Nobody has said it of who was there before."""
    signer = await custodian(centre)

    async def listed() -> Any:
        members = (await signer.get("/members"))["items"]
        return next(one["secrecy_basis"] for one in members if one["id"] == str(centre.member(LOGIN)))

    assert await listed() is None
    wrong = {**PSYCHOLOGIST, "secrecy_basis": "habit"}
    refused = await signer.request("PUT", path(centre), 422, json=wrong)
    assert refused.json()["errors"] == [{"field": "secrecy_basis", "code": "not_in_vocabulary"}]
    member = await centre.sign_in(LOGIN)
    changed = await put(signer, path(centre), PSYCHOLOGIST)
    assert (changed["waiting"], changed["due"]) == ([], [])
    assert await listed() == "profession"
    # Nothing of her keys changed: she goes on.
    await member.get("/cases")
    planted = update(account).values(secrecy_basis="habit")
    with pytest.raises(Exception, match="secrecy_basis"):
        await centre.dba(lambda connection: connection.execute(planted))
