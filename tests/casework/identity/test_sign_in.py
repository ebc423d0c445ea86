"""Signing in: password, code, role; what is refused says nothing, and is written down."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pyotp
import pytest
from sqlalchemy import select, update

from audit.log import Filters, entries
from audit.tables import DEPLOYMENT_LOG
from casework.identity.tables import account
from tests.casework.centre import PASSWORD, Centre, assert_problem

SESSIONS = "/api/v1/sessions"
FACTOR = "/api/v1/sessions/current/second-factor"
STEP_UP = "/sessions/current/step-up"


async def _begin(centre: Centre, login: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await centre.http.post(SESSIONS, json={"login": login, "password": password, **more})


async def _begun(centre: Centre, login: str, **more: Any) -> dict[str, str]:
    """The headers of a session that waits for its second factor."""
    answer = await _begin(centre, login, **more)
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}


async def _give(centre: Centre, headers: dict[str, str], code: str, **more: Any) -> httpx.Response:
    return await centre.http.post(FACTOR, json={"code": code, **more}, headers=headers)


async def _deployment_denials(centre: Centre) -> list[tuple[str, str | None, str | None]]:
    """(action, reason, actor) of what the deployment's own log holds of refusals."""
    await centre.integrate()
    page = await centre.deployment.database.integrate(
        lambda connection: entries(connection, DEPLOYMENT_LOG, Filters())
    )
    found = [integrated.entry for integrated in page.entries]
    return [(entry.action, entry.reason, entry.actor) for entry in found if entry.outcome == "denied"]


async def test_a_wrong_password_is_refused_and_journaled_in_the_organisation(centre: Centre) -> None:
    assert_problem(await _begin(centre, "avec.social", "not this one"), 401, "sign_in_refused")
    assert (await _begin(centre, "avec.social")).status_code == 201
    refused, *_ = await centre.journal("avec", action="session.create", outcome="denied")
    assert (refused["entry"]["reason"], refused["entry"]["actor"]) == ("credentials", None)
    assert await _deployment_denials(centre) == []


async def test_an_unknown_login_answers_as_a_wrong_password_does_and_stands_in_the_deployments_log(
    centre: Centre,
) -> None:
    unknown = await _begin(centre, "avec.nobody")
    wrong = await _begin(centre, "avec.social", "not this one")
    assert_problem(unknown, 401, "sign_in_refused")
    assert (unknown.status_code, unknown.content) == (wrong.status_code, wrong.content)
    assert set(unknown.headers.items()) == set(wrong.headers.items())
    assert await _deployment_denials(centre) == [("session.create", "credentials", None)]
    assert len(await centre.journal("avec", action="session.create", outcome="denied")) == 1


async def test_an_inactive_account_is_refused_like_an_unknown_one_and_its_sessions_end(
    centre: Centre,
) -> None:
    social = await centre.sign_in("avec.social")
    await social.get("/me")
    statement = update(account).where(account.c.login == "avec.social")
    await centre.dba(lambda connection: connection.execute(statement.values(active=False)))
    inactive = await _begin(centre, "avec.social")
    unknown = await _begin(centre, "avec.nobody")
    assert_problem(inactive, 401, "sign_in_refused")
    assert inactive.content == unknown.content
    await social.refused("GET", "/me", 401, "not_signed_in")
    assert len(await centre.journal("avec", action="session.create", outcome="denied")) == 1
    await centre.dba(lambda connection: connection.execute(statement.values(active=True)))
    await social.get("/me")


async def test_a_code_is_good_once(centre: Centre) -> None:
    first, second = await _begun(centre, "avec.social"), await _begun(centre, "avec.social")
    code = centre.code("avec.social")
    assert (await _give(centre, first, code)).status_code == 200
    assert_problem(await _give(centre, second, code), 401, "sign_in_refused")
    assert (await centre.http.get("/api/v1/me", headers=second)).status_code == 401
    assert (await _give(centre, second, centre.code("avec.social"))).status_code == 200
    assert (await centre.http.get("/api/v1/me", headers=second)).status_code == 200
    refused, *others = await centre.journal("avec", action="session.second_factor", outcome="denied")
    assert refused["entry"]["reason"] == "credentials"
    assert others == []


async def test_of_many_sessions_given_one_code_at_once_one_opens(centre: Centre) -> None:
    waiting = [await _begun(centre, "avec.social") for _ in range(8)]
    code = centre.code("avec.social")
    answers = await asyncio.gather(*(_give(centre, headers, code) for headers in waiting))
    # After five that were refused the others wait.
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 5, *[429] * 2]
    opened = [(await centre.http.get("/api/v1/me", headers=headers)).status_code for headers in waiting]
    assert sorted(opened) == [200, *[401] * 7]


async def test_a_session_is_completed_once(centre: Centre) -> None:
    waiting = await _begun(centre, "avec.social")
    assert (await _give(centre, waiting, centre.code("avec.social"))).status_code == 200
    for code in (centre.code("avec.social"), "000000"):
        assert_problem(await _give(centre, waiting, code), 409, "session_complete")
    assert (await centre.http.get("/api/v1/me", headers=waiting)).status_code == 200
    assert await centre.journal("avec", action="session.second_factor", outcome="denied") == []


@pytest.mark.parametrize("steps", [-3, -2, 3, 4])
async def test_a_code_of_another_time_is_refused(centre: Centre, steps: int) -> None:
    waiting = await _begun(centre, "avec.social")
    totp = pyotp.TOTP(centre.accounts["avec.social"].totp_seed)
    code = totp.at(centre.clock.now() + timedelta(seconds=30 * steps))
    assert_problem(await _give(centre, waiting, code), 401, "sign_in_refused")
    assert (await centre.http.get("/api/v1/me", headers=waiting)).status_code == 401
    assert (await _give(centre, waiting, centre.code("avec.social"))).status_code == 200
    assert len(await centre.journal("avec", action="session.second_factor", outcome="denied")) == 1


async def test_a_code_of_a_neighbouring_step_is_taken_for_a_clock_that_drifts(centre: Centre) -> None:
    waiting = await _begun(centre, "avec.social")
    totp = pyotp.TOTP(centre.accounts["avec.social"].totp_seed)
    assert (
        await _give(centre, waiting, totp.at(centre.clock.now() - timedelta(seconds=30)))
    ).status_code == 200


async def test_several_roles_and_none_named_is_a_list_and_the_code_stays_good(centre: Centre) -> None:
    waiting = await _begun(centre, "avec.double")
    code = centre.code("avec.double")
    listed = assert_problem(await _give(centre, waiting, code), 409, "role_needed")
    assert listed["roles"] == ["supervisor", "worker"]
    assert (await centre.http.get("/api/v1/me", headers=waiting)).status_code == 401
    assert (await _give(centre, waiting, code, role="worker")).status_code == 200
    me = (await centre.http.get("/api/v1/me", headers=waiting)).json()
    assert (me["role"], me["professions"]) == ("worker", ["social"])


async def test_a_role_named_at_sign_in_is_the_sessions(centre: Centre) -> None:
    waiting = await _begun(centre, "avec.double", role="supervisor")
    assert (await _give(centre, waiting, centre.code("avec.double"))).status_code == 200
    me = (await centre.http.get("/api/v1/me", headers=waiting)).json()
    assert (me["role"], me["professions"]) == ("supervisor", [])
    # One login, two members: each has keys of its own.
    supervisor = next(
        m for m in centre.accounts["avec.double"].memberships if m.position.role == "supervisor"
    )
    assert UUID(me["member_id"]) == supervisor.id


async def test_a_role_that_is_not_hers_is_refused_and_journaled(centre: Centre) -> None:
    waiting = await _begun(centre, "avec.social")
    code = centre.code("avec.social")
    assert_problem(await _give(centre, waiting, code, role="auditor"), 401, "sign_in_refused")
    assert (await centre.http.get("/api/v1/me", headers=waiting)).status_code == 401
    assert (await _give(centre, waiting, code, role="worker")).status_code == 200
    refused, *_ = await centre.journal("avec", action="session.second_factor", outcome="denied")
    assert refused["entry"]["reason"] == "role"


async def test_a_step_up_with_another_password_is_refused_and_journaled(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    await social.refused("POST", STEP_UP, 401, "sign_in_refused", json={"password": "not this one"})
    # A colleague's session, with her own password, is not this one.
    await social.refused("POST", STEP_UP, 401, "sign_in_refused", json={"password": PASSWORD + " "})
    assert (await social.request("POST", STEP_UP, json={"password": PASSWORD})).status_code == 204
    items = await centre.journal("avec", action="session.step_up")
    assert [(item["outcome"], item["entry"]["auth"]) for item in items] == [
        ("allowed", "step_up"),
        ("denied", "mfa"),
        ("denied", "mfa"),
    ]
    assert {item["entry"]["actor"] for item in items} == {str(centre.member("avec.social"))}


async def test_no_password_code_or_token_is_in_the_journal_or_the_database(centre: Centre) -> None:
    token = await centre.token("avec.social", step_up=True)
    items = await centre.journal("avec")
    texts = [str(item) for item in items]
    rows = await centre.dba(lambda connection: connection.execute(select(account)).all())
    texts += [str(row) for row in rows]
    seed = centre.accounts["avec.social"].totp_seed
    assert not any(secret in text for text in texts for secret in (PASSWORD, token, seed))
