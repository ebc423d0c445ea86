"""Consent: to one content, with its form kept; withdrawn at any moment, by any colleague."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from casework.consents.tables import consent as consent_table
from tests.casework.centre import CANARY, Centre
from tests.casework.conflicting import enter_conflict
from tests.casework.story import agree, consent, denials, draft, entries_of, hand_over, open_case, send


async def _consents(centre: Centre) -> list[Any]:
    return list(await centre.dba(lambda connection: connection.execute(select(consent_table)).all()))


REPRESENTATIVE = {"name": CANARY, "capacity": "mère", "conflict_checked": False}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"means": "oral"}, {"oral_reason": "needed_for_oral", "witness": "needed_for_oral"}),
        ({"means": "oral", "oral_reason": CANARY}, {"witness": "needed_for_oral"}),
        ({"safe_contact_checked": False}, {"safe_contact_checked": "must_be_done"}),
        ({"refusal_has_no_effect_said": False}, {"refusal_has_no_effect_said": "must_be_done"}),
        ({"representative": REPRESENTATIVE}, {"representative.conflict_checked": "must_be_done"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "out_of_range"}),
        ({"expires_at": "2999-01-01T00:00:00Z"}, {"expires_at": "out_of_range"}),
        ({"expires_at": "2027-01-01T00:00:00"}, {"expires_at": "not_a_time"}),
    ],
    ids=str,
)
async def test_a_consent_that_lacks_what_makes_it_one_is_refused(
    centre: Centre, change: dict[str, Any], fields: dict[str, str]
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    path = f"/handoffs/{drafted['id']}/consent"
    problem = await social.refused("POST", path, 422, "bad_input", json=consent(drafted, **change))
    assert {error["field"]: error["code"] for error in problem["errors"]} == fields
    assert await _consents(centre) == []
    assert (await social.get("/handoffs?box=sent"))["items"][0]["state"] == "draft"
    await agree(social, drafted, means="oral", oral_reason="fatigue", witness="une amie")
    assert len(await _consents(centre)) == 1


async def test_a_consent_expires_after_ninety_days_unless_said_otherwise(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await agree(social, await draft(social, case, "identity"))
    (row,) = await _consents(centre)
    assert row.expires_at - row.given_at == timedelta(days=90)


async def test_what_a_consent_says_is_sealed(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    given = await agree(
        social, drafted, means="oral", oral_reason=CANARY, witness=CANARY, her_words=CANARY, language="ar"
    )
    (row,) = await _consents(centre)
    assert CANARY.encode() not in row.frame.blob
    assert CANARY not in str(row)
    assert row.content_digest == bytes.fromhex(drafted["content_digest"])
    recorded, *_ = await centre.journal("avec", action="consent.record")
    assert recorded["entry"]["basis"]["consent"] == given
    assert CANARY not in str(await centre.journal("avec"))


async def test_a_draft_takes_one_consent(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    path = f"/handoffs/{drafted['id']}/consent"
    await social.refused("POST", path, 409, "wrong_state", json=consent(drafted))
    assert len(await _consents(centre)) == 1
    assert (await denials(centre, "avec", "consent.record"))[0]["entry"]["reason"] == "wrong_state"


@pytest.mark.parametrize(
    ("login", "status", "code"),
    [
        ("avec.psychologist", 404, "not_found"),
        ("avec.reception", 403, "forbidden"),
        ("avec.supervisor", 403, "forbidden"),
        ("avec.auditor", 404, "not_found"),
        ("cidff.jurist", 404, "not_found"),
    ],
)
async def test_only_whoever_is_assigned_records_a_consent(
    centre: Centre, login: str, status: int, code: str
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    other = await centre.sign_in(login)
    path = f"/handoffs/{drafted['id']}/consent"
    await other.refused("POST", path, status, code, json=consent(drafted))
    assert await _consents(centre) == []
    await agree(social, drafted)
    slug = login.partition(".")[0]
    denied = [item for item in await centre.journal(slug) if item["outcome"] == "denied"]
    assert [item["entry"]["actor"] for item in denied] == [str(centre.member(login))]


async def test_the_receiver_records_no_consent_of_the_senders_person(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    await agree(social, drafted)
    await send(social, drafted)
    path = f"/handoffs/{drafted['id']}/consent"
    jurist = await centre.sign_in("cidff.jurist")
    await jurist.refused("POST", path, 409, "wrong_state", json=consent(drafted))
    # Who may not know of the handoff is not told that there is one.
    reception = await centre.sign_in("cidff.reception")
    await reception.refused("POST", path, 404, "not_found", json=consent(drafted))


@pytest.mark.parametrize("login", ["avec.reception", "avec.psychologist", "avec.supervisor"])
async def test_any_colleague_takes_a_withdrawal_also_one_with_a_conflict(centre: Centre, login: str) -> None:
    """The person need not wait for the one who is assigned."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    handoff_id, given = await hand_over(social, case, "identity")
    await enter_conflict(centre, case, login)
    colleague = await centre.sign_in(login)
    await colleague.refused("GET", f"/cases/{case}", 404, "not_found")
    withdrawn = await colleague.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    assert withdrawn["effects"] == ["unopened_parts_destroyed", "receiver_told"]
    items = await centre.journal("avec")
    entry = entries_of(items, "consent.withdraw")[0]
    assert (entry["entry"]["actor"], entry["detail"]) == (str(centre.member(login)), {"means": "oral"})
    assert entry["entry"]["basis"]["handoff"] == handoff_id
    assert CANARY not in str(withdrawn)


@pytest.mark.parametrize("login", ["avec.auditor", "avec.custodian", "cidff.jurist", "cidff.supervisor"])
async def test_who_takes_no_withdrawal_finds_no_consent(centre: Centre, login: str) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    _, given = await hand_over(social, case, "identity")
    other = await centre.sign_in(login)
    body = {"json": {"means": "oral"}}
    await other.refused("POST", f"/consents/{given}/withdrawal", 404, "not_found", **body)
    await other.refused("POST", f"/consents/{uuid4()}/withdrawal", 404, "not_found", **body)
    (row,) = await _consents(centre)
    assert row.withdrawn_at is None
    await social.post(f"/consents/{given}/withdrawal", {"means": "written"}, expect=200)


async def test_a_consent_row_whose_withdrawal_was_undone_sends_nothing(centre: Centre) -> None:
    """The handoff itself ended with the consent: one row alone revives neither."""
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    drafted = await draft(social, case, "identity")
    given = await agree(social, drafted)
    await social.post(f"/consents/{given}/withdrawal", {"means": "oral"}, expect=200)
    undo = update(consent_table).values(withdrawn_at=None)
    await centre.dba(lambda connection: connection.execute(undo))
    await social.refused("POST", f"/handoffs/{drafted['id']}/sending", 409, "wrong_state")
