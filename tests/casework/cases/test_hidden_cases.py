"""Absent, of another organisation and forbidden: one answer, one denial. Lists show what may be listed."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from casework.cases.tables import case_file
from tests.casework.centre import Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.restricted import restrict
from tests.casework.story import content, denials, follow_up, handoff, open_case

TRIES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "", {}),
    ("GET", "/follow-ups", {}),
    ("POST", "/follow-ups", {"json": follow_up("accompagnement_social", "social")}),
    ("PATCH", "/groups/social", {"json": {"summary": "x"}, "headers": {"if-match": '"1"'}}),
    ("GET", "/assignments", {}),
    ("PUT", "/assignments", {"json": {"members": [str(uuid4())]}}),
    ("POST", "/closure", {"json": {"reason": "x"}}),
    ("POST", "/reopening", {"json": {"reason": "x"}}),
    ("POST", "/handoffs", {"json": handoff("identity")}),
]
# What differs between any two entries, and the detail that names what was tried.
OWN = ("id", "time", "nonce", "detail", "request", "lane")


@pytest.mark.parametrize(("method", "below", "more"), TRIES)
async def test_absent_foreign_and_forbidden_cases_answer_and_are_journaled_alike(
    centre: Centre, method: str, below: str, more: dict[str, Any]
) -> None:
    """The asker holds cases of her own; another worker's, another organisation's and none are the same to her."""
    psychologist = await centre.sign_in("avec.psychologist")
    own = await open_case(psychologist, "social")
    forbidden = await open_case(await centre.sign_in("avec.social"), "social")
    foreign = await open_case(await centre.sign_in("cidff.jurist"), "social")
    absent = str(uuid4())
    answers = []
    for case in (absent, foreign, forbidden):
        await psychologist.refused(method, f"/cases/{case}{below}", 404, "not_found", **more)
        answers.append(await psychologist.request(method, f"/cases/{case}{below}", **more))
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1

    denied = await denials(centre, "avec", "case.open")
    assert [item["detail"] for item in reversed(denied)] == [
        {"tried": {"case": case}} for case in (absent, foreign, forbidden) for _ in range(2)
    ]
    entries = [{name: item["entry"][name] for name in item["entry"] if name not in OWN} for item in denied]
    assert entries == [entries[0]] * 6
    assert (entries[0]["actor"], entries[0]["reason"]) == (
        str(centre.member("avec.psychologist")),
        "not_found",
    )
    # Nothing in the other organisation's journal tells that anybody asked.
    assert not await denials(centre, "cidff", "case.open")
    if method != "PUT" and below != "/reopening":
        assert (await psychologist.request(method, f"/cases/{own}{below}", **more)).is_success


async def _listed(client: Client, **query: Any) -> set[str]:
    return {item["id"] for item in (await client.get("/cases", params=query))["items"]}


async def test_a_list_shows_what_each_may_list_and_journals_each_person_shown(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    hers, other = await open_case(social, "contact"), await open_case(psychologist, "contact")
    foreign = await open_case(await centre.sign_in("cidff.jurist"))
    supervisor = await centre.sign_in("avec.supervisor")
    assert await _listed(social) == {hers}
    assert await _listed(psychologist) == {other}
    assert await _listed(supervisor) == {hers, other}
    assert foreign not in await _listed(await centre.sign_in("avec.reception"))
    for login in ("avec.auditor", "avec.custodian", "avec.dpo"):
        assert await _listed(await centre.sign_in(login)) == set()

    team = await centre.team("avec", "mobile", "avec.social", "avec.psychologist")
    assigned = {"members": [str(centre.member("avec.psychologist"))], "teams": [str(team)]}
    await supervisor.request("PUT", f"/cases/{other}/assignments", 200, json=assigned)
    assert await _listed(social) == {hers, other}
    assert (await social.get(f"/cases/{other}"))["withheld"] == ["health", "family"]

    lists = await centre.journal("avec", action="case.list")
    counts = [(item["entry"]["count"], len(item["entry"]["subjects"])) for item in reversed(lists)]
    assert counts == [(1, 1), (1, 1), (2, 2), (2, 2), (0, 0), (0, 0), (0, 0), (2, 2)]


async def test_an_identity_she_may_not_read_is_not_in_her_list(centre: Centre) -> None:
    """Every reader of a list may read identities here; contact, never listed, is her example."""
    reception = await centre.sign_in("planning.reception")
    health = await centre.sign_in("planning.health")
    case = await open_case(health, "contact", "health")
    listed = await reception.get("/cases")
    assert listed["items"] == [{"id": case, "status": "open", "identity": content("identity")}]
    assert set((await reception.get(f"/cases/{case}"))["groups"]) == {"identity", "intake"}


async def test_pages_have_no_gap_and_no_double(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    cases = [await open_case(social) for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await social.get("/cases", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        # One that is opened meanwhile is newer than the cursor: it moves nobody.
        await open_case(social)
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(cases, reverse=True)
    await social.refused("GET", "/cases?limit=0", 422, "bad_input")
    await social.refused("GET", "/cases?limit=101", 422, "bad_input")
    await social.refused("GET", "/cases?cursor=abc", 422, "bad_input")


async def test_a_count_is_capped(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casework.access.COUNT_CAP", 3)
    social = await centre.sign_in("avec.social")
    for _ in range(3):
        await open_case(social)
    page = await social.get("/cases?limit=1")
    assert (page["count"], page["count_is_capped"]) == (3, False)
    await open_case(social)
    page = await social.get("/cases?limit=1")
    assert (page["count"], page["count_is_capped"]) == (3, True)


async def test_a_list_of_one_status_shows_no_other(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    open_one, closed_one = await open_case(social), await open_case(social)
    closing = update(case_file).where(case_file.c.id == UUID(closed_one)).values(status="closed")
    await centre.dba(lambda connection: connection.execute(closing))
    assert await _listed(social, status="closed") == {closed_one}
    assert await _listed(social, status="open") == {open_one}
    await social.refused(
        "PATCH",
        f"/cases/{closed_one}/groups/social",
        403,
        "forbidden",
        json={"summary": "x"},
        headers={"if-match": '"0"'},
    )


@pytest.mark.parametrize("fact", ["conflict", "restricted"])
async def test_a_conflict_or_a_restriction_hides_the_case_as_if_it_were_absent(
    centre: Centre, fact: str
) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    await supervisor.get(f"/cases/{case}")
    if fact == "restricted":
        await restrict(supervisor, case, "avec.social", "avec.double")
    else:
        await enter_conflict(centre, case, "avec.supervisor")
    await supervisor.refused("GET", f"/cases/{case}", 404, "not_found")
    assert await _listed(supervisor) == set()
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")


async def test_assignments_name_active_members_and_teams_of_the_organisation(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social, "social")
    path = f"/cases/{case}/assignments"
    team = await centre.team("cidff", "other", "cidff.jurist")
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"members": [str(uuid4())]}, "members", "unknown_member"),
        ({"members": [str(centre.member("cidff.jurist"))]}, "members", "unknown_member"),
        ({"members": []}, "members", "nobody_assigned"),
        ({"members": [], "teams": [str(team)]}, "teams", "unknown_team"),
    ]
    for body, field, code in wrong:
        problem = await supervisor.refused("PUT", path, 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": field, "code": code}]
    await social.get(f"/cases/{case}")
    await social.refused(
        "PUT", path, 403, "forbidden", json={"members": [str(centre.member("avec.psychologist"))]}
    )
    both = [str(centre.member(login)) for login in ("avec.psychologist", "avec.psychologist")]
    await supervisor.request("PUT", path, 200, json={"members": both})
    await social.refused("GET", f"/cases/{case}", 404, "not_found")
    psychologist = await centre.sign_in("avec.psychologist")
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    denied, *_ = await denials(centre, "avec", "case.assign")
    assert denied["entry"]["actor"] == str(centre.member("avec.social"))
