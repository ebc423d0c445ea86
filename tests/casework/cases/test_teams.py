"""Teams: made, changed and closed by whoever assigns cases, each with a step-up, a reason and an entry."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, select

from casework.organisations.tables import past_team_member, team_member
from tests.casework.centre import CANARY, PASSWORD, Centre, Client
from tests.casework.story import entries_of, open_case

WHY = f"{CANARY} permanence"


def team(centre: Centre, *logins: str, name: str = "nuit", **more: Any) -> dict[str, Any]:
    members = [str(centre.member(login)) for login in logins]
    return {"name": name, "members": members, "reason": WHY, **more}


async def supervisor(centre: Centre, slug: str = "avec") -> Client:
    return await centre.sign_in(f"{slug}.supervisor", step_up=True)


async def give(client: Client, case: str, *members: str, teams: tuple[str, ...] = ()) -> None:
    body = {"members": list(members), "teams": list(teams)}
    await client.request("PUT", f"/cases/{case}/assignments", 200, json=body)


async def _rows(centre: Centre, table: Table) -> set[UUID]:
    """The members whom a table names."""
    query = select(table.c.member_id)
    return set(await centre.dba(lambda connection: connection.execute(query).scalars().all()))


async def test_who_joins_a_team_sees_its_cases_and_who_leaves_it_sees_them_no_more(centre: Centre) -> None:
    social, jurist = await centre.sign_in("avec.social"), await centre.sign_in("avec.jurist")
    case, head = await open_case(social), await supervisor(centre)
    made = await head.post("/teams", team(centre, "avec.psychologist"))
    await give(head, case, str(centre.member("avec.social")), teams=(made["id"],))
    await jurist.refused("GET", f"/cases/{case}", 404, "not_found")
    changed = team(centre, "avec.psychologist", "avec.jurist", name="soir")
    path = f"/teams/{made['id']}"
    answer = (await head.request("PUT", path, 200, json=changed)).json()
    assert (answer["name"], sorted(answer["members"])) == ("soir", sorted(changed["members"]))
    assert (await head.get("/teams"))["items"] == [answer]
    await jurist.get(f"/cases/{case}")
    await head.request("PUT", path, 200, json=team(centre, "avec.psychologist"))
    await jurist.refused("GET", f"/cases/{case}", 404, "not_found")
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.get(f"/cases/{case}")
    await head.post(f"{path}/closure", {"reason": WHY}, 200)
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")
    assert (await head.get("/teams"))["items"] == []
    assert (await head.get(f"/cases/{case}/assignments"))["teams"] == []
    # Nobody belongs to it any more, should it ever be given a case again; of the past nothing is lost.
    assert await _rows(centre, team_member) == set()
    assert await _rows(centre, past_team_member) == {
        centre.member(f"avec.{name}") for name in ("jurist", "psychologist")
    }
    # What she read while she belonged to it stays explained.
    auditor = await centre.sign_in("avec.auditor")
    await centre.integrate()
    unexplained = (await auditor.get("/journal/unexplained"))["items"]
    assert str(centre.member("avec.jurist")) not in {item["entry"]["actor"] for item in unexplained}


async def test_a_team_is_changed_by_whoever_assigns_cases_with_a_step_up_and_a_reason(centre: Centre) -> None:
    wanted = team(centre, "avec.jurist")
    made = (await (await supervisor(centre)).post("/teams", wanted))["id"]
    tries = (
        ("POST", "/teams", wanted),
        ("PUT", f"/teams/{made}", wanted),
        ("POST", f"/teams/{made}/closure", {"reason": WHY}),
    )
    for login in ("avec.social", "avec.reception", "avec.custodian", "avec.auditor", "avec.dpo"):
        client = await centre.sign_in(login, step_up=True)
        for method, path, body in tries:
            await client.refused(method, path, 403, "forbidden", json=body)
    without = await centre.sign_in("avec.supervisor")
    for method, path, body in tries:
        problem = await without.refused(method, path, 403, "step_up_needed", json=body)
        assert problem["advice"] == ["step_up"]
        await without.refused(method, path, 422, "bad_input", json={**body, "reason": " "})
    # Another organisation's supervisor does not find it, and brings none of these colleagues into a team of hers.
    elsewhere = await supervisor(centre, "cidff")
    theirs = team(centre, "cidff.jurist")
    await elsewhere.refused("PUT", f"/teams/{made}", 404, "not_found", json=theirs)
    await elsewhere.refused("POST", f"/teams/{made}/closure", 404, "not_found", json={"reason": WHY})
    await elsewhere.refused("POST", "/teams", 422, "bad_input", json=wanted)
    assert [item["id"] for item in (await without.get("/teams"))["items"]] == [made]
    assert (await elsewhere.get("/teams"))["items"] == []
    denied = await centre.journal("avec", outcome="denied")
    assert len(entries_of(denied, "case.assign")) == 15
    assert {item["entry"]["reason"] for item in entries_of(denied, "team.close")} == {"step_up"}
    foreign = await centre.journal("cidff", outcome="denied")
    assert [item["detail"]["tried"] for item in entries_of(foreign, "team.change")] == [{"team": made}]


async def test_each_change_tells_the_auditor_who_came_and_who_went(centre: Centre) -> None:
    head = await supervisor(centre)
    made = (await head.post("/teams", team(centre, "avec.jurist", "avec.social")))["id"]
    await head.request("PUT", f"/teams/{made}", 200, json=team(centre, "avec.psychologist", "avec.social"))
    social = await centre.sign_in("avec.social")
    await give(head, await open_case(social), teams=(made,))
    await head.post(f"/teams/{made}/closure", {"reason": WHY}, 200)
    entries = await centre.journal("avec", member=str(centre.member("avec.supervisor")))
    told = {
        item["entry"]["action"]: item["detail"]
        for item in entries
        if item["entry"]["action"].startswith("team.")
    }
    jurist, worker, psychologist = (
        str(centre.member(f"avec.{name}")) for name in ("jurist", "social", "psychologist")
    )
    same = {"team": made, "reason": WHY, "left": [], "cases": 0}
    assert told == {
        "team.create": {**same, "joined": sorted([jurist, worker])},
        "team.change": {**same, "joined": [psychologist], "left": [jurist]},
        "team.close": {**same, "joined": [], "left": sorted([psychologist, worker]), "cases": 1},
    }


async def test_a_closed_team_is_as_absent(centre: Centre) -> None:
    head, social = await supervisor(centre), await centre.sign_in("avec.social")
    made = (await head.post("/teams", team(centre, "avec.jurist")))["id"]
    await head.post(f"/teams/{made}/closure", {"reason": WHY}, 200)
    body = team(centre, "avec.jurist")
    told = [
        (await head.request(method, f"/teams/{each}{path}", 404, json=more)).content
        for method, path, more in (("PUT", "", body), ("POST", "/closure", {"reason": WHY}))
        for each in (made, uuid4())
    ]
    assert told[0::2] == told[1::2]
    given = {"members": [], "teams": [made]}
    case = await open_case(social)
    await head.refused("PUT", f"/cases/{case}/assignments", 422, "bad_input", json=given)


async def test_nobody_is_brought_into_a_team_who_has_left_the_organisation(centre: Centre) -> None:
    head = await supervisor(centre)
    unknown = team(centre, "avec.jurist")
    for members in ([str(uuid4())], [str(centre.member("cidff.jurist"))], []):
        body = {**unknown, "members": members}
        await head.refused("POST", "/teams", 422, "bad_input", json=body)
    assert (await head.get("/teams"))["items"] == []


async def test_a_repeated_creation_is_one(centre: Centre) -> None:
    head = await centre.sign_in("avec.supervisor")
    await head.post("/sessions/current/step-up", {"password": PASSWORD}, expect=204)
    headers = {"idempotency-key": "k"}
    first, again = [await head.post("/teams", team(centre, "avec.jurist"), headers=headers) for _ in range(2)]
    assert first == again
    assert len((await head.get("/teams"))["items"]) == 1
