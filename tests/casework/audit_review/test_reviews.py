"""Recording reviews: of one's organisation's entries, never of one's own, and a misuse by two persons."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from casework.audit_review.findings import EMERGENCY_DUE
from casework.identity.members import Position
from policies.vocabulary import Role
from tests.casework.audit_review.test_unexplained import EMERGENCY, queue
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import add_role, entries_of, open_case

NOTE = f"{CANARY} : vu avec elle"


def reviewed(entry: str, outcome: str = "justified") -> dict[str, Any]:
    return {"entry": entry, "outcome": outcome, "note": NOTE}


async def _read(centre: Centre) -> str:
    """The entry of a supervisor's access that nothing explains."""
    case = await open_case(await centre.sign_in("avec.social"))
    await (await centre.sign_in("avec.supervisor")).get(f"/cases/{case}")
    return str((await queue(centre))[0]["entry"]["id"])


async def _review(client: Client, entry: str, outcome: str = "justified") -> dict[str, Any]:
    found: dict[str, Any] = await client.post("/journal/reviews", reviewed(entry, outcome))
    return found


async def test_a_review_is_kept_sealed_journaled_and_settles_its_entry(centre: Centre) -> None:
    entry = await _read(centre)
    auditor = await centre.sign_in("avec.auditor")
    made = await _review(auditor, entry)
    assert (made["entry"], made["outcome"], made["note"]) == (entry, "justified", NOTE)
    listed = await auditor.get("/journal/reviews", params={"entry": entry})
    assert (listed["items"], listed["next"]) == ([made], None)
    assert (await auditor.get("/journal/reviews", params={"entry": str(uuid4())}))["items"] == []
    assert await queue(centre, state="open") == []
    assert [item["reviews"] for item in await queue(centre, state="settled")] == [[made]]
    (journaled,) = entries_of(await centre.journal("avec"), "journal.review")
    assert journaled["detail"] == {"review": made["id"], "entry": entry, "outcome": "justified"}
    assert CANARY not in str(journaled)


async def test_a_suspicion_leaves_the_entry_open_until_it_is_settled(centre: Centre) -> None:
    entry = await _read(centre)
    auditor = await centre.sign_in("avec.auditor")
    await _review(auditor, entry, "misuse_suspected")
    assert len(await queue(centre, state="open")) == 1
    await _review(auditor, entry, "unfounded")
    assert await queue(centre, state="open") == []
    assert len((await auditor.get("/journal/reviews?limit=1"))["items"]) == 1
    first = await auditor.get("/journal/reviews?limit=1")
    second = await auditor.get("/journal/reviews", params={"cursor": first["next"]})
    assert [item["outcome"] for item in second["items"]] == ["misuse_suspected"]


async def test_what_is_read_after_the_review_of_a_days_finding_is_not_settled_by_it(centre: Centre) -> None:
    """Once the first reading of a day is found harmless, the rest of the day is not hers to read in peace."""
    case = await open_case(await centre.sign_in("avec.social"))
    supervisor = await centre.sign_in("avec.supervisor")
    await supervisor.get(f"/cases/{case}")
    entry = str((await queue(centre))[0]["entry"]["id"])
    await _review(await centre.sign_in("avec.auditor"), entry)
    assert await queue(centre, state="open") == []
    await supervisor.get(f"/cases/{case}/follow-ups")
    (found,) = await queue(centre, state="open")
    assert (found["entry"]["id"], found["times"], len(found["reviews"])) == (entry, 2, 1)
    await _review(await centre.sign_in("avec.auditor"), entry)
    assert await queue(centre, state="open") == []


async def test_an_auditor_does_not_review_her_own_acts_under_either_role(centre: Centre) -> None:
    await add_role(centre, "avec.auditor", Position(Role.DPO))
    await centre.learn("avec")
    auditor = await centre.sign_in("avec.auditor", role="auditor")
    officer = await centre.sign_in("avec.auditor", role="dpo")
    await auditor.get("/journal/entries?limit=1")
    await centre.integrate()
    page = await officer.get("/journal/entries", params={"action": "journal.read"})
    own = page["items"][-1]["id"]
    for client in (auditor, officer):
        await client.refused("POST", "/journal/reviews", 403, "forbidden", json=reviewed(own))
    await centre.integrate()
    items = (await officer.get("/journal/entries", params={"action": "journal.review"}))["items"]
    assert [item["entry"]["basis"]["policies"] for item in items] == [["base.self"]] * 2
    assert {item["outcome"] for item in items} == {"denied"}
    await _review(await centre.sign_in("avec.dpo"), own)


async def test_a_misuse_is_not_confirmed_by_one_person_alone_nor_by_her_other_role(centre: Centre) -> None:
    await add_role(centre, "avec.auditor", Position(Role.DPO))
    await centre.learn("avec")
    case = await open_case(await centre.sign_in("avec.social"))
    await (await centre.sign_in("avec.supervisor")).get(f"/cases/{case}")
    await centre.integrate()
    auditor = await centre.sign_in("avec.auditor", role="auditor")
    other_role = await centre.sign_in("avec.auditor", role="dpo")
    entry = (await auditor.get("/journal/unexplained"))["items"][0]["entry"]["id"]
    confirmed = reviewed(entry, "misuse_confirmed")
    code = "second_reviewer_needed"
    await auditor.refused("POST", "/journal/reviews", 409, code, json=confirmed)
    await _review(auditor, entry, "misuse_suspected")
    for client in (auditor, other_role):
        await client.refused("POST", "/journal/reviews", 409, code, json=confirmed)
    second = await centre.sign_in("avec.dpo")
    made = await _review(second, entry, "misuse_confirmed")
    assert made["reviewed_by"] == str(centre.member("avec.dpo"))
    await centre.integrate()
    items = (await second.get("/journal/entries", params={"action": "journal.review"}))["items"]
    assert [(item["outcome"], item["entry"]["reason"]) for item in reversed(items)] == [
        ("denied", code),
        ("allowed", None),
        ("denied", code),
        ("denied", code),
        ("allowed", None),
    ]


async def test_another_organisations_entry_is_as_absent_to_a_reviewer(centre: Centre) -> None:
    entry = await _read(centre)
    foreign = await centre.sign_in("cidff.auditor")
    answers = [
        (await foreign.request("POST", "/journal/reviews", 404, json=reviewed(one))).content
        for one in (entry, str(uuid4()))
    ]
    assert answers[0] == answers[1]
    denied = entries_of(await centre.journal("cidff"), "journal.review", "denied")
    assert [item["entry"]["reason"] for item in denied] == ["not_found"] * 2
    assert (await foreign.get("/journal/reviews"))["items"] == []


@pytest.mark.parametrize("login", ["avec.social", "avec.reception", "avec.supervisor", "avec.custodian"])
async def test_who_does_not_audit_reviews_nothing(centre: Centre, login: str) -> None:
    entry = await _read(centre)
    member = await centre.sign_in(login, step_up=True)
    await member.refused("POST", "/journal/reviews", 403, "forbidden", json=reviewed(entry))
    (denied,) = entries_of(await centre.journal("avec"), "journal.review", "denied")
    assert denied["entry"]["actor"] == str(centre.member(login))


async def test_an_outcome_outside_the_vocabulary_and_an_empty_note_are_refused(centre: Centre) -> None:
    entry = await _read(centre)
    auditor = await centre.sign_in("avec.auditor")
    for broken in (
        reviewed(entry, CANARY),
        reviewed(entry) | {"note": ""},
        reviewed(entry) | {"note": "x" * 4001},
        reviewed(CANARY),
        reviewed(entry) | {"more": 1},
        {"entry": entry, "outcome": "justified"},
    ):
        await auditor.refused("POST", "/journal/reviews", 422, "bad_input", json=broken)
    assert (await auditor.get("/journal/reviews"))["items"] == []


async def test_a_replayed_review_is_recorded_once(centre: Centre) -> None:
    entry = await _read(centre)
    auditor = await centre.sign_in("avec.auditor")
    key = {"idempotency-key": "une-fois"}
    first, again = [await auditor.post("/journal/reviews", reviewed(entry), headers=key) for _ in range(2)]
    assert first == again
    assert (await auditor.get("/journal/reviews"))["items"] == [first]


async def test_an_emergency_is_due_in_three_days_then_overdue_until_it_is_reviewed(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"), "social")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.post(f"/cases/{case}/break-glass", EMERGENCY)
    await centre.integrate()

    async def listed(state: str) -> list[dict[str, Any]]:
        auditor = await centre.sign_in("avec.auditor")
        page = await auditor.get("/journal/findings", params={"kind": "emergencies", "state": state})
        return list(page["items"])

    (due,) = await listed("open")
    assert due["case_id"] == case
    assert "Accès d’urgence" in due["entry"]["grounds"]
    assert due["entry"]["detail"] == {"reason": EMERGENCY["reason"]}
    assert await listed("overdue") == []
    centre.clock.offset += EMERGENCY_DUE - timedelta(minutes=10)
    assert await listed("overdue") == []
    centre.clock.offset += timedelta(minutes=20)
    assert [item["entry"]["id"] for item in await listed("overdue")] == [due["entry"]["id"]]
    await _review(await centre.sign_in("avec.auditor"), due["entry"]["id"])
    assert await listed("overdue") == await listed("open") == []
    assert len(await listed("settled")) == 1


async def test_the_grounds_of_an_access_are_told_in_the_words_of_the_policies(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await social.get(f"/cases/{case}")
    (opened,) = await centre.journal("avec", case=case, action="case.open")
    assert "Personne affectée : lire l’état civil" not in opened["grounds"]
    assert (
        "Personne affectée, ou en accès d’urgence : lire le dossier, hors juridique et santé"
        in opened["grounds"]
    )
