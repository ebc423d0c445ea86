"""Who lets in again whom guessing keeps out: the custodian and the operator; and the journal says so."""

from datetime import timedelta
from uuid import uuid4

import pytest

from casework.identity.unlocking import UnknownLogin, unlock_login
from casework.upkeep import sweep
from tests.casework.centre import PASSWORD, Centre, Client
from tests.casework.identity.test_limits import (
    FACTOR,
    WRONG,
    bearer,
    begin,
    from_address,
    limited,
    told,
    wrong_code,
    wrong_passwords,
)

REASON = {"reason": "Elle a retrouvé son mot de passe ; canari."}


def unlocking(centre: Centre, login: str) -> str:
    return f"/members/{centre.member(login)}/unlocking"


async def lock(centre: Centre, login: str) -> None:
    await wrong_passwords(centre.http, login, 5)
    limited(await begin(centre.http, login))


async def custodian(centre: Centre, *, step_up: bool = True) -> Client:
    return await centre.sign_in("avec.custodian", step_up=step_up)


async def test_after_unlocking_the_next_right_password_and_code_are_let_in(centre: Centre) -> None:
    waiting = await bearer(centre.http, "avec.social")
    for _ in range(5):
        code = {"code": wrong_code(centre, "avec.social")}
        assert (await centre.http.post(FACTOR, json=code, headers=waiting)).status_code == 401
    await lock(centre, "avec.social")
    await lock(centre, "avec.psychologist")
    done = await (await custodian(centre)).post(unlocking(centre, "avec.social"), REASON, 200)
    assert done == {"member_id": str(centre.member("avec.social"))}
    await centre.sign_in("avec.social")
    limited(await begin(centre.http, "avec.psychologist"))
    (entry,) = await centre.journal("avec", action="member.unlock")
    assert (entry["outcome"], entry["entry"]["actor"]) == ("allowed", str(centre.member("avec.custodian")))
    assert entry["entry"]["basis"]["policies"] == ["base.custodian"]
    assert entry["detail"] == {"member": str(centre.member("avec.social")), **REASON}
    # What was refused until then is told, though its row is gone.
    assert ("too_many_requests", 1, None) in await told(centre, "avec", "session.create")


async def test_unlocking_ends_what_many_addresses_did(centre: Centre) -> None:
    for number in range(12):
        async with from_address(centre, f"198.51.100.{number}") as attacker:
            await wrong_passwords(attacker, "avec.social", 5)
    limited(await begin(centre.http, "avec.social"))
    await (await custodian(centre)).post(unlocking(centre, "avec.social"), REASON, 200)
    await centre.sign_in("avec.social")


async def test_unlocking_asks_for_a_step_up_and_a_reason(centre: Centre) -> None:
    client = await custodian(centre, step_up=False)
    path = unlocking(centre, "avec.social")
    problem = await client.refused("POST", path, 403, "step_up_needed", json=REASON)
    assert problem["advice"] == ["step_up"]
    for body in ({}, {"reason": ""}, {"reason": " "}, {"reason": "\u0085\ufeff"}, {"reason": "x" * 501}):
        await client.refused("POST", path, 422, "bad_input", json=body)
    assert await centre.journal("avec", action="member.unlock") == []
    denied = await centre.journal("avec", action="member.manage", outcome="denied")
    assert [item["entry"]["actor"] for item in denied] == [str(centre.member("avec.custodian"))]


async def test_nobody_unlocks_herself(centre: Centre) -> None:
    client = await custodian(centre)
    await client.refused("POST", unlocking(centre, "avec.custodian"), 403, "forbidden", json=REASON)
    (denied,) = await centre.journal("avec", action="member.manage", outcome="denied")
    assert denied["entry"]["basis"]["policies"] == ["base.self"]


@pytest.mark.parametrize(
    "login", ["avec.social", "avec.reception", "avec.supervisor", "avec.auditor", "avec.dpo"]
)
async def test_who_does_not_manage_members_unlocks_nobody(centre: Centre, login: str) -> None:
    client = await centre.sign_in(login, step_up=True)
    await lock(centre, "avec.psychologist")
    for member in (centre.member("avec.psychologist"), uuid4()):
        await client.refused("POST", f"/members/{member}/unlocking", 403, "forbidden", json=REASON)
    limited(await begin(centre.http, "avec.psychologist"))
    denied = await centre.journal("avec", action="member.manage", outcome="denied")
    assert [item["entry"]["actor"] for item in denied] == [str(centre.member(login))] * 2


async def test_another_organisations_member_is_unlocked_by_nobody_here(centre: Centre) -> None:
    await lock(centre, "cidff.jurist")
    client = await custodian(centre)
    for member in (centre.member("cidff.jurist"), uuid4()):
        await client.refused("POST", f"/members/{member}/unlocking", 404, "not_found", json=REASON)
    limited(await begin(centre.http, "cidff.jurist"))
    assert await centre.journal("cidff", action="member.unlock") == []
    denied = await centre.journal("avec", action="member.unlock", outcome="denied")
    assert [item["entry"]["reason"] for item in denied] == ["not_found"] * 2


async def test_a_repeated_unlocking_is_done_once(centre: Centre) -> None:
    client = await custodian(centre)
    again = {"headers": {"idempotency-key": "u-1"}}
    await lock(centre, "avec.social")
    await client.post(unlocking(centre, "avec.social"), REASON, 200, **again)
    await lock(centre, "avec.social")
    await client.post(unlocking(centre, "avec.social"), REASON, 200, **again)
    limited(await begin(centre.http, "avec.social"))


async def test_unlocking_gives_nobody_more_codes_to_guess_in_a_day(centre: Centre) -> None:
    """A custodian who knows a colleague's password guesses codes, and unlocks each time that she must wait."""
    client, path = await custodian(centre), unlocking(centre, "avec.social")
    waiting = await bearer(centre.http, "avec.social")
    code = {"code": wrong_code(centre, "avec.social")}
    for unlocked in range(4):
        for _ in range(5):
            assert (await centre.http.post(FACTOR, json=code, headers=waiting)).status_code == 401
        limited(await centre.http.post(FACTOR, json=code, headers=waiting))
        if unlocked < 3:
            await client.post(path, REASON, 200)
    limited(await client.request("POST", path, json=REASON))
    assert len(await centre.journal("avec", action="member.unlock", outcome="allowed")) == 3
    centre.clock.offset += timedelta(days=1, minutes=1)
    await sweep(centre.deployment)
    assert ("too_many_requests", 1, None) in await told(centre, "avec", "member.unlock")
    await (await custodian(centre)).post(path, REASON, 200)


async def test_an_account_whose_fifty_codes_are_used_up_is_let_in_by_the_operator(centre: Centre) -> None:
    waiting = await bearer(centre.http, "avec.social")
    code = {"code": wrong_code(centre, "avec.social")}
    for number in range(10):
        async with from_address(centre, f"198.51.100.{number}") as attacker:
            for _ in range(5):
                assert (await attacker.post(FACTOR, json=code, headers=waiting)).status_code == 401
    await (await custodian(centre)).post(unlocking(centre, "avec.social"), REASON, 200)
    again = await bearer(centre.http, "avec.social")
    limited(await centre.http.post(FACTOR, json={"code": centre.code("avec.social")}, headers=again))
    await unlock_login(centre.deployment, "avec.social")
    await centre.sign_in("avec.social")


async def test_the_operator_unlocks_by_login_and_the_organisation_is_told(centre: Centre) -> None:
    await lock(centre, "avec.social")
    with pytest.raises(UnknownLogin):
        await unlock_login(centre.deployment, "avec.nobody")
    await unlock_login(centre.deployment, "avec.social")
    await centre.sign_in("avec.social")
    (entry,) = await centre.journal("avec", action="member.unlock")
    assert (entry["entry"]["actor"], entry["entry"]["reason"]) == (None, "operator")
    assert entry["detail"] == {"login": "avec.social"}


async def test_a_step_up_that_was_guessed_at_is_unlocked_too(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(5):
        await social.request("POST", "/sessions/current/step-up", 401, json={"password": WRONG})
    await social.request("POST", "/sessions/current/step-up", 429, json={"password": PASSWORD})
    await (await custodian(centre)).post(unlocking(centre, "avec.social"), REASON, 200)
    await social.request("POST", "/sessions/current/step-up", 204, json={"password": PASSWORD})
    centre.clock.offset += timedelta(hours=1)
    await sweep(centre.deployment)
    actor = str(centre.member("avec.social"))
    assert (await told(centre, "avec", "session.step_up"))[0] == ("too_many_requests", 1, actor)
