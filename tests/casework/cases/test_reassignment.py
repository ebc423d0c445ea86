"""A worker leaves: her cases go to colleagues, but for those that whoever moves them may not touch."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, select, update

from casework.cases.tables import past_assignment, past_case_team
from casework.identity.tables import membership
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.restricted import restrict
from tests.casework.story import content, denials, entries_of, open_case


def handing(centre: Centre, *to: str, leaving: str = "avec.social", **more: Any) -> dict[str, Any]:
    return {
        "from": str(centre.member(leaving)),
        "to": [str(centre.member(login)) for login in to],
        **more,
    }


async def reassign(client: Client, body: Any, **more: Any) -> Any:
    return await client.post("/reassignments", body, expect=200, **more)


async def _assigned(client: Client, case: str) -> list[str]:
    return list((await client.get(f"/cases/{case}/assignments"))["members"])


async def _restrict(centre: Centre, case: str, *logins: str) -> None:
    await restrict(await centre.sign_in("avec.supervisor", step_up=True), case, "avec.social", *logins)


async def test_her_cases_go_to_those_who_are_named_and_nobody_elses_do(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    jurist = await centre.sign_in("avec.jurist")
    hers, shared, closed = [await open_case(social, "social") for _ in range(3)]
    other = await open_case(jurist, "social")
    both = [str(centre.member(login)) for login in ("avec.social", "avec.jurist")]
    await supervisor.request("PUT", f"/cases/{shared}/assignments", 200, json={"members": both})
    await supervisor.post(f"/cases/{closed}/closure", {"reason": "x"}, expect=200)
    team = await centre.team("avec", "mobile", "avec.jurist")

    body = handing(centre, "avec.psychologist", "avec.jurist", teams=[str(team)])
    assert await reassign(supervisor, body) == {"moved": 3, "waiting": 0}
    newcomers = sorted(str(centre.member(login)) for login in ("avec.psychologist", "avec.jurist"))
    for case in (hers, shared, closed):
        await social.refused("GET", f"/cases/{case}", 404, "not_found")
        assert await _assigned(supervisor, case) == newcomers
    assert await _assigned(supervisor, other) == [str(centre.member("avec.jurist"))]
    psychologist = await centre.sign_in("avec.psychologist")
    assert (await psychologist.get(f"/cases/{hers}"))["groups"]["social"] == content("social")
    await psychologist.refused("GET", f"/cases/{other}", 404, "not_found")
    assert (await supervisor.get(f"/cases/{hers}/assignments"))["teams"] == [str(team)]


async def test_each_person_stands_in_the_entry_and_no_name_does(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    cases = [await open_case(social) for _ in range(3)]
    await reassign(supervisor, handing(centre, "avec.psychologist"))
    (moved,) = entries_of(await centre.journal("avec"), "case.reassign")
    assert (moved["entry"]["count"], len(moved["entry"]["subjects"])) == (3, 3)
    assert moved["entry"]["basis"]["policies"] == ["avec.supervisor.org"]
    assert moved["detail"] == {**handing(centre, "avec.psychologist", teams=[]), "left": 0}
    for case in cases:
        assert len(entries_of(await centre.journal("avec", case=case), "case.reassign")) == 1


async def test_what_she_may_not_assign_is_left_and_only_the_auditor_is_told_how_many(centre: Centre) -> None:
    """A restricted case, a conflict of her own, and a conflict of a newcomer; each stays exactly as it was."""
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    free, restricted, own, newcomers = [await open_case(social, "social") for _ in range(4)]
    await _restrict(centre, restricted, "avec.double")
    await enter_conflict(centre, own, "avec.supervisor")
    await enter_conflict(centre, newcomers, "avec.psychologist")
    answer = await reassign(supervisor, handing(centre, "avec.psychologist"))
    assert answer == {"moved": 1, "waiting": 0}
    for case in (restricted, own, newcomers):
        assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
        named = ["avec.social", "avec.double"] if case == restricted else ["avec.social"]
        assert await _assigned(social, case) == sorted(str(centre.member(login)) for login in named)
        assert not entries_of(await centre.journal("avec", case=case), "case.reassign")
    await social.refused("GET", f"/cases/{free}", 404, "not_found")
    (entry,) = await centre.journal("avec", action="case.reassign")
    assert entry["detail"]["left"] == 3
    # To somebody without a conflict it goes.
    assert await reassign(supervisor, handing(centre, "avec.jurist")) == {"moved": 1, "waiting": 0}


async def test_a_restricted_case_moves_with_no_others_even_by_a_supervisor_who_is_named(
    centre: Centre,
) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    await _restrict(centre, case, "avec.supervisor")
    assert await reassign(supervisor, handing(centre, "avec.jurist")) == {"moved": 0, "waiting": 0}
    assert await _assigned(supervisor, case) == sorted(
        str(centre.member(login)) for login in ("avec.social", "avec.supervisor")
    )


@pytest.mark.parametrize(
    "login", ["avec.social", "avec.reception", "avec.auditor", "avec.custodian", "avec.dpo"]
)
async def test_who_assigns_no_ordinary_case_reassigns_none(centre: Centre, login: str) -> None:
    psychologist = await centre.sign_in("avec.psychologist")
    case = await open_case(psychologist)
    client = await centre.sign_in(login)
    body = handing(centre, "avec.jurist", leaving="avec.psychologist")
    await client.refused("POST", "/reassignments", 403, "forbidden", json=body)
    assert await _assigned(psychologist, case) == [str(centre.member("avec.psychologist"))]
    denied, *others = await denials(centre, "avec", "case.assign")
    assert (denied["entry"]["actor"], others) == (str(centre.member(login)), [])


async def test_only_active_members_and_teams_of_the_organisation_are_named(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    gone = update(membership).where(membership.c.id == centre.member("avec.double")).values(active=False)
    await centre.dba(lambda connection: connection.execute(gone))
    team = await centre.team("cidff", "other", "cidff.jurist")
    wrong = [
        (handing(centre, "cidff.jurist"), "to", "unknown_member"),
        (handing(centre, "avec.double"), "to", "unknown_member"),
        (handing(centre), "to", "nobody_assigned"),
        (handing(centre, "avec.jurist", "avec.social"), "to", "same_member"),
        (handing(centre, teams=[str(team)]), "teams", "unknown_team"),
        (handing(centre, "avec.jurist", leaving="cidff.jurist"), "from", "unknown_member"),
        (handing(centre, "avec.jurist") | {"from": str(uuid4())}, "from", "unknown_member"),
    ]
    for body, field, code in wrong:
        problem = await supervisor.refused("POST", "/reassignments", 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": field, "code": code}]
    assert await _assigned(social, case) == [str(centre.member("avec.social"))]
    # Who has left already can still be replaced.
    assert (await reassign(supervisor, handing(centre, "avec.jurist", leaving="avec.double")))["moved"] == 0


async def test_nothing_of_another_organisation_moves(centre: Centre) -> None:
    jurist = await centre.sign_in("cidff.jurist")
    case = await open_case(jurist)
    supervisor = await centre.sign_in("avec.supervisor")
    await reassign(supervisor, handing(centre, "avec.jurist"))
    assert await _assigned(jurist, case) == [str(centre.member("cidff.jurist"))]
    assert not entries_of(await centre.journal("cidff"), "case.reassign")


async def test_what_is_over_the_batch_waits_and_is_moved_by_asking_again(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casework.cases.reassignment.BATCH", 2)
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    cases = [await open_case(social) for _ in range(5)]
    await _restrict(centre, cases[0], "avec.double")
    body = handing(centre, "avec.jurist")
    answers = [await reassign(supervisor, body) for _ in range(3)]
    assert answers == [
        {"moved": 2, "waiting": 2},
        {"moved": 2, "waiting": 0},
        {"moved": 0, "waiting": 0},
    ]


async def test_a_replay_moves_nothing_more(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casework.cases.reassignment.BATCH", 1)
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    for _ in range(2):
        await open_case(social)
    body, headers = handing(centre, "avec.jurist"), {"idempotency-key": "k1"}
    assert await reassign(supervisor, body, headers=headers) == {"moved": 1, "waiting": 1}
    assert await reassign(supervisor, body, headers=headers) == {"moved": 0, "waiting": 1}
    entries = entries_of(await centre.journal("avec"), "case.reassign")
    assert [item["entry"]["count"] for item in reversed(entries)] == [1, 0]


async def test_two_at_once_move_each_case_once(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    for _ in range(4):
        await open_case(social)
    bodies = [handing(centre, login) for login in ("avec.jurist", "avec.psychologist")]
    answers = await asyncio.gather(*(reassign(supervisor, body) for body in bodies))
    assert sum(answer["moved"] for answer in answers) == 4


async def test_five_hundred_persons_fit_into_one_entry(centre: Centre) -> None:
    """The format's bound is 65,535 bytes; what one person takes is measured, not assumed."""
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    for _ in range(2):
        await open_case(social)
    await reassign(supervisor, handing(centre, "avec.jurist"))
    (moved,) = entries_of(await centre.journal("avec"), "case.reassign")
    subjects = str(moved["entry"]["subjects"])
    assert len(str(moved["entry"])) - len(subjects) + 500 * (len(subjects) // 2 + 1) < 65_535


async def test_who_may_list_a_case_sees_who_is_assigned_to_it(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social, "social")
    seen = await social.get(f"/cases/{case}/assignments")
    assert seen == {"members": [str(centre.member("avec.social"))], "teams": []}
    (read,) = entries_of(await centre.journal("avec", case=case), "case.assignments")
    assert read["entry"]["subjects"][0]["rows"] == []
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.refused("GET", f"/cases/{case}/assignments", 404, "not_found")


async def test_members_are_listed_for_who_may_assign_and_never_another_organisations(centre: Centre) -> None:
    supervisor = await centre.sign_in("avec.supervisor")
    items = (await supervisor.get("/members"))["items"]
    logins = [item["login"] for item in items]
    assert {login.partition(".")[0] for login in logins} == {"avec"}
    assert logins == sorted(logins)
    assert {"avec.social", "avec.reception", "avec.auditor"} <= set(logins)
    jurist = next(item for item in items if item["login"] == "avec.jurist")
    assert jurist == {
        "id": str(centre.member("avec.jurist")),
        "login": "avec.jurist",
        "role": "worker",
        "professions": ["jurist"],
        "active": True,
        "secrecy_basis": None,
        "leave": None,
        "charter_accepted": True,
    }
    gone = update(membership).where(membership.c.id == centre.member("avec.jurist")).values(active=False)
    await centre.dba(lambda connection: connection.execute(gone))
    items = (await supervisor.get("/members"))["items"]
    assert [item["active"] for item in items if item["login"] == "avec.jurist"] == [False]
    # A worker who is named on a restricted case names a colleague there.
    await (await centre.sign_in("avec.social")).get("/members")
    # The custodian resets, confirms and unlocks under these ids.
    assert len((await (await centre.sign_in("avec.custodian")).get("/members"))["items"]) == len(items)
    for login in ("avec.auditor", "avec.dpo"):
        problem = await (await centre.sign_in(login)).refused("GET", "/members", 403, "forbidden")
        assert CANARY not in str(problem)
    assert {item["entry"]["reason"] for item in await denials(centre, "avec", "case.assign")} == {"policy"}


async def test_what_ends_keeps_from_when_until_when_and_why(centre: Centre) -> None:
    """An assignment taken away, all of a worker's cases handed on, a case restricted: of members and of teams."""
    social, supervisor = (
        await centre.sign_in("avec.social"),
        await centre.sign_in("avec.supervisor", step_up=True),
    )
    team = str(await centre.team("avec", "nuit", "avec.jurist"))
    social_id, jurist_id = str(centre.member("avec.social")), str(centre.member("avec.jurist"))
    taken, handed, closed = [await open_case(social) for _ in range(3)]
    for case in (taken, closed):
        body = {"members": [social_id], "teams": [team]}
        await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=body)
    await supervisor.request("PUT", f"/cases/{taken}/assignments", 200, json={"members": [jurist_id]})
    await restrict(supervisor, closed, "avec.psychologist", "avec.double")
    await supervisor.post("/reassignments", handing(centre, "avec.jurist"), expect=200)

    def read(connection: Connection) -> list[list[Any]]:
        return [list(connection.execute(select(table)).all()) for table in (past_assignment, past_case_team)]

    members, teams = await centre.dba(read)
    why = {taken: "unassigned", handed: "reassigned", closed: "restricted"}
    assert {(str(row.case_id), row.reason) for row in members} == set(why.items())
    assert {(str(row.case_id), row.reason) for row in teams} == {(taken, why[taken]), (closed, why[closed])}
    assert {row.member_id for row in members} == {centre.member("avec.social")}
    assert all(row.since < row.until for row in (*members, *teams))
