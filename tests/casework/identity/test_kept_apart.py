"""One role a session; and a person who works in two organisations is two people to both of them."""

import json
from datetime import timedelta

from sqlalchemy import select, update

from casework.identity.tables import membership, session
from policies.grants import granted_groups
from policies.vocabulary import Profession, Role
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.story import PASSPHRASE, entries_of, hand_over, open_case

SEVERAL = "avec.double"


async def roles(centre: Centre) -> tuple[Client, Client]:
    """One person's two sessions: as a worker, and as a supervisor."""
    return await centre.sign_in(SEVERAL, role="worker"), await centre.sign_in(SEVERAL, role="supervisor")


async def test_a_session_holds_the_keys_of_its_role_and_none_of_her_other(centre: Centre) -> None:
    engine = await centre.engine("avec")
    as_worker, as_supervisor = await roles(centre)
    worker, supervisor = await as_worker.get("/me"), await as_supervisor.get("/me")
    assert (worker["login"], worker["role"]) == (SEVERAL, "worker")
    assert (supervisor["login"], supervisor["role"]) == (SEVERAL, "supervisor")
    assert worker["member_id"] != supervisor["member_id"]
    assert set(worker["compartments"]) == granted_groups(engine, Role.WORKER, frozenset({Profession.SOCIAL}))
    assert set(supervisor["compartments"]) == granted_groups(engine, Role.SUPERVISOR, frozenset())


async def test_what_one_role_may_do_a_session_of_the_other_is_refused(centre: Centre) -> None:
    as_worker, as_supervisor = await roles(centre)
    case = await open_case(as_worker)
    mine = {"members": [(await as_worker.get("/me"))["member_id"]]}
    path = f"/cases/{case}/assignments"
    await as_worker.refused("PUT", path, 403, "forbidden", json=mine)
    await as_supervisor.request("PUT", path, 200, json=mine)
    denied = entries_of(await centre.journal("avec"), "case.assign", "denied")
    assert [item["entry"]["role"] for item in denied] == ["worker"]


async def test_a_session_takes_no_other_role_whoever_asks(centre: Centre) -> None:
    as_worker, _ = await roles(centre)
    other = {"code": centre.code(SEVERAL), "role": "supervisor"}
    await as_worker.refused("POST", "/sessions/current/second-factor", 409, "session_complete", json=other)
    assert (await as_worker.get("/me"))["role"] == "worker"
    # Nor by a row that is pointed at her other membership: its keys were sealed for this one.
    worker, supervisor = (
        select(membership.c.id)
        .where(membership.c.account_id == centre.accounts[SEVERAL].id, membership.c.role == role)
        .scalar_subquery()
        for role in ("worker", "supervisor")
    )
    pointed = update(session).where(session.c.member_id == worker).values(member_id=supervisor)
    await centre.dba(lambda connection: connection.execute(pointed))
    await as_worker.refused("GET", "/me", 401, "not_signed_in")


async def two_organisations(centre: Centre) -> tuple[Client, Client]:
    """A social worker of AVEC who is one of the CIDFF too: a login, keys and a second factor in each."""
    return await centre.sign_in("avec.social"), await centre.sign_in("cidff.social")


async def test_who_works_in_two_organisations_opens_nothing_of_the_one_in_the_other(centre: Centre) -> None:
    avec, cidff = await two_organisations(centre)
    here, there = await open_case(avec), await open_case(cidff)
    await avec.refused("GET", f"/cases/{there}", 404, "not_found")
    await cidff.refused("GET", f"/cases/{here}", 404, "not_found")
    for client, own in ((avec, here), (cidff, there)):
        assert [item["id"] for item in (await client.get("/cases"))["items"]] == [own]
        found = await client.post("/search", {"name": "canari identity"}, 200)
        assert {item["case_id"] for item in found["items"]} <= {own}


async def test_a_session_of_one_organisation_is_carried_into_no_other(centre: Centre) -> None:
    avec, cidff = await two_organisations(centre)
    theirs = (await cidff.get("/me"))["member_id"]
    hers = session.c.member_id == centre.member("avec.social")
    moved = (
        update(session)
        .where(hers)
        .values(
            org_id=centre.org("cidff"),
            account_id=centre.accounts["cidff.social"].id,
            member_id=centre.member("cidff.social"),
        )
    )
    await centre.dba(lambda connection: connection.execute(moved))
    await avec.refused("GET", "/me", 401, "not_signed_in")
    assert (await cidff.get("/me"))["member_id"] == theirs


async def test_what_she_does_for_one_organisation_stands_in_its_journal_alone(centre: Centre) -> None:
    """Her other login is not named there, nor anything that would tie the two: source included, it is a hash."""
    avec, cidff = await two_organisations(centre)
    await open_case(avec)
    await open_case(cidff)
    members = {slug: str(centre.member(f"{slug}.social")) for slug in ("avec", "cidff")}
    for slug, other in (("avec", "cidff"), ("cidff", "avec")):
        told = json.dumps(await centre.journal(slug))
        assert members[slug] in told
        assert members[other] not in told
        assert f"{other}.social" not in told


async def test_what_ends_in_one_organisation_goes_on_in_the_other(centre: Centre) -> None:
    avec, cidff = await two_organisations(centre)
    await avec.post("/me/password", {"password": PASSWORD, "new_password": PASSPHRASE}, 204)
    await centre.sign_in("avec.social", password=PASSPHRASE)
    await cidff.get("/cases")
    await centre.sign_in("cidff.social", password=PASSWORD)
    signer = await centre.sign_in("avec.custodian", step_up=True)
    now = centre.clock.now()
    until = now + timedelta(days=14)
    away = {"from": now.isoformat(), "until": until.isoformat(), "reason": "Congés."}
    await signer.request("PUT", f"/members/{centre.member('avec.social')}/leave", 200, json=away)
    await avec.refused("GET", "/me", 401, "not_signed_in")
    await cidff.get("/cases")


async def test_a_handoff_between_her_two_organisations_needs_its_acceptance_there(centre: Centre) -> None:
    """She sends it as one, and is not thereby its receiver."""
    avec = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(avec, "social")
    handoff, _ = await hand_over(avec, case, "identity", "social")
    cidff = await centre.sign_in("cidff.social")
    assert (await cidff.get("/cases"))["items"] == []
    await avec.refused("POST", f"/handoffs/{handoff}/acceptance", 404, "not_found", json={})
