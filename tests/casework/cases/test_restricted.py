"""Restricted cases: who is named reads and writes on; everybody else finds nothing, whatever she holds."""

from uuid import uuid4

from tests.casework.centre import CANARY, Centre
from tests.casework.restricted import REASON, ids, lift, name, restrict, restricted_case, unname
from tests.casework.story import (
    accept,
    content,
    denials,
    done,
    draft,
    entries_of,
    hand_over,
    note,
    open_case,
    told,
)


async def test_the_named_read_on_what_they_could_read_before(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.psychologist")
    opened = await social.get(f"/cases/{case}")
    assert opened["groups"]["social"] == content("social")
    assert opened["withheld"] == ["health"]
    timeline = (await social.get(f"/cases/{case}/follow-ups"))["items"]
    assert [sorted(item["content"]) for item in timeline] == [[], ["legal", "social"]]
    psychologist = await centre.sign_in("avec.psychologist")
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["health"] == {"summary": f"{CANARY}-health"}
    items = (await psychologist.get("/cases"))["items"]
    assert [(item["id"], item["identity"]) for item in items] == [(case, content("identity"))]
    found = await psychologist.post("/search", {"name": f"{CANARY} identity"}, 200)
    assert [item["case_id"] for item in found["items"]] == [case]


async def _finds_nothing(centre: Centre, login: str, case: str) -> None:
    """By list, count, opening, search, emergency or box: as if there were none."""
    client = await centre.sign_in(login, step_up=True)
    page = await client.get("/cases")
    assert (page["items"], page["count"], page["next"]) == ([], 0, None), login
    for below in ("", "/follow-ups", "/notes", "/assignments", "/restriction"):
        await client.refused("GET", f"/cases/{case}{below}", 404, "not_found")
    for query in ({"name": f"{CANARY} identity"}, {"phone": "01 99 00 12 34"}):
        answer = await client.request("POST", "/search", json=query)
        assert answer.status_code == 403 or answer.json() == {"items": []}, login
    emergency = {"reason": CANARY, "purpose": "support"}
    answer = await client.request("POST", f"/cases/{case}/break-glass", json=emergency)
    assert answer.status_code in {403, 404}, (login, answer.text)
    for box in ("sent", "received"):
        answer = await client.request("GET", f"/handoffs?box={box}")
        assert answer.status_code == 403 or answer.json()["items"] == [], login


async def test_nobody_else_finds_it_in_a_list_a_count_or_a_search_and_no_emergency_opens_it(
    centre: Centre,
) -> None:
    case, social, supervisor = await restricted_case(centre, "avec.social", "avec.double")
    await draft(social, case, "identity", "social")
    for login in ("avec.supervisor", "avec.reception", "avec.jurist", "avec.psychologist"):
        await _finds_nothing(centre, login, case)
    # It is no other than absent to her, and journaled as that.
    denied = await denials(centre, "avec", "case.open")
    assert {item["entry"]["reason"] for item in denied} == {"not_found"}
    assert {item["detail"]["tried"]["case"] for item in denied} == {case}
    # A supervisor moves every case of a worker who leaves but this one, and is not told that there is one.
    body = {"from": ids(centre, "avec.social")[0], "to": ids(centre, "avec.jurist")}
    assert await supervisor.post("/reassignments", body, 200) == {"moved": 0, "waiting": 0}
    assert (await social.get(f"/cases/{case}/assignments"))["members"] == sorted(
        ids(centre, "avec.social", "avec.double")
    )
    for login in ("avec.auditor", "avec.custodian", "avec.dpo"):
        client = await centre.sign_in(login, step_up=True)
        assert (await client.get("/cases"))["count"] == 0
        await client.refused("GET", f"/cases/{case}", 404, "not_found")
        if login == "avec.custodian":
            await client.refused("GET", f"/journal/entries?case={case}", 403, "forbidden")
    for login in ("avec.supervisor", "avec.social"):
        client = await centre.sign_in(login)
        await client.refused("GET", f"/journal/entries?case={case}", 403, "forbidden")


async def test_the_auditor_reads_who_restricted_it_and_why(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.psychologist")
    await name(social, case, "avec.jurist")
    await unname(social, case, "avec.psychologist")
    await lift(social, case)
    items = await centre.journal("avec", case=case)
    told = {
        action: entries_of(items, action)[0]
        for action in ("case.restrict", "case.name", "case.unname", "case.unrestrict")
    }
    by = [(action, item["entry"]["actor"], item["entry"].get("count")) for action, item in told.items()]
    her, supervisors = (str(centre.member(login)) for login in ("avec.social", "avec.supervisor"))
    assert by == [
        ("case.restrict", supervisors, 2),
        ("case.name", her, 3),
        ("case.unname", her, 2),
        ("case.unrestrict", her, 0),
    ]
    jurist, psychologist = ids(centre, "avec.jurist", "avec.psychologist")
    assert told["case.restrict"]["detail"] == {
        "members": sorted(ids(centre, "avec.social", "avec.psychologist")),
        "reason": REASON,
    }
    assert told["case.name"]["detail"]["named"] == jurist
    assert told["case.unname"]["detail"]["unnamed"] == psychologist
    assert all(item["entry"]["auth"] == "step_up" for item in told.values())
    assert CANARY not in str([item["entry"] for item in items])


async def test_fewer_than_two_are_never_named(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    case = await open_case(social, "social")
    path = f"/cases/{case}/restriction"
    one, other, custodian = ids(centre, "avec.social", "avec.jurist", "avec.custodian")
    wrong = [
        ([one, one], "fewer_than_two"),
        ([one, str(uuid4())], "unknown_member"),
        ([one, ids(centre, "cidff.jurist")[0]], "unknown_member"),
        ([one, custodian], "holds_no_key"),
    ]
    for members, code in wrong:
        body = {"members": members, "reason": REASON}
        problem = await supervisor.refused("POST", path, 422, "bad_input", json=body)
        assert problem["errors"] == [{"field": "members", "code": code}]
    problem = await supervisor.refused("POST", path, 422, "bad_input", json={"members": [one], "reason": "x"})
    assert problem["errors"][0]["field"] == "members"
    assert await social.get(path) == {"members": [], "waiting": []}
    # Whoever works on a case does not restrict it here; and what is ordinary is not lifted, nor named for.
    await social.refused("POST", path, 403, "forbidden", json={"members": [one, other], "reason": REASON})
    await supervisor.refused("POST", f"{path}/lifting", 409, "not_restricted", json={"reason": REASON})
    await supervisor.refused("PUT", f"{path}/members/{other}", 409, "not_restricted")
    # A reason, and a password given a moment ago.
    await supervisor.refused("POST", path, 403, "forbidden", json={"members": [one, other]})
    calm = await centre.sign_in("avec.supervisor")
    body = {"members": [one, other], "reason": REASON}
    await calm.refused("POST", path, 403, "step_up_needed", json=body)
    await restrict(supervisor, case, "avec.social", "avec.jurist")

    await social.refused("DELETE", f"{path}/members/{other}", 409, "fewer_than_two")
    await social.refused("DELETE", f"{path}/members/{uuid4()}", 404, "not_found")
    await social.refused("PUT", f"{path}/members/{custodian}", 422, "bad_input")
    # To name somebody who is named already changes nothing, herself included.
    assert done(await name(social, case, "avec.social")) == {"members": sorted([one, other]), "waiting": []}
    assert await social.get(path) == {"members": sorted([one, other]), "waiting": []}
    denied = [item["entry"]["reason"] for item in await denials(centre, "avec", "case.assign")]
    assert denied == ["not_found", "fewer_than_two", "not_restricted"]


async def test_one_person_in_two_roles_is_not_two_named_people(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.double")
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    another = await open_case(social, "social")
    roles = sorted(str(one.id) for one in centre.accounts["avec.double"].memberships)
    body = {"members": roles, "reason": REASON}
    problem = await supervisor.refused("POST", f"/cases/{another}/restriction", 422, "bad_input", json=body)
    assert problem["errors"] == [{"field": "members", "code": "fewer_than_two"}]
    assert (await social.get(f"/cases/{another}/restriction"))["members"] == []
    # Nor is one taken away where the other two are one.
    path = f"/cases/{case}/restriction/members"
    for role in roles:
        await social.request("PUT", f"{path}/{role}", 200)
    own = ids(centre, "avec.social")[0]
    await social.refused("DELETE", f"{path}/{own}", 409, "fewer_than_two")
    assert (await social.get(f"/cases/{case}/restriction"))["members"] == sorted([own, *roles])
    (denied,) = await denials(centre, "avec", "case.assign")
    assert (denied["entry"]["reason"], denied["entry"]["actor"]) == ("fewer_than_two", own)


async def test_a_named_members_change_of_assignments_names_nobody(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.jurist")
    body = {"members": ids(centre, "avec.social", "avec.supervisor")}
    await social.refused("PUT", f"/cases/{case}/assignments", 409, "case_is_restricted", json=body)
    again = {"members": ids(centre, "avec.social", "avec.jurist"), "reason": REASON}
    await social.refused("POST", f"/cases/{case}/restriction", 409, "already_restricted", json=again)


async def test_daily_work_goes_on_in_a_restricted_case(centre: Centre) -> None:
    """Notes, corrections, drafts, changes, a handoff, closing and reopening: by its named members, as before."""
    case, social, _ = await restricted_case(centre, "avec.social", "avec.supervisor")
    noted = await note(social, case, "accompagnement_social", "social", "legal")
    correction = {"content": {"social": told("family")}, "reason": "x"}
    headers = {"if-match": '"1"'}
    await social.post(f"/follow-ups/{noted}/corrections", correction, headers=headers)
    versions = (await social.get(f"/follow-ups/{noted}/versions"))["items"]
    assert [item["content"]["social"] for item in versions] == [told("social"), told("family")]
    version = (await social.get(f"/cases/{case}"))["versions"]["identity"]
    civil = {"name_in_use": told("identity"), "legal_name": told("legal_name")}
    await social.patch(f"/cases/{case}/groups/identity", civil, version)
    unsaved = {"case_id": case, "content": {"text": told("draft")}}
    draft_path = f"/drafts/{uuid4()}"
    await social.request("PUT", draft_path, 200, json=unsaved, headers={"if-none-match": "*"})
    assert (await social.get(draft_path))["content"] == unsaved["content"]

    handoff_id, consent = await hand_over(social, case, "identity", "legal", follow_ups=[noted])
    # Its records are sealed anew with the rest, and open as before.
    await name(social, case, "avec.jurist")
    await unname(social, case, "avec.jurist")
    preview = await social.get(f"/handoffs/{handoff_id}/preview")
    assert preview["preview"]["legal"]["fields"] == content("legal")
    cidff = await centre.sign_in("cidff.supervisor", step_up=True)
    receiver = await centre.sign_in("cidff.jurist", step_up=True)
    arrived = await accept(cidff, handoff_id, "cidff.jurist", "cidff.supervisor")
    # The receiver's own case can be restricted before anybody has opened what came.
    await restrict(cidff, arrived, "cidff.jurist", "cidff.supervisor")
    assert (await receiver.get(f"/cases/{arrived}"))["groups"]["legal"] == content("legal")
    await social.post(f"/consents/{consent}/withdrawal", {"means": "oral"}, 200)

    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    await social.post(f"/cases/{case}/closure", {"reason": "x"}, 200)
    await supervisor.post(f"/cases/{case}/reopening", {"reason": "x"}, 200)
    opened = await supervisor.get(f"/cases/{case}", headers={"casework-purpose": "admin"})
    assert opened["groups"]["identity"] == civil
    assert (await social.get(f"/cases/{case}/follow-ups"))["items"]


async def test_the_officer_who_cannot_tell_which_case_it_became_is_shown_no_received_handoff_of_any(
    centre: Centre,
) -> None:
    """She holds no key of the intake: once a case is restricted, she follows none that was taken on."""
    social = await centre.sign_in("avec.social", step_up=True)
    first, second = [(await hand_over(social, await open_case(social), "identity"))[0] for _ in range(2)]
    cidff = await centre.sign_in("cidff.supervisor", step_up=True)
    officer = await centre.sign_in("cidff.dpo")

    async def received() -> set[str]:
        return {item["id"] for item in (await officer.get("/handoffs?box=received"))["items"]}

    arrived = await accept(cidff, first, "cidff.jurist")
    assert await received() == {first, second}
    await restrict(cidff, arrived, "cidff.jurist", "cidff.social")
    # What nobody has taken on is no case yet.
    assert await received() == {second}
    assert (await cidff.get("/handoffs?box=received"))["items"][0]["id"] == second
    # What she sends she may tell.
    sender = await centre.sign_in("avec.dpo")
    assert len((await sender.get("/handoffs?box=sent"))["items"]) == 2
    await lift(await centre.sign_in("cidff.jurist", step_up=True), arrived)
    assert await received() == {first, second}


async def test_a_lifted_restriction_leaves_an_ordinary_case(centre: Centre) -> None:
    case, social, _ = await restricted_case(centre, "avec.social", "avec.jurist")
    assert done(await lift(social, case)) == {"members": [], "waiting": []}
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    assert (await supervisor.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    assert [item["identity"] for item in (await supervisor.get("/cases"))["items"]] == [content("identity")]
    found = await supervisor.post("/search", {"name": f"{CANARY} identity"}, 200)
    assert [item["case_id"] for item in found["items"]] == [case]
    # What the one who lifted it could not open, its holder still reads.
    both = {"members": ids(centre, "avec.social", "avec.psychologist")}
    await supervisor.request("PUT", f"/cases/{case}/assignments", 200, json=both)
    psychologist = await centre.sign_in("avec.psychologist")
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["health"] == {"summary": f"{CANARY}-health"}
    await note(psychologist, case, "suivi_psychologique", "health")
    await restrict(supervisor, case, "avec.social", "avec.psychologist")
    assert len((await psychologist.get(f"/cases/{case}/follow-ups"))["items"]) == 3
