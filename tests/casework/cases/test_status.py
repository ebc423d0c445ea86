"""Closing and reopening: who may, why, from which status, and what a closed case refuses."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from casework.cases.tables import case_file
from tests.casework.centre import CANARY, Centre, Client
from tests.casework.story import accept, content, denials, entries_of, follow_up, hand_over, open_case

WHY = {"reason": f"{CANARY} relogée"}


async def move(client: Client, case: str, to: str, **more: Any) -> Any:
    return await client.post(f"/cases/{case}/{to}", WHY, expect=200, **more)


async def _status(client: Client, case: str) -> str:
    return str((await client.get(f"/cases/{case}"))["status"])


async def test_a_case_is_closed_by_its_worker_and_reopened_by_the_supervisor(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social, "social")
    assert await move(social, case, "closure") == {"id": case, "status": "closed", "version": 2}
    # It is read as before.
    assert (await social.get(f"/cases/{case}"))["groups"]["social"] == content("social")
    problem = await social.refused("POST", f"/cases/{case}/reopening", 403, "forbidden", json=WHY)
    assert "advice" not in problem
    assert await _status(social, case) == "closed"
    assert await move(supervisor, case, "reopening") == {"id": case, "status": "open", "version": 3}
    assert await _status(social, case) == "open"
    denied, *_ = await denials(centre, "avec", "case.reopen")
    assert denied["detail"] == {"tried": {"case": case}}


async def test_the_reason_goes_to_the_auditor_alone(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    await move(social, case, "closure")
    closed, *others = entries_of(await centre.journal("avec", case=case), "case.close")
    assert others == []
    assert closed["detail"] == WHY
    assert CANARY not in str(closed["entry"])
    assert [row["v"] for row in closed["entry"]["subjects"][0]["rows"]] == [2]
    assert "avec.own.acts" in closed["entry"]["basis"]["policies"]
    for path in (f"/cases/{case}", "/cases", f"/cases/{case}/follow-ups"):
        assert WHY["reason"] not in (await social.request("GET", path, 200)).text


@pytest.mark.parametrize("below", ["closure", "reopening"])
@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " \n"}])
async def test_a_move_without_a_reason_is_refused_with_the_advice(
    centre: Centre, below: str, body: dict[str, str]
) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    if below == "reopening":
        await move(social, case, "closure")
    before = await _status(social, case)
    problem = await supervisor.refused("POST", f"/cases/{case}/{below}", 403, "forbidden", json=body)
    assert problem["advice"] == ["reason"]
    assert await _status(social, case) == before


async def test_a_move_from_another_status_is_a_conflict_and_is_journaled(centre: Centre) -> None:
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social)
    await supervisor.refused("POST", f"/cases/{case}/reopening", 409, "wrong_state", json=WHY)
    await move(social, case, "closure")
    await supervisor.refused("POST", f"/cases/{case}/closure", 409, "wrong_state", json=WHY)
    archiving = update(case_file).where(case_file.c.id == UUID(case)).values(status="archived")
    await centre.dba(lambda connection: connection.execute(archiving))
    for below in ("closure", "reopening"):
        await supervisor.refused("POST", f"/cases/{case}/{below}", 409, "wrong_state", json=WHY)
    denied = [*await denials(centre, "avec", "case.close"), *await denials(centre, "avec", "case.reopen")]
    assert [item["entry"]["reason"] for item in denied] == ["wrong_state"] * 4


async def test_nothing_is_written_into_a_closed_case(centre: Centre) -> None:
    """And the refusal says what to do."""
    social, supervisor = await centre.sign_in("avec.social"), await centre.sign_in("avec.supervisor")
    case = await open_case(social, "social")
    await move(social, case, "closure")
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/follow-ups", {"json": follow_up("accompagnement_social", "social")}),
        ("PATCH", "/groups/social", {"json": {"summary": "x"}, "headers": {"if-match": '"1"'}}),
    ]
    for method, below, more in tries:
        problem = await social.refused(method, f"/cases/{case}{below}", 403, "forbidden", **more)
        assert problem["advice"] == ["reopen"]
    assert (await social.get(f"/cases/{case}/follow-ups"))["items"] == []
    await move(supervisor, case, "reopening")
    for method, below, more in tries:
        assert (await social.request(method, f"/cases/{case}{below}", **more)).is_success


async def test_who_opens_no_case_closes_none(centre: Centre) -> None:
    case = await open_case(await centre.sign_in("avec.social"))
    for login in ("avec.auditor", "avec.custodian", "avec.dpo"):
        client = await centre.sign_in(login)
        for below in ("closure", "reopening"):
            await client.refused("POST", f"/cases/{case}/{below}", 404, "not_found", json=WHY)
    reception = await centre.sign_in("avec.reception")
    await reception.refused("POST", f"/cases/{case}/closure", 403, "forbidden", json=WHY)


async def test_the_same_closure_twice_is_one(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    case = await open_case(social)
    headers = {"idempotency-key": "k1"}
    first = await move(social, case, "closure", headers=headers)
    assert await move(social, case, "closure", headers=headers) == first
    assert [item["action"] for item in reversed(await centre.journal("avec", case=case))] == [
        "case.create",
        "case.close",
        "case.open",
    ]


async def test_a_case_that_a_transfer_closed_can_be_reopened(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social, "social")
    sent, _ = await hand_over(social, case, "identity", "social", kind="transfer")
    await accept(await centre.sign_in("cidff.supervisor"), sent)
    await social.refused("POST", f"/cases/{case}/closure", 409, "wrong_state", json=WHY)
    moved = await move(await centre.sign_in("avec.supervisor"), case, "reopening")
    assert moved["status"] == "open"
