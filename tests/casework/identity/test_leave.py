"""Leave: until it is over she cannot act; it ends by itself; her cases show as to be covered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from casework.identity.sessions import ABSOLUTE
from casework.organisations.key_acts import Credentials, KeyActFault, KeyActRefused
from casework.organisations.removal import remove
from casework.organisations.rotation import rotate
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem
from tests.casework.organisations.test_rotation import CUSTODIAN, another_process
from tests.casework.story import entries_of, open_case

LOGIN = "avec.social"
DAY = timedelta(days=1)


def at(centre: Centre, login: str = LOGIN, last: str = "leave") -> str:
    return f"/members/{centre.member(login)}/{last}"


def body(centre: Centre, since: timedelta, until: timedelta) -> dict[str, str]:
    now = centre.clock.now()
    times = {"from": (now + since).isoformat(), "until": (now + until).isoformat()}
    return {**times, "reason": "Congés d’été."}


async def custodian(centre: Centre, **more: Any) -> Client:
    return await centre.sign_in("avec.custodian", **{"step_up": True, **more})


async def send_away(centre: Centre, since: timedelta = timedelta(), until: timedelta = 14 * DAY) -> Client:
    signer = await custodian(centre)
    await signer.request("PUT", at(centre), 200, json=body(centre, since, until))
    return signer


async def half(centre: Centre, login: str = LOGIN) -> dict[str, str]:
    """A session that waits for its second factor."""
    begun = await centre.http.post("/api/v1/sessions", json={"login": login, "password": PASSWORD})
    assert begun.status_code == 201, begun.text
    return {"authorization": f"Bearer {begun.json()['token']}"}


async def refuse_factor(centre: Centre, headers: dict[str, str], status: int, code: str) -> None:
    answer = await centre.http.post(
        "/api/v1/sessions/current/second-factor", json={"code": centre.code(LOGIN)}, headers=headers
    )
    assert_problem(answer, status, code)


async def test_during_a_leave_no_session_acts_and_none_is_completed(centre: Centre) -> None:
    member = await centre.sign_in(LOGIN, step_up=True)
    case, pending = await open_case(member), await half(centre)
    await send_away(centre)
    for path in ("/me", "/cases", f"/cases/{case}"):
        await member.refused("GET", path, 401, "not_signed_in")
    await member.refused(
        "POST", "/sessions/current/step-up", 401, "not_signed_in", json={"password": PASSWORD}
    )
    await refuse_factor(centre, pending, 401, "not_signed_in")
    # Who has but one of the factors is not told that she is away.
    headers = await half(centre)
    wrong = {"code": f"{(int(centre.code(LOGIN)) + 1) % 10**6:06}"}
    answer = await centre.http.post("/api/v1/sessions/current/second-factor", json=wrong, headers=headers)
    assert_problem(answer, 401, "sign_in_refused")
    await refuse_factor(centre, headers, 403, "on_leave")
    answer = await centre.http.get("/api/v1/me", headers=headers)
    assert_problem(answer, 401, "not_signed_in")
    denied = await centre.journal("avec", action="session.second_factor", outcome="denied")
    assert [item["entry"]["reason"] for item in denied] == ["on_leave", "credentials"]


async def test_a_leave_ends_by_itself(centre: Centre) -> None:
    await send_away(centre)
    centre.clock.offset += 14 * DAY - timedelta(minutes=5)
    await refuse_factor(centre, await half(centre), 403, "on_leave")
    centre.clock.offset += timedelta(minutes=5)
    member = await centre.sign_in(LOGIN)
    await member.get("/cases")
    listed = (await (await custodian(centre)).get("/members"))["items"]
    assert {one["leave"] for one in listed} == {None}


async def test_a_session_from_before_a_leave_ends_when_it_begins(centre: Centre) -> None:
    """One that was open when it was recorded, and one that began since."""
    before = await centre.sign_in(LOGIN)
    await send_away(centre, timedelta(minutes=20))
    after = await half(centre)
    begun = await centre.http.post("/api/v1/sessions", json={"login": LOGIN, "password": PASSWORD})
    left = datetime.fromisoformat(begun.json()["expires_at"]) - centre.clock.now()
    assert timedelta(minutes=15) < left <= timedelta(minutes=20) < ABSOLUTE
    since = await centre.sign_in(LOGIN)
    for client in (before, since):
        await client.get("/me")
    centre.clock.offset += timedelta(minutes=20)
    for client in (before, since):
        await client.refused("GET", "/me", 401, "not_signed_in")
    await refuse_factor(centre, after, 401, "not_signed_in")


async def test_a_leave_that_is_ended_before_its_time_lets_her_in_again(centre: Centre) -> None:
    signer = await send_away(centre)
    path = at(centre, last="return")
    assert await signer.post(path, {"reason": "Revenue."}, 200) == {"member_id": str(centre.member(LOGIN))}
    await (await centre.sign_in(LOGIN)).get("/cases")
    await signer.refused("POST", path, 409, "no_leave", json={"reason": "Encore."})


async def test_leave_and_return_are_journaled_with_their_reasons(centre: Centre) -> None:
    signer = await custodian(centre)
    wanted = body(centre, DAY, 3 * DAY)
    shown = (await signer.request("PUT", at(centre), 200, json=wanted)).json()
    listed = (await signer.get("/members"))["items"]
    assert [one["leave"] for one in listed if one["login"] == LOGIN] == [shown]
    await signer.post(at(centre, last="return"), {"reason": "Elle reste."}, 200)
    (left,) = await centre.journal("avec", action="member.leave")
    assert left["entry"]["actor"] == str(centre.member("avec.custodian"))
    assert left["entry"]["basis"]["policies"] == ["base.custodian"]
    assert left["detail"]["member"] == str(centre.member(LOGIN))
    assert left["detail"]["reason"] == "Congés d’été."
    moments = [datetime.fromisoformat(left["detail"][name]) for name in ("from", "until")]
    assert moments == [datetime.fromisoformat(wanted[name]).astimezone(UTC) for name in ("from", "until")]
    (back,) = await centre.journal("avec", action="member.return")
    assert back["detail"] == {"member": str(centre.member(LOGIN)), "reason": "Elle reste."}


async def test_nobody_else_grants_a_leave_and_nobody_her_own(centre: Centre) -> None:
    wanted = body(centre, timedelta(), DAY)
    for login in ("avec.supervisor", "avec.dpo", LOGIN):
        client = await centre.sign_in(login, step_up=True)
        await client.refused("PUT", at(centre), 403, "forbidden", json=wanted)
        await client.refused("POST", at(centre, last="return"), 403, "forbidden", json={"reason": "x"})
    signer = await custodian(centre)
    await signer.refused("PUT", at(centre, "avec.custodian"), 403, "forbidden", json=wanted)
    elsewhere = await centre.sign_in("cidff.custodian", step_up=True)
    await elsewhere.refused("PUT", at(centre), 404, "not_found", json=wanted)
    unconfirmed = await custodian(centre, step_up=False)
    await unconfirmed.refused("PUT", at(centre), 403, "step_up_needed", json=wanted)
    assert len(entries_of(await centre.journal("avec"), "member.manage", "denied")) == 8
    await centre.sign_in(LOGIN)


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        (2 * DAY, DAY, "until"),
        (-2 * DAY, -DAY, "until"),
        (DAY, 2000 * DAY, "until"),
        (2000 * DAY, 2001 * DAY, "from"),
    ],
)
async def test_a_leave_that_cannot_be_meant_is_refused(
    centre: Centre, since: timedelta, until: timedelta, field: str
) -> None:
    wrong = body(centre, since, until)
    answer = await (await custodian(centre)).request("PUT", at(centre), 422, json=wrong)
    assert answer.json()["errors"] == [{"field": field, "code": "out_of_range"}]


async def test_who_is_on_leave_signs_nothing_at_the_terminal(centre: Centre) -> None:
    await send_away(centre)
    async with another_process(centre) as other:
        with pytest.raises(KeyActRefused) as refused:
            await rotate(other, "avec", [Credentials(LOGIN, PASSWORD)])
        # Who does not know her password is not told that she is away.
        with pytest.raises(KeyActRefused) as guessed:
            await rotate(other, "avec", [Credentials(LOGIN, "un-autre-mot-de-passe-42")])
    faults = (refused.value.fault, guessed.value.fault)
    assert faults == (KeyActFault.ON_LEAVE, KeyActFault.WRONG_PASSWORD)
    denied = await centre.journal("avec", action="key.rotate")
    reasons = [(item["outcome"], item["entry"]["reason"]) for item in denied]
    assert reasons == [("denied", "wrong_password"), ("denied", "on_leave")]


async def test_cases_of_who_is_away_and_nobody_else_are_to_be_covered(centre: Centre) -> None:
    social, jurist = await centre.sign_in(LOGIN), await centre.sign_in("avec.jurist")
    alone, shared, closed = [await open_case(social) for _ in range(3)]
    hers = await open_case(jurist)
    supervisor = await centre.sign_in("avec.supervisor")
    both = {"members": [str(centre.member(login)) for login in (LOGIN, "avec.jurist")]}
    await supervisor.request("PUT", f"/cases/{shared}/assignments", 200, json=both)
    await social.post(f"/cases/{closed}/closure", {"reason": "Relogée."}, 200)
    assert (await supervisor.get("/reassignments"))["items"] == []
    await send_away(centre)
    (found,) = (await supervisor.get("/reassignments"))["items"]
    assert found["case_id"] == alone
    ((absent, until),) = [(one["member_id"], one["until"]) for one in found["members"]]
    assert (absent, datetime.fromisoformat(until) > centre.clock.now()) == (str(centre.member(LOGIN)), True)
    # Who has left is away for good.
    async with another_process(centre) as other:
        await remove(other, "avec", "avec.jurist", CUSTODIAN)
    items = (await supervisor.get("/reassignments"))["items"]
    assert {item["case_id"] for item in items} == {alone, shared, hers}
    left = {one["member_id"]: one["until"] for item in items for one in item["members"]}
    assert left == {str(centre.member(LOGIN)): until, str(centre.member("avec.jurist")): None}
    # Given to a colleague they are covered; after the leave they are hers again.
    move = {"from": str(centre.member("avec.jurist")), "to": [str(centre.member("avec.psychologist"))]}
    await supervisor.post("/reassignments", move, 200)
    assert {item["case_id"] for item in (await supervisor.get("/reassignments"))["items"]} == {alone}
    centre.clock.offset += 14 * DAY
    again = await centre.sign_in("avec.supervisor")
    assert (await again.get("/reassignments"))["items"] == []


async def test_what_is_to_be_covered_is_shown_to_who_assigns_and_journaled(centre: Centre) -> None:
    case = await open_case(await centre.sign_in(LOGIN))
    await send_away(centre)
    for login in ("avec.custodian", "avec.auditor"):
        await (await centre.sign_in(login)).refused("GET", "/reassignments", 403, "forbidden")
    # Nor who assigns in another organisation, nor the front desk, which may where it is named on a restricted case.
    for login in ("cidff.supervisor", "avec.reception"):
        assert (await (await centre.sign_in(login)).get("/reassignments"))["items"] == []
    shown = (await (await centre.sign_in("avec.supervisor")).get("/reassignments"))["items"]
    assert [item["case_id"] for item in shown] == [case]
    read = [found["entry"] for found in await centre.journal("avec", action="case.to_cover")]
    assert sorted((entry["count"], len(entry["subjects"])) for entry in read) == [(0, 0), (1, 1)]


async def test_a_restricted_case_is_shown_as_to_be_covered_to_who_is_named_alone(centre: Centre) -> None:
    case = await open_case(await centre.sign_in(LOGIN))
    supervisor = await centre.sign_in("avec.supervisor", step_up=True)
    named = {"members": [str(centre.member(login)) for login in (LOGIN, "avec.psychologist")]}
    await supervisor.post(f"/cases/{case}/restriction", {**named, "reason": "Une voisine."})
    await send_away(centre)
    assert (await supervisor.get("/reassignments"))["items"] == []
