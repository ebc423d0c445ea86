"""A password changed: the same keys under it, and what was good before is refused."""

from typing import Any

import pytest
from sqlalchemy import select

from casework.identity.strength import PasswordRule, PasswordTooWeak, entropy_bits, require_strong
from casework.identity.tables import account, membership
from casework.identity.wrapping import params_of
from crypto.password import FLOOR_PARAMS, KdfParams
from tests.casework import story
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem

CHANGE = "/me/password"
NEW = "un bateau mauve traverse Lisbonne"
SESSIONS = "/api/v1/sessions"


async def _change(client: Client, old: str = PASSWORD, new: str = NEW) -> Any:
    return await client.request("POST", CHANGE, json={"password": old, "new_password": new})


async def _begin(centre: Centre, login: str, password: str) -> Any:
    return await centre.http.post(SESSIONS, json={"login": login, "password": password})


async def _account(centre: Centre, login: str) -> Any:
    query = select(account).where(account.c.login == login)
    return await centre.dba(lambda connection: connection.execute(query).one())


async def test_the_old_password_is_refused_after_a_change_and_the_new_one_opens_the_same_cases(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await story.open_case(social, "social")
    assert (await _change(social)).status_code == 204
    assert_problem(await _begin(centre, "avec.social", PASSWORD), 401, "sign_in_refused")
    again = await centre.sign_in("avec.social", step_up=True, password=NEW)
    assert (await again.get(f"/cases/{case}"))["groups"]["social"]
    changed, *_ = await centre.journal("avec", action="password.change")
    assert (changed["entry"]["outcome"], changed["entry"]["auth"]) == ("allowed", "step_up")
    assert changed["entry"]["actor"] == str(centre.member("avec.social"))
    refused, *_ = await centre.journal("avec", action="session.create", outcome="denied")
    assert refused["entry"]["reason"] == "credentials"


async def test_a_change_without_the_old_password_is_refused_counted_and_journaled(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(5):
        assert_problem(await _change(social, "not this one at all"), 401, "sign_in_refused")
    assert_problem(await _change(social), 429, "too_many_requests")
    assert (await _begin(centre, "avec.social", PASSWORD)).status_code == 201
    refused = await centre.journal("avec", action="password.change", outcome="denied")
    assert len(refused) == 5
    assert {found["entry"]["actor"] for found in refused} == {str(centre.member("avec.social"))}


async def test_other_sessions_of_the_member_end_with_a_change_and_those_of_others_do_not(
    centre: Centre,
) -> None:
    social, elsewhere = await centre.sign_in("avec.social"), await centre.sign_in("avec.social")
    waiting = (await _begin(centre, "avec.social", PASSWORD)).json()["token"]
    jurist = await centre.sign_in("avec.jurist")
    assert (await _change(social)).status_code == 204
    await social.get("/me")
    await jurist.get("/me")
    await elsewhere.refused("GET", "/me", 401, "not_signed_in")
    answer = await centre.http.post(
        f"{SESSIONS}/current/second-factor",
        json={"code": centre.code("avec.social")},
        headers={"authorization": f"Bearer {waiting}"},
    )
    assert_problem(answer, 401, "not_signed_in")


async def test_every_membership_of_a_login_is_wrapped_anew_and_keeps_its_keys(centre: Centre) -> None:
    async def keys() -> dict[Any, Any]:
        query = select(membership.c.id, membership.c.daily_key)
        rows = await centre.dba(lambda connection: connection.execute(query).all())
        return {row.id: row.daily_key.blob for row in rows}

    before = await keys()
    double = await centre.sign_in("avec.double", role="worker")
    assert (await _change(double)).status_code == 204
    after = await keys()
    hers = {member.id for member in centre.accounts["avec.double"].memberships}
    assert {member for member in after if after[member] != before[member]} == hers
    supervisor = await centre.sign_in("avec.double", role="supervisor", password=NEW, step_up=True)
    assert (await supervisor.get("/me"))["role"] == "supervisor"


@pytest.mark.parametrize(
    ("new", "rule"),
    [
        ("Az9!court", PasswordRule.TOO_SIMPLE),
        ("azertyuiopqs", PasswordRule.TOO_SIMPLE),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", PasswordRule.GUESSABLE),
        ("qwertyuiop1234567890", PasswordRule.GUESSABLE),
        ("avec.social.avec.social", PasswordRule.GUESSABLE),
        ("un bateau mauve\ttraverse Lisbonne", PasswordRule.UNUSABLE),
    ],
)
async def test_a_weak_password_is_refused_by_the_name_of_the_rule_and_never_shown(
    centre: Centre, new: str, rule: PasswordRule
) -> None:
    social = await centre.sign_in("avec.social")
    answer = await _change(social, new=new)
    body = assert_problem(answer, 422, "password_too_weak")
    assert body["errors"] == [{"field": "new_password", "code": rule}]
    assert new not in answer.text
    named = {"unusable": "caractère", "too_simple": "CNIL", "guessable": "zxcvbn"}
    assert named[rule] in body["title"]
    assert (await _begin(centre, "avec.social", PASSWORD)).status_code == 201


async def test_parameters_below_the_present_ones_are_raised_at_the_next_sign_in(centre: Centre) -> None:
    raised = KdfParams(memory_kib=FLOOR_PARAMS.memory_kib + 1_024, time_cost=3, parallelism=1)
    social = await centre.sign_in("avec.social", step_up=True)
    case = await story.open_case(social, "social")

    async def stands() -> tuple[Any, ...]:
        row = await _account(centre, "avec.social")
        return row.auth_hash, row.kdf_salt, params_of(row)

    before = await stands()
    assert before[2] == FLOOR_PARAMS
    centre.deployment.kdf_params = raised
    assert_problem(await _begin(centre, "avec.social", "not this one"), 401, "sign_in_refused")
    assert await stands() == before
    again = await centre.sign_in("avec.social", step_up=True)
    after = await stands()
    assert after[2] == raised
    assert after[1] != before[1]
    assert (await again.get(f"/cases/{case}"))["groups"]["social"]
    # What is higher is not lowered again.
    centre.deployment.kdf_params = FLOOR_PARAMS
    await centre.sign_in("avec.social", step_up=True)
    assert await stands() == after


@pytest.mark.parametrize(
    ("password", "bits"),
    # The examples of the recommendation itself: 12 characters of four kinds, 14 of three.
    [("aA1!aA1!aA1!", 80), ("aA1aA1aA1aA1aA", 83), ("aaaa", 19), ("", 0)],
)
def test_entropy_is_counted_as_the_cnil_does(password: str, bits: int) -> None:
    assert round(entropy_bits(password)) == bits


def test_what_is_beyond_seventy_two_characters_is_taken_without_being_looked_at() -> None:
    require_strong(NEW + "x" * 900, [])
    with pytest.raises(PasswordTooWeak):
        require_strong(NEW * 40, [])
