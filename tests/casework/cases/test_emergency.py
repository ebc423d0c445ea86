"""Emergency access: what it opens and for how long, what it never opens, and what it tells."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from casework.cases.tables import break_glass, case_file
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.conflicting import enter_conflict
from tests.casework.story import content, denials, done, entries_of, note, open_case

BODY = {"reason": f"{CANARY} en danger", "purpose": "support"}


async def break_in(client: Client, case: str, expect: int = 201, **more: Any) -> Any:
    return await client.post(f"/cases/{case}/break-glass", BODY, expect, **more)


async def _windows(centre: Centre) -> int:
    query = select(break_glass.c.id)
    return len(await centre.dba(lambda connection: connection.execute(query).all()))


async def _colleagues_case(centre: Centre, *groups: str) -> str:
    return await open_case(await centre.sign_in("avec.social"), *groups)


async def test_a_case_she_cannot_list_is_read_for_four_hours_and_no_longer(centre: Centre) -> None:
    case = await _colleagues_case(centre, "social", "legal")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")
    expires_at = datetime.fromisoformat((await break_in(psychologist, case))["expires_at"])
    left = expires_at - centre.clock.now()
    assert timedelta(hours=3, minutes=59) < left <= timedelta(hours=4)
    assert (await psychologist.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    assert case in {item["id"] for item in (await psychologist.get("/cases"))["items"]}

    centre.clock.offset += timedelta(hours=4, minutes=1)
    psychologist = await centre.sign_in("avec.psychologist")
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")
    await psychologist.refused("GET", f"/cases/{case}/follow-ups", 404, "not_found")
    assert (await psychologist.get("/cases"))["items"] == []


async def test_it_lifts_the_assignment_never_a_group_and_lets_nobody_write(centre: Centre) -> None:
    case = await _colleagues_case(centre, "social", "legal")
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await break_in(psychologist, case)
    opened = await psychologist.get(f"/cases/{case}")
    # What a psychologist does not read of her own cases, she does not read of this one.
    assert "legal" in opened["withheld"]
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", "/groups/social", {"json": {"summary": CANARY}, "headers": {"if-match": '"1"'}}),
        ("POST", "/closure", {"json": {"reason": "x"}}),
        ("PUT", "/assignments", {"json": {"members": [str(centre.member("avec.psychologist"))]}}),
    ]
    for method, below, more in tries:
        await psychologist.refused(method, f"/cases/{case}{below}", 403, "forbidden", **more)


async def test_it_is_journaled_with_purpose_and_sealed_reason_and_readings_rest_on_it(centre: Centre) -> None:
    case = await _colleagues_case(centre, "social")
    await note(await centre.sign_in("avec.social"), case, "accompagnement_social", "social")
    jurist = await centre.sign_in("avec.jurist", step_up=True)
    await break_in(jurist, case)
    await jurist.get(f"/cases/{case}")
    await jurist.get(f"/cases/{case}/follow-ups")
    items = await centre.journal("avec", member=str(centre.member("avec.jurist")))
    broken, *others = entries_of(items, "case.break_glass")
    assert others == []
    # A jurist's usual purpose is another: the body's is the act's own.
    assert (broken["entry"]["purpose"], broken["entry"]["auth"]) == ("support", "step_up")
    assert broken["detail"] == {"reason": BODY["reason"]}
    assert CANARY not in str(broken["entry"])
    glass = broken["entry"]["basis"]["glass"]
    readings = [*entries_of(items, "case.open"), *entries_of(items, "follow_up.list")]
    assert [item["entry"]["basis"].get("glass") for item in readings] == [glass] * 2


async def test_whoever_is_assigned_reads_on_her_own(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    await break_in(social, case)
    await social.get(f"/cases/{case}")
    (opened,) = entries_of(await centre.journal("avec", case=case), "case.open")
    assert "glass" not in opened["entry"]["basis"]


async def _hide(centre: Centre, case: str, how: str) -> None:
    if how == "conflict":
        await enter_conflict(centre, case, "avec.psychologist")
        return
    statement = update(case_file).where(case_file.c.id == UUID(case)).values(restricted=True)
    await centre.dba(lambda connection: connection.execute(statement))


async def test_absent_foreign_restricted_and_conflicting_cases_are_the_same(centre: Centre) -> None:
    """With everything given, and one colleague's case that does open."""
    cases = [str(uuid4()), await open_case(await centre.sign_in("cidff.jurist"))]
    for how in ("restricted", "conflict"):
        cases.append(await _colleagues_case(centre))
        await _hide(centre, cases[-1], how)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    answers = [
        await psychologist.request("POST", f"/cases/{case}/break-glass", 404, json=BODY) for case in cases
    ]
    assert len({answer.content for answer in answers}) == 1
    denied = await denials(centre, "avec", "case.open")
    assert [item["detail"] for item in reversed(denied)] == [{"tried": {"case": case}} for case in cases]
    assert {item["entry"]["purpose"] for item in denied} == {"support"}
    assert all(item["entry"]["subjects"] == [] for item in denied)
    assert await _windows(centre) == 0
    await break_in(psychologist, await _colleagues_case(centre))


@pytest.mark.parametrize(
    ("login", "step_up", "change", "code", "advice"),
    [
        ("avec.psychologist", False, {}, "step_up_needed", ["step_up"]),
        ("avec.psychologist", False, {"reason": ""}, "step_up_needed", ["step_up", "reason"]),
        ("avec.psychologist", True, {"reason": " \n"}, "forbidden", ["reason"]),
        ("avec.psychologist", True, {"purpose": "admin"}, "forbidden", None),
        ("avec.reception", True, {}, "forbidden", None),
        ("avec.auditor", True, {}, "forbidden", None),
    ],
)
async def test_what_refuses_it_for_every_case_tells_of_none(
    centre: Centre, login: str, step_up: bool, change: dict[str, str], code: str, advice: list[str] | None
) -> None:
    """The same answer and the same denial for a colleague's case, a foreign one and an absent one."""
    hers = await _colleagues_case(centre)
    cases = [hers, await open_case(await centre.sign_in("cidff.jurist")), str(uuid4())]
    client = await centre.sign_in(login, step_up=step_up)
    bodies = []
    for case in cases:
        path = f"/cases/{case}/break-glass"
        bodies.append(await client.refused("POST", path, 403, code, json=BODY | change))
    assert bodies[0].get("advice") == advice
    assert bodies == [bodies[0]] * 3
    denied = await denials(centre, "avec", "case.break_glass")
    assert [item["detail"] for item in reversed(denied)] == [{"tried": {"case": case}} for case in cases]
    assert {tuple(item["entry"]["basis"]["policies"]) for item in denied} == {
        tuple(denied[0]["entry"]["basis"]["policies"])
    }
    assert await _windows(centre) == 0


@pytest.mark.parametrize(
    "body",
    [{"reason": CANARY}, {"reason": CANARY, "purpose": CANARY}, {**BODY, "hours": 48}],
)
async def test_it_is_not_asked_without_a_purpose_nor_for_longer(centre: Centre, body: Any) -> None:
    case = await _colleagues_case(centre)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await psychologist.refused("POST", f"/cases/{case}/break-glass", 422, "bad_input", json=body)
    assert await _windows(centre) == 0


async def test_asked_again_a_new_window_begins_with_an_entry_of_its_own(centre: Centre) -> None:
    case = await _colleagues_case(centre)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    first = await break_in(psychologist, case)
    centre.clock.offset += timedelta(hours=3, minutes=50)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    second = await break_in(psychologist, case)
    assert datetime.fromisoformat(second["expires_at"]) - datetime.fromisoformat(
        first["expires_at"]
    ) >= timedelta(hours=3, minutes=50)
    centre.clock.offset += timedelta(minutes=20)
    await psychologist.get(f"/cases/{case}")
    items = await centre.journal("avec", case=case)
    newest, oldest = (item["entry"]["basis"]["glass"] for item in entries_of(items, "case.break_glass"))
    (opened,) = entries_of(items, "case.open")
    assert oldest != newest == opened["entry"]["basis"]["glass"]


async def test_the_same_request_twice_is_one_window(centre: Centre) -> None:
    case = await _colleagues_case(centre)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    headers = {"idempotency-key": "k1"}
    first = await break_in(psychologist, case, headers=headers)
    assert done(await break_in(psychologist, case, headers=headers)) == done(first)
    assert await _windows(centre) == 1
    # Once it is over, a replay is told what anyone is.
    centre.clock.offset += timedelta(hours=4, minutes=1)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await break_in(psychologist, case, 404, headers=headers)


async def test_it_is_hers_alone(centre: Centre) -> None:
    case = await _colleagues_case(centre)
    await break_in(await centre.sign_in("avec.psychologist", step_up=True), case)
    await (await centre.sign_in("avec.jurist")).refused("GET", f"/cases/{case}", 404, "not_found")


async def test_a_restriction_set_meanwhile_ends_it(centre: Centre) -> None:
    case = await _colleagues_case(centre)
    psychologist = await centre.sign_in("avec.psychologist", step_up=True)
    await break_in(psychologist, case)
    await psychologist.get(f"/cases/{case}")
    await _hide(centre, case, "restricted")
    await psychologist.refused("GET", f"/cases/{case}", 404, "not_found")
