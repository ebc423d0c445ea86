"""Drafting freezes what would be sent: nothing that the drafter may not read or the partner could not."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from casework.handoffs.tables import handoff as handoff_table
from casework.handoffs.tables import handoff_manifest
from casework.organisations.tables import partner
from tests.casework.centre import CANARY, Centre
from tests.casework.story import content, denials, draft, entries_of, handoff, note, open_case, told


async def _drafts(centre: Centre) -> int:
    query = select(func.count()).select_from(handoff_table)
    return await centre.dba(lambda connection: int(connection.execute(query).scalar_one()))


async def test_a_preview_is_what_would_be_sent_and_nothing_else(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "contact", "social", "legal")
    chosen = await note(social, case, "accompagnement_social", "social", "legal", "safety")
    await note(social, case, "accompagnement_social", "social")
    drafted = await draft(social, case, "legal", "identity", follow_ups=[chosen])
    assert drafted["state"] == "draft"
    assert drafted["preview"] == {
        "identity": {"fields": content("identity"), "follow_ups": []},
        "legal": {
            "fields": content("legal"),
            "follow_ups": [{"occurred_at": "2026-11-20T10:00:00Z", "record": {"text": told("legal")}}],
        },
    }
    again = await social.get(f"/handoffs/{drafted['id']}/preview")
    assert again == drafted
    assert (await social.get("/handoffs?box=sent"))["items"][0]["state"] == "draft"
    items = await centre.journal("avec")
    assert entries_of(items, "handoff.draft")[0]["detail"] == {"groups": ["identity", "legal"]}
    assert len(entries_of(items, "handoff.preview")) == 2


@pytest.mark.parametrize("to", ["avec", "nowhere", "AVEC", "cidff "])
async def test_a_handoff_to_oneself_or_to_nobody_is_refused(centre: Centre, to: str) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    problem = await social.refused(
        "POST", f"/cases/{case}/handoffs", 422, "bad_input", json=handoff("identity", to=to)
    )
    assert problem["errors"] == [{"field": "to", "code": "unknown_partner"}]
    assert await _drafts(centre) == 0
    await draft(social, case, "identity")
    assert await _drafts(centre) == 1


async def test_a_partner_whose_card_is_out_of_date_receives_nothing(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    statement = (
        update(partner)
        .where(partner.c.org_id == centre.org("avec"), partner.c.slug == "cidff")
        .values(valid_until=centre.clock.now())
    )
    await centre.dba(lambda connection: connection.execute(statement))
    problem = await social.refused(
        "POST", f"/cases/{case}/handoffs", 422, "bad_input", json=handoff("identity")
    )
    assert problem["errors"] == [{"field": "to", "code": "card_expired"}]
    await draft(social, case, "identity", to="planning")


@pytest.mark.parametrize(("to", "group"), [("cidff", "health"), ("planning", "legal"), ("med", "social")])
async def test_a_group_that_nobody_there_holds_cannot_be_chosen(centre: Centre, to: str, group: str) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social", "legal")
    body = handoff("identity", group, to=to)
    problem = await social.refused("POST", f"/cases/{case}/handoffs", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "groups", "code": "not_taken_by_receiver"}]
    assert await _drafts(centre) == 0


async def test_a_group_she_may_not_read_cannot_be_chosen(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    body = handoff("identity", "health", to="planning")
    problem = await social.refused("POST", f"/cases/{case}/handoffs", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "groups", "code": "not_readable"}]
    await draft(social, case, "identity", "social", to="planning")


@pytest.mark.parametrize("login", ["avec.reception", "avec.supervisor", "avec.psychologist"])
async def test_who_reads_a_case_without_being_assigned_prepares_no_handoff(
    centre: Centre, login: str
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    if login == "avec.psychologist":
        team = await centre.team("avec", "mobile", login)
        supervisor = await centre.sign_in("avec.supervisor")
        assigned = {"members": [str(centre.member("avec.social"))], "teams": [str(team)]}
        await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=assigned)
    colleague = await centre.sign_in(login)
    await colleague.get(f"/cases/{case}")
    await colleague.refused("POST", f"/cases/{case}/handoffs", 403, "forbidden", json=handoff("identity"))
    assert await _drafts(centre) == 0
    drafted = await draft(social, case, "identity")
    if login != "avec.supervisor":
        await colleague.refused("GET", f"/handoffs/{drafted['id']}/preview", 404, "not_found")
    denied, *_ = await denials(centre, "avec", "handoff.draft")
    assert denied["entry"]["reason"] in {"policy", "not_found"}
    assert denied["entry"]["actor"] == str(centre.member(login))


async def test_a_follow_up_of_another_case_cannot_be_chosen(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case, other = await open_case(social), await open_case(social)
    elsewhere = await note(social, other, "accompagnement_social", "social")
    for follow_up in (elsewhere, str(uuid4())):
        body = handoff("identity", "social", follow_ups=[follow_up])
        problem = await social.refused("POST", f"/cases/{case}/handoffs", 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": "follow_ups", "code": "unknown_follow_up"}]
    own = await note(social, case, "accompagnement_social", "social")
    await draft(social, case, "identity", "social", follow_ups=[own])


async def test_a_misspelt_exclusion_is_refused(centre: Centre) -> None:
    """Else what it meant to keep back would be sent."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "contact", "legal")
    misspelt = ("contact.adress", "contact.phone ", "social.phone", "phone", "contact", "legal.summary")
    for excluded in (*misspelt, str(uuid4())):
        body = handoff("identity", "contact", excluded=[excluded])
        problem = await social.refused("POST", f"/cases/{case}/handoffs", 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": "excluded", "code": "unknown_item"}]
    drafted = await draft(social, case, "identity", "contact", excluded=["contact.phone"])
    assert drafted["preview"]["contact"]["fields"] == {}


async def test_two_drafts_of_the_same_content_have_different_digests(centre: Centre) -> None:
    """Salted: else a digest would tell, to whoever guesses the content, that she guessed right."""
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    digests = {(await draft(social, case, "identity"))["content_digest"] for _ in range(3)}
    assert len(digests) == 3


async def test_a_draft_is_sealed_and_seen_by_nobody_at_the_partner(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "legal")
    drafted = await draft(social, case, "identity", "legal")
    supervisor = await centre.sign_in("cidff.supervisor")
    assert (await supervisor.get("/handoffs?box=received"))["items"] == []
    for method, below in (("GET", "preview"), ("POST", "acceptance"), ("POST", "refusal")):
        body: Any = {"reason_code": "no_capacity", "next_step": "none"} if below == "refusal" else {}
        more = {"json": body} if method == "POST" else {}
        await supervisor.refused(method, f"/handoffs/{drafted['id']}/{below}", 404, "not_found", **more)
    rows = await centre.dba(lambda connection: connection.execute(select(handoff_manifest)).all())
    assert len(rows) == 2
    assert not any(CANARY.encode() in row.frame.blob for row in rows)
    absent = await supervisor.request("POST", f"/handoffs/{uuid4()}/acceptance", json={})
    draft_of_others = await supervisor.request("POST", f"/handoffs/{drafted['id']}/acceptance", json={})
    assert absent.content == draft_of_others.content
