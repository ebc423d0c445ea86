"""Erasure: two persons, everything of the case in both stores, a certificate that names nobody, clear refusals."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, MetaData, delete, select
from sqlalchemy.exc import DBAPIError

import casework.schema
from audit.tables import metadata as audit_metadata
from casework.cases.tables import case_file
from casework.database import metadata
from casework.rights.erasing import finish_erasures
from casework.rights.tables import erasure
from casework.shreds import shred, shreds_metadata
from casework.upkeep import sweep
from tests.casework.administrator import Administrator
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.restricted import restrict
from tests.casework.rights.requests import REASON, approval, approve, erase, prepare, wanted
from tests.casework.story import accept, denials, draft, entries_of, hand_over, note, open_case

on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])


async def _rich_case(centre: Centre) -> tuple[Client, str, list[str]]:
    """A case with something in every table; returns also the ids that stood in them."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social", "legal", "contact")
    noted = await note(social, case, "accompagnement_social", "social")
    corrected = {"content": {"social": "Corrigé."}, "reason": "Erreur."}
    await social.post(f"/follow-ups/{noted}/corrections", corrected, headers={"if-match": '"1"'})
    composed = str(uuid4())
    body = {"case_id": case, "content": {"text": "À finir."}}
    await social.request("PUT", f"/drafts/{composed}", 200, json=body, headers={"if-none-match": "*"})
    sent, given = await hand_over(social, case, "identity", "legal")
    await accept(await centre.sign_in("cidff.jurist"), sent)
    drafted = await draft(social, case, "identity")
    reader = {"group": "social", "text": f"{CANARY}-note", "readers": [str(centre.member("avec.jurist"))]}
    secret = await social.post(f"/cases/{case}/notes", reader, headers={"idempotency-key": "n"})
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    glass = {"reason": "Danger.", "purpose": "support"}
    await supervisor.post(f"/cases/{case}/break-glass", glass, headers={"idempotency-key": "g"})
    return social, case, [case, noted, composed, secret["id"], sent, given, drafted["id"]]


async def test_an_erasure_takes_everything_of_the_case_and_nothing_of_the_others(centre: Centre) -> None:
    social, case, ids = await _rich_case(centre)
    other = await open_case(social, "social")
    await note(social, other, "accompagnement_social", "social")
    await erase(centre, social, case)
    left = await centre.dba(lambda connection: _where_found(connection, [UUID(one).bytes for one in ids]))
    # The neutral row of a handoff names nobody; the partner's own side is hers.
    assert left.keys() <= {"handoff", "handoff_side", "audit_inbox", "audit_entry"}, left
    assert await _halves(centre, case) == 0
    # The store's own list names her by a mark that needs the pepper.
    store = Administrator(centre.urls.shreds)
    assert (
        await store.run(lambda connection: _where_found(connection, [UUID(case).bytes], shreds_metadata))
        == {}
    )
    assert await store.value("SELECT count(*) FROM erased_mark") == 1
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    assert (await social.get(f"/cases/{other}"))["groups"]["social"]
    assert await _halves(centre, other) == 9


async def test_parts_that_the_partner_has_not_opened_are_destroyed_and_she_is_told(centre: Centre) -> None:
    social, case, _ = await _rich_case(centre)
    await erase(centre, social, case)
    parts = "SELECT count(*) FROM handoff_part"
    assert await Administrator(centre.urls.owner).value(parts) == 0
    told = entries_of(await centre.journal("cidff"), "handoff.withdrawn")
    assert [entry["entry"]["subjects"] for entry in told] == [[]]


async def test_a_received_case_takes_its_handoff_with_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    sent, _ = await hand_over(social, await open_case(social, "legal"), "identity", "legal")
    jurist = await centre.sign_in("cidff.jurist")
    case = await accept(jurist, sent)
    code = "handoff_open"
    await jurist.refused("POST", "/rights-requests", 409, code, json=wanted(case))
    await jurist.post(f"/handoffs/{sent}/outcome", {"state": "completed"}, 200)
    request = await prepare(jurist, case)
    await approve(await centre.sign_in("cidff.dpo", step_up=True), request, case)
    query = "SELECT count(*) FROM handoff_part"
    assert await Administrator(centre.urls.owner).value(query) == 0
    assert await Administrator(centre.urls.owner).value("SELECT count(*) FROM handoff_side") == 1
    assert (await jurist.get("/handoffs?box=received"))["items"] == []
    # The sender still sees what she sent.
    assert len((await social.get("/handoffs?box=sent"))["items"]) == 1


async def test_nothing_leads_from_the_journal_to_an_erased_person_and_the_tree_still_verifies(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    before = await centre.journal("avec", case=case)
    person = entries_of(before, "case.create")[0]["entry"]["subjects"][0]["p"]
    await erase(centre, social, case)
    assert await centre.journal("avec", case=case) == []
    approved = entries_of(await centre.journal("avec"), "erasure.approve")[0]["entry"]
    assert approved["subjects"] == []
    assert person not in str(approved)
    auditor = await centre.sign_in("avec.auditor")
    await auditor.get(f"/journal/entries/{before[0]['id']}/proof")
    assert case not in str(await centre.dba(_all_of("erasure")))


async def test_the_certificate_says_what_when_and_on_what_and_names_nobody(centre: Centre) -> None:
    social, case, _ = await _rich_case(centre)
    request = await erase(centre, social, case)
    dpo = await centre.sign_in("avec.dpo")
    view = await dpo.get(f"/rights-requests/{request}")
    assert (view["state"], view["case_id"], view["reason"]) == ("complete", None, None)
    given = await dpo.get(f"/rights-requests/{request}/certificate")
    assert given["destroyed"] == {
        "groups": 8,
        "follow_ups": 1,
        "notes": 1,
        "drafts": 1,
        "consents": 1,
        "handoffs": 2,
        "unopened_parts": 0,
        "assignments": 2,
        "halves": 9,
    }
    assert (given["prepared_by"], given["approved_by"], given["basis"]) == ("worker", "dpo", "objection")
    assert len(given["groups"]) == 8
    reaches = centre.clock.now() + timedelta(days=30)
    assert given["complete_after"][:10] == f"{reaches:%Y-%m-%d}"
    assert f"{reaches:%d/%m/%Y}" in given["text"]
    entries = await centre.journal("avec", action="erasure.approve")
    assert given["rests_on"]["entry"] == entries[0]["id"]
    assert given["rests_on"]["entry"] in given["text"]
    for word in (case, str(centre.member("avec.social")), str(centre.member("avec.dpo")), "canari"):
        assert word not in str(given)


async def test_the_reason_is_shown_to_the_dpo_and_goes_with_the_case(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    assert (await dpo.get(f"/rights-requests/{request}"))["reason"] == REASON
    # Who wrote it holds no key of the journal.
    assert (await social.get(f"/rights-requests/{request}"))["reason"] is None
    await approve(dpo, request, case)
    assert (await dpo.get(f"/rights-requests/{request}"))["reason"] is None
    motives = select(erasure.c.motive)
    assert await centre.dba(lambda connection: connection.execute(motives).scalars().all()) == [None]


async def test_nobody_approves_her_own_erasure_nor_under_another_role(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    request = await prepare(social, case)
    path = f"/rights-requests/{request}/approval"
    await social.refused("POST", path, 403, "forbidden", json=approval(case))
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    # One person with two roles: the worker's membership is of the officer's own account.
    await Administrator(centre.urls.owner).sql(
        "UPDATE membership SET account_id ="
        " (SELECT account_id FROM membership AS own WHERE own.role = 'dpo' AND own.org_id = membership.org_id)"
        " WHERE id = (SELECT prepared_by FROM erasure)"
    )
    await dpo.refused("POST", path, 403, "forbidden", json=approval(case))
    denied = await denials(centre, "avec", "erasure.approve")
    assert [entry["entry"]["basis"]["policies"] for entry in denied] == [["base.foureyes"], ["base.foureyes"]]
    assert await _halves(centre, case) == 9


async def test_whoever_prepared_it_and_lost_the_case_is_told_no_more_of_it(centre: Centre) -> None:
    social, dpo = await centre.sign_in("avec.social"), await centre.sign_in("avec.dpo", step_up=True)
    case, other = [await open_case(social) for _ in range(2)]
    request, followed = await prepare(social, case), await prepare(social, other)
    await restrict(
        await centre.sign_in("avec.supervisor", step_up=True), case, "avec.jurist", "avec.psychologist"
    )
    until = (centre.clock.now() + timedelta(days=30)).isoformat()
    await dpo.post(f"/rights-requests/{request}/refusal", {"ground": "legal_hold", "until": until}, 200)
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    await social.refused("GET", f"/rights-requests/{request}", 404, "not_found")
    assert [item["id"] for item in (await social.get("/rights-requests"))["items"]] == [followed]
    assert (await dpo.get(f"/rights-requests/{request}"))["ground"] == "legal_hold"
    denied = await denials(centre, "avec", "erasure.read")
    assert [entry["entry"]["reason"] for entry in denied] == ["not_found"]
    # What is gone is restricted to nobody: she follows it to its certificate.
    await approve(dpo, followed, other)
    assert (await social.get(f"/rights-requests/{followed}"))["state"] == "complete"


async def test_an_approval_needs_the_password_again(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("avec.dpo")
    path, body = f"/rights-requests/{request}/approval", approval(case)
    problem = await dpo.refused("POST", path, 403, "step_up_needed", json=body)
    assert problem["advice"] == ["step_up"]
    assert (await social.get(f"/cases/{case}"))["status"] == "open"
    assert (await denials(centre, "avec", "erasure.approve"))[0]["entry"]["reason"] == "policy"


async def test_a_member_without_the_right_prepares_nothing(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    for login, status, code in (
        ("avec.reception", 403, "forbidden"),
        ("avec.jurist", 404, "not_found"),
        ("avec.dpo", 404, "not_found"),
        ("avec.custodian", 404, "not_found"),
        ("cidff.supervisor", 404, "not_found"),
    ):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("POST", "/rights-requests", status, code, json=wanted(case))
    assert await _requests(centre) == 0
    assert len(await denials(centre, "avec", "case.erasure_prepare")) == 1


async def test_another_organisations_request_is_neither_seen_nor_decided(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("cidff.dpo", step_up=True)
    path = f"/rights-requests/{request}"
    for method, suffix, body in (
        ("GET", "", None),
        ("GET", "/certificate", None),
        ("POST", "/approval", approval(case)),
        ("POST", "/refusal", {"ground": "not_entitled"}),
    ):
        await dpo.refused(method, path + suffix, 404, "not_found", json=body)
    assert (await dpo.get("/rights-requests"))["items"] == []
    assert len(await denials(centre, "cidff", "erasure.approve")) == 2
    colleague = await centre.sign_in("avec.jurist")
    await colleague.refused("GET", path, 404, "not_found")
    assert (await colleague.get("/rights-requests"))["items"] == []
    assert [item["id"] for item in (await social.get("/rights-requests"))["items"]] == [request]


async def test_a_replayed_approval_destroys_nothing_more(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    path, body, key = f"/rights-requests/{request}/approval", approval(case), {"idempotency-key": "k"}
    await dpo.post(path, body, 200, headers=key)
    again = await dpo.post(path, body, 200, headers=key)
    assert again["state"] == "complete"
    await dpo.refused("POST", path, 409, "wrong_state", json=body)
    refusal = {"ground": "not_entitled"}
    await dpo.refused("POST", f"/rights-requests/{request}/refusal", 409, "wrong_state", json=refusal)
    assert len(entries_of(await centre.journal("avec"), "erasure.approve", "allowed")) == 1


async def test_another_basis_than_the_prepared_one_is_refused(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    body = {**approval(case), "basis": "unlawful"}
    problem = await dpo.refused("POST", f"/rights-requests/{request}/approval", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "basis", "code": "not_what_was_prepared"}]
    await social.get(f"/cases/{case}")


@pytest.mark.parametrize("ground", ["legal_hold", "retention_duty"])
async def test_a_duty_to_keep_refuses_every_request_until_it_ends(centre: Centre, ground: str) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    await social.refused("POST", "/rights-requests", 409, "already_requested", json=wanted(case))
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    until = centre.clock.now() + timedelta(minutes=10)
    path = f"/rights-requests/{request}/refusal"
    for wrong in (
        {"ground": ground},
        {"ground": ground, "until": "2001-01-01T00:00:00Z"},
        {"ground": ground, "until": "2099-01-01T00:00:00Z"},
        {"ground": "not_entitled", "until": until.isoformat()},
    ):
        await dpo.refused("POST", path, 422, "bad_input", json=wrong)
    refused = await dpo.post(path, {"ground": ground, "until": until.isoformat()}, 200)
    assert (refused["state"], refused["ground"], refused["reason"]) == ("refused", ground, None)
    problem = await social.refused("POST", "/rights-requests", 409, ground, json=wanted(case))
    assert "garder" in problem["title"]
    await dpo.refused("GET", f"/rights-requests/{request}/certificate", 409, "no_certificate")
    centre.clock.offset += timedelta(minutes=11)
    await prepare(social, case)
    denied = await denials(centre, "avec", "case.erasure_prepare")
    assert [entry["entry"]["reason"] for entry in denied] == [ground, "already_requested"]


async def test_a_handoff_that_waits_for_an_answer_stands_in_the_way(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    request = await prepare(social, case)
    drafted, _ = await hand_over(social, case, "identity")
    await social.refused("POST", "/rights-requests", 409, "already_requested", json=wanted(case))
    dpo = await centre.sign_in("avec.dpo", step_up=True)
    path, body = f"/rights-requests/{request}/approval", approval(case)
    await dpo.refused("POST", path, 409, "handoff_open", json=body)
    assert await _halves(centre, case) == 9
    await social.post(f"/handoffs/{drafted}/cancellation", expect=200)
    await approve(dpo, request, case)


async def test_an_erasure_that_a_kill_left_half_done_is_finished(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    request = await prepare(social, case)
    dpo = await centre.sign_in("avec.dpo", step_up=True)

    def killed(*_: object) -> int:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(type(centre.deployment.shreds), "erase", killed)
        answer = await approve(dpo, request, case)
    assert answer["state"] == "erased"
    assert await _halves(centre, case) == 9
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    await dpo.refused("GET", f"/rights-requests/{request}/certificate", 409, "no_certificate")
    await sweep(centre.deployment)
    assert await _halves(centre, case) == 0
    assert (await dpo.get(f"/rights-requests/{request}"))["state"] == "complete"
    await finish_erasures(centre.deployment)
    completed = entries_of(await centre.journal("avec"), "erasure.complete")
    assert [entry["entry"]["count"] for entry in completed] == [9]


@on_postgresql
async def test_the_service_deletes_no_case_whose_erasure_was_not_decided(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    gone = await centre.act(social, lambda act: act.unit.connection.execute(delete(case_file)).rowcount)
    assert gone == 0
    await prepare(social, case)
    gone = await centre.act(social, lambda act: act.unit.connection.execute(delete(case_file)).rowcount)
    assert gone == 0
    with pytest.raises(DBAPIError, match="permission denied"):
        await centre.act(social, lambda act: act.unit.connection.execute(delete(erasure)))


async def _halves(centre: Centre, case: str) -> int:
    query = select(shred.c.purpose).where(shred.c.owner_id == UUID(case))
    return len(
        await Administrator(centre.urls.shreds).run(lambda connection: connection.execute(query).all())
    )


async def _requests(centre: Centre) -> int:
    return int(await Administrator(centre.urls.owner).value("SELECT count(*) FROM erasure"))


def _all_of(table: str) -> Callable[[Connection], Sequence[tuple[object, ...]]]:
    return lambda connection: [tuple(row) for row in connection.execute(select(metadata.tables[table]))]


def _where_found(connection: Connection, ids: list[bytes], *of: MetaData) -> Mapping[str, int]:
    """Tables in which one of these ids stands, as bytes or as text, with the number of rows."""
    assert casework.schema.__doc__, "registers every slice's tables"
    found: dict[str, int] = {}
    for table in (table for one in of or (metadata, audit_metadata) for table in one.sorted_tables):
        for row in connection.execute(select(table)):
            if any(_holds(value, one) for value in row for one in ids):
                found[table.name] = found.get(table.name, 0) + 1
    return found


def _holds(value: object, one: bytes) -> bool:
    if isinstance(value, UUID):
        return value.bytes == one
    if isinstance(value, bytes):
        return one in value or str(UUID(bytes=one)).encode() in value
    return str(UUID(bytes=one)) in str(value)
