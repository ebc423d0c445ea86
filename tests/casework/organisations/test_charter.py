"""The charter: without its acceptance nobody works; she signs it herself, and the database can forge neither."""

from typing import Any

import pytest
from sqlalchemy import Connection, delete, update

from casework.organisations.charters import publish_at_terminal
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.removal import remove
from casework.organisations.tables import charter, key_directory
from crypto.directory_agreements import CharterAcceptedBody
from crypto.directory_entries import EntrySigner, sign_entry
from crypto.errors import DirectoryRefused
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.organisations.test_rotation import CUSTODIAN, another_process
from tests.casework.story import entries_of, new_case, open_case

TEXT = "Charte d’accueil.\n1. Accueillir sans condition.\n"
NEXT = {"text": f"{TEXT}2. Garder le secret.\n", "reason": "Article 2."}


async def publish(centre: Centre, text: str = TEXT) -> Client:
    """A custodian who has just put a charter in force, and has accepted it."""
    custodian = await centre.sign_in("avec.custodian", step_up=True)
    await custodian.post("/charter", {"text": text, "reason": "Première version."})
    await accept(custodian)
    return custodian


async def accept(client: Client) -> None:
    shown = await client.get("/charter")
    await client.post("/charter/acceptance", {"version": shown["version"]}, 200)


async def journal(centre: Centre, action: str) -> list[dict[str, Any]]:
    """What the auditor reads of an action; she accepts first."""
    await accept(await centre.sign_in("avec.auditor", step_up=True))
    return await centre.journal("avec", action=action)


async def test_without_a_charter_nothing_is_asked(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    nothing = {"version": None, "text": None, "published_at": None, "accepted": True}
    assert await social.get("/charter") == nothing
    await social.refused("POST", "/charter/acceptance", 409, "charter_not_in_force", json={"version": 1})
    await open_case(social)


async def test_who_has_not_accepted_may_only_read_and_accept_it_see_who_she_is_and_sign_out(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    await publish(centre)
    for method, path, body in (
        ("GET", "/cases", None),
        ("GET", f"/cases/{case}", None),
        ("POST", "/cases", new_case("social")),
        ("POST", "/search", {"name": "Exemple"}),
        ("GET", "/handoffs?box=sent", None),
        ("GET", "/me/words", None),
        ("GET", "/me/declaration", None),
        ("POST", "/me/password", {"password": PASSWORD, "new_password": PASSWORD}),
        ("POST", "/me/keys", {"password": PASSWORD}),
    ):
        await social.refused(method, path, 403, "charter_not_accepted", json=body)
    assert (await social.get("/charter"))["text"] == TEXT
    assert (await social.get("/me"))["login"] == "avec.social"
    await social.request("DELETE", "/sessions/current", 204)
    again = await centre.sign_in("avec.social", step_up=True)
    await again.refused("GET", "/cases", 403, "charter_not_accepted")
    await accept(again)
    assert [item["id"] for item in (await again.get("/cases"))["items"]] == [case]
    # Nobody of another organisation is asked.
    await (await centre.sign_in("cidff.jurist")).get("/cases")
    refused = entries_of(await journal(centre, "charter.require"), "charter.require", "denied")
    assert {item["entry"]["actor"] for item in refused} == {str(centre.member("avec.social"))}
    assert {item["entry"]["reason"] for item in refused} == {"charter_not_accepted"}
    assert len(refused) == 10


async def test_publication_and_acceptance_are_journaled_and_signed(centre: Centre) -> None:
    await publish(centre)
    social = await centre.sign_in("avec.social", step_up=True)
    await accept(social)
    # Once more changes nothing, and says nothing.
    await social.post("/charter/acceptance", {"version": 1}, 200)
    (published,) = await journal(centre, "charter.publish")
    assert published["entry"]["actor"] == str(centre.member("avec.custodian"))
    assert published["detail"] == {"version": 1, "reason": "Première version."}
    assert published["entry"]["basis"]["policies"] == ["base.custodian"]
    signed = await centre.journal("avec", action="charter.accept")
    people = [str(centre.member(f"avec.{name}")) for name in ("auditor", "social", "custodian")]
    assert [(item["entry"]["actor"], item["entry"]["count"]) for item in signed] == [(p, 1) for p in people]
    assert {item["entry"]["auth"] for item in signed} == {"step_up"}
    directory = await centre.learn("avec")
    assert directory.has_accepted(centre.member("avec.social").bytes)
    assert not directory.has_accepted(centre.member("avec.jurist").bytes)
    # Whom she still has to remind, the custodian sees.
    listed = (await (await centre.sign_in("avec.custodian")).get("/members"))["items"]
    accepted = {one["login"] for one in listed if one["charter_accepted"]}
    assert accepted == {"avec.auditor", "avec.custodian", "avec.social"}


async def test_an_acceptance_without_her_password_is_refused(centre: Centre) -> None:
    await publish(centre)
    social = await centre.sign_in("avec.social")
    await social.refused("POST", "/charter/acceptance", 403, "step_up_needed", json={"version": 1})
    await social.refused("GET", "/cases", 403, "charter_not_accepted")
    denied = entries_of(await journal(centre, "charter.accept"), "charter.accept", "denied")
    assert [item["entry"]["reason"] for item in denied] == ["step_up"]


async def test_a_next_version_is_accepted_anew_and_the_one_before_no_more(centre: Centre) -> None:
    custodian = await publish(centre)
    social = await centre.sign_in("avec.social", step_up=True)
    await accept(social)
    await custodian.refused("POST", "/charter", 409, "charter_in_force", json={**NEXT, "text": TEXT})
    assert await custodian.post("/charter", NEXT) == {"version": 2}
    for client in (custodian, social):
        await client.refused("GET", "/members", 403, "charter_not_accepted")
    await social.refused("POST", "/charter/acceptance", 409, "charter_not_in_force", json={"version": 1})
    assert (await social.get("/charter"))["text"] == NEXT["text"]
    await accept(social)
    await social.get("/cases")


async def test_a_charter_is_put_in_force_by_a_custodian_with_her_password_alone(centre: Centre) -> None:
    for login, code in (("avec.supervisor", "forbidden"), ("avec.dpo", "forbidden")):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("POST", "/charter", 403, code, json=NEXT)
    custodian = await centre.sign_in("avec.custodian")
    await custodian.refused("POST", "/charter", 403, "step_up_needed", json=NEXT)
    assert (await custodian.get("/charter"))["version"] is None
    denied = entries_of(await centre.journal("avec"), "member.manage", "denied")
    assert len(denied) == 3


async def test_a_text_that_the_database_changed_is_shown_to_nobody_and_accepted_by_nobody(
    centre: Centre,
) -> None:
    await publish(centre)
    await centre.dba(lambda connection: connection.execute(update(charter).values(text=b"Serve.")))
    social = await centre.sign_in("avec.social", step_up=True)
    await social.refused("GET", "/charter", 500, "sealed_data_damaged")
    await social.refused("POST", "/charter/acceptance", 500, "sealed_data_damaged", json={"version": 1})
    assert not (await centre.learn("avec")).has_accepted(centre.member("avec.social").bytes)


async def test_a_charter_that_is_taken_out_of_the_database_is_still_asked_for(centre: Centre) -> None:
    """A floor outside the database knows the newest directory: the demand does not go with a row."""
    await publish(centre)
    directory = await centre.learn("avec")

    def take_out(connection: Connection) -> None:
        connection.execute(delete(charter))
        last = key_directory.c.epoch >= directory.epoch - 1
        connection.execute(delete(key_directory).where(key_directory.c.org_id == centre.org("avec"), last))

    await centre.dba(take_out)
    with pytest.raises(DirectoryRefused):
        await centre.learn("avec")


async def test_nobody_accepts_for_another(centre: Centre) -> None:
    """Whoever writes to the database has no key of hers, and a colleague's signature is not hers."""
    await publish(centre)
    directory = await centre.learn("avec")
    assert directory.charter is not None
    colleague = centre.accounts["avec.jurist"].memberships[0]
    body = CharterAcceptedBody(1, directory.charter.text_hash)
    entry = sign_entry(
        directory.org,
        directory.epoch + 1,
        directory.head,
        body,
        EntrySigner(centre.member("avec.social").bytes, colleague.signing),
    )
    with pytest.raises(DirectoryRefused):
        directory.extend([entry])


async def test_at_the_terminal_too_nobody_signs_before_she_has_accepted(centre: Centre) -> None:
    custodian = Credentials("avec.custodian", PASSWORD)
    async with another_process(centre) as other:
        assert await publish_at_terminal(other, "avec", TEXT, CUSTODIAN) == 1
        for act in (
            publish_at_terminal(other, "avec", NEXT["text"], custodian),
            remove(other, "avec", "avec.psychologist", custodian),
        ):
            with pytest.raises(KeyActRefused) as refused:
                await act
            assert refused.value.fault is KeyActFault.CHARTER_NOT_ACCEPTED
    await accept(await centre.sign_in("avec.custodian", step_up=True))
    async with another_process(centre) as other:
        with pytest.raises(KeyActRefused) as refused:
            await publish_at_terminal(other, "avec", TEXT, custodian)
        assert refused.value.fault is KeyActFault.CHARTER_IN_FORCE
        assert await publish_at_terminal(other, "avec", NEXT["text"], custodian) == 2
    entries = entries_of(await journal(centre, "charter.publish"), "charter.publish")
    assert [item["entry"]["reason"] for item in entries if item["outcome"] == "denied"] == [
        "charter_in_force",
        "charter_not_accepted",
    ]
    assert [item["detail"] for item in entries if item["outcome"] == "allowed"] == [
        {"version": 2},
        {"version": 1},
    ]


async def test_each_role_of_a_person_accepts_for_itself(centre: Centre) -> None:
    await publish(centre)
    worker = await centre.sign_in("avec.double", step_up=True, role="worker")
    await accept(worker)
    await worker.get("/cases")
    supervisor = await centre.sign_in("avec.double", role="supervisor")
    await supervisor.refused("GET", "/cases", 403, "charter_not_accepted")
