"""The queue of what nothing explains, judged by who was near whom when it was read."""

from datetime import timedelta
from typing import Any

import pytest

from casework.audit_review.explaining import FILE, explanations, parse
from policies.vocabulary import Purpose
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import accept, hand_over, note, open_case

EMERGENCY = {"purpose": Purpose.SUPPORT, "reason": f"{CANARY} : elle appelle"}


async def queue(centre: Centre, slug: str = "avec", **query: Any) -> list[dict[str, Any]]:
    """What nothing explains, oldest first, as the auditor reads it."""
    await centre.integrate()
    auditor = await centre.sign_in(f"{slug}.auditor")
    page = await auditor.get("/journal/unexplained", params={"limit": 200, **query})
    assert page["count"] == len(page["items"])
    return list(reversed(page["items"]))


async def _assign(supervisor: Client, case: str, *logins: str, teams: tuple[str, ...] = ()) -> None:
    members = [str(supervisor.centre.member(login)) for login in logins]
    path, body = f"/cases/{case}/assignments", {"members": members, "teams": list(teams)}
    await supervisor.request("PUT", path, 200, json=body)


def _who(centre: Centre, found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Whose access of which case, in the words of a test."""
    logins = {
        str(membership.id): login for login, one in centre.accounts.items() for membership in one.memberships
    }
    return [(logins[item["entry"]["entry"]["actor"]], item["case_id"]) for item in found]


async def test_a_supervisor_who_reads_without_a_reason_is_found_and_the_assigned_is_not(
    centre: Centre,
) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case, other = await open_case(social, "social"), await open_case(social)
    await social.get(f"/cases/{case}")
    for _ in range(2):
        await supervisor.get(f"/cases/{case}")
    found = await queue(centre)
    assert _who(centre, found) == [("avec.supervisor", case)]
    assert (found[0]["times"], found[0]["due_at"], found[0]["reviews"]) == (2, None, [])
    assert found[0]["entry"]["action"] == "case.open"
    # What she does about it explains what she read before, and of this case alone.
    await supervisor.get(f"/cases/{other}")
    await _assign(supervisor, case, "avec.psychologist")
    assert _who(centre, await queue(centre)) == [("avec.supervisor", other)]


async def test_an_assignment_explains_from_when_until_when_it_was(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    psychologist, reception = (
        await centre.sign_in("avec.psychologist"),
        await centre.sign_in("avec.reception"),
    )
    case = await open_case(reception)
    await _assign(supervisor, case, "avec.social", "avec.psychologist")
    await psychologist.get(f"/cases/{case}")
    centre.clock.offset += timedelta(minutes=10)
    await _assign(supervisor, case, "avec.social")
    # It is over, and what was read meanwhile stays explained.
    assert await queue(centre) == []
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")
    # Whoever stays assigned has been so all the time.
    await social.get(f"/cases/{case}")
    await _assign(supervisor, case, "avec.psychologist")
    assert await queue(centre) == []


async def test_bulk_reassignment_keeps_what_was_explained(centre: Centre) -> None:
    reception, social = await centre.sign_in("avec.reception"), await centre.sign_in("avec.social")
    supervisor = await centre.sign_in("avec.supervisor")
    case = await open_case(reception)
    await _assign(supervisor, case, "avec.social")
    await social.get(f"/cases/{case}")
    body = {"from": str(centre.member("avec.social")), "to": [str(centre.member("avec.jurist"))], "teams": []}
    await supervisor.post("/reassignments", body, expect=200)
    assert await queue(centre) == []


async def test_a_team_explains_its_members(centre: Centre) -> None:
    team = await centre.team("avec", "nuit", "avec.psychologist")
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    await _assign(supervisor, case, "avec.social", teams=(str(team),))
    await (await centre.sign_in("avec.psychologist")).get(f"/cases/{case}")
    assert await queue(centre) == []


async def test_the_front_desk_is_explained_on_the_day_of_a_visit_alone(centre: Centre) -> None:
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    case = await open_case(social, "social")
    centre.clock.offset += timedelta(days=10)
    social, reception = await centre.sign_in("avec.social"), await centre.sign_in("avec.reception")
    await reception.get(f"/cases/{case}")
    assert _who(centre, await queue(centre)) == [("avec.reception", case)]
    await note(social, case, "accompagnement_social", "social")
    assert await queue(centre) == []


async def test_an_emergency_goes_to_its_own_list_and_a_received_handoff_is_explained(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.post(f"/cases/{case}/break-glass", EMERGENCY)
    await psychologist.get(f"/cases/{case}")
    sent, _ = await hand_over(social, case, "identity", "social")
    supervisor = await centre.sign_in("cidff.supervisor")
    received = await accept(supervisor, sent, "cidff.jurist")
    for client in (supervisor, await centre.sign_in("cidff.jurist")):
        await client.get(f"/cases/{received}")
    assert await queue(centre) == await queue(centre, "cidff") == []


async def test_pages_of_the_queue_have_no_gap_and_reading_them_is_journaled(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    cases = [await open_case(social) for _ in range(3)]
    for case in cases:
        await supervisor.get(f"/cases/{case}")
    await centre.integrate()
    auditor = await centre.sign_in("avec.auditor")
    first = await auditor.get("/journal/unexplained", params={"limit": 2})
    second = await auditor.get("/journal/unexplained", params={"limit": 2, "cursor": first["next"]})
    shown = [item["case_id"] for item in first["items"] + second["items"]]
    assert (shown, first["count"], second["next"]) == (cases[::-1], 3, None)
    read = [item for item in await centre.journal("avec") if item["action"] == "journal.read"]
    assert [item["entry"]["count"] for item in read[:2]] == [1, 2]
    assert read[0]["detail"]["list"] == "unexplained"
    assert CANARY not in str(first) + str(second)


async def test_a_period_and_what_is_in_it(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    await supervisor.get(f"/cases/{case}")
    now = centre.clock.now()
    assert len(await queue(centre, to=now.isoformat())) == 1
    assert await queue(centre, **{"from": now.isoformat()}) == []
    auditor = await centre.sign_in("avec.auditor")
    for query in ({"from": "2026-11-20T10:00:00"}, {"state": CANARY}, {"limit": "0"}, {"cursor": "-1"}):
        await auditor.refused("GET", "/journal/unexplained", 422, "bad_input", params=query)
    await auditor.refused("GET", f"/journal/findings?kind={CANARY}", 422, "bad_input")


@pytest.mark.parametrize("login", ["avec.social", "avec.reception", "avec.supervisor", "avec.custodian"])
async def test_who_does_not_audit_reads_no_queue_and_no_review(centre: Centre, login: str) -> None:
    member = await centre.sign_in(login)
    paths = ("/journal/unexplained", "/journal/findings?kind=emergencies", "/journal/reviews")
    for path in paths:
        await member.refused("GET", path, 403, "forbidden")
    denied = await centre.journal("avec", action="journal.read", outcome="denied")
    assert [item["entry"]["actor"] for item in denied] == [str(centre.member(login))] * len(paths)


async def test_an_auditors_queue_is_her_own_organisations(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    await supervisor.get(f"/cases/{case}")
    assert await queue(centre, "cidff") == []
    assert len(await queue(centre)) == 1


def test_the_file_of_explanations_says_what_it_rests_on_and_is_refused_otherwise() -> None:
    assert len({one.name for one in explanations().explanation}) == len(explanations().explanation)
    text = FILE.read_text(encoding="utf-8")
    for broken in (
        text.replace('fact = "assigned"', 'fact = "likes_her"'),
        text.replace('fact = "assigned"', 'fact = "assigned"\nacts = ["case.open"]'),
        text.replace('acts = ["case.break_glass"]', ""),
        text.replace("before_hours = 0", "before_hours = -1"),
        text.replace("before_hours = 0", "before = 0"),
    ):
        assert broken != text
        with pytest.raises(ValueError):  # noqa: PT011 - the library's own, and ours
            parse(broken)


async def test_a_team_explains_nothing_from_before_it_had_the_case_nor_from_after(centre: Centre) -> None:
    team = await centre.team("avec", "nuit", "avec.supervisor")
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    colleague = await centre.sign_in("avec.double", role="supervisor")
    case = await open_case(social)
    told = []
    for teams in ((str(team),), (), ()):
        await supervisor.get(f"/cases/{case}")
        told.append([item["times"] for item in await queue(centre)])
        await _assign(colleague, case, "avec.social", teams=teams)
    assert told == [[1], [1], [2]]
