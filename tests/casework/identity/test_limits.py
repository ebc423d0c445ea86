"""Trying too often: what is refused, for whom, until when; and that nobody is kept out for good."""

import asyncio
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from audit.log import Filters, entries
from audit.tables import DEPLOYMENT_LOG
from casework.act import Act
from casework.deployment import assemble, dismantle
from casework.errors import TooManyRequests
from casework.identity import limits, sign_in
from casework.identity.tables import attempt
from casework.journal import Who
from casework.upkeep import sweep
from crypto.journal import source_hash
from crypto.password import FLOOR_PARAMS
from tests.casework.centre import PASSWORD, Centre, assert_problem
from tests.casework.story import open_case

SESSIONS = "/api/v1/sessions"
FACTOR = "/api/v1/sessions/current/second-factor"
STEP_UP = "/api/v1/sessions/current/step-up"
WRONG = "not this one"


@asynccontextmanager
async def from_address(centre: Centre, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service, reached from this address."""
    transport = httpx.ASGITransport(centre.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
        yield http


async def begin(http: httpx.AsyncClient, login: str, password: str = PASSWORD) -> httpx.Response:
    return await http.post(SESSIONS, json={"login": login, "password": password})


async def wrong_passwords(http: httpx.AsyncClient, login: str, times: int) -> list[int]:
    return [(await begin(http, login, WRONG)).status_code for _ in range(times)]


async def bearer(http: httpx.AsyncClient, login: str) -> dict[str, str]:
    begun = await begin(http, login)
    assert begun.status_code == 201, begun.text
    return {"authorization": f"Bearer {begun.json()['token']}"}


def limited(answer: httpx.Response) -> int:
    """The answer says that it was too often, and when to come again."""
    problem = assert_problem(answer, 429, "too_many_requests")
    assert problem["title"].startswith("Trop d’essais. Réessayez dans ")
    return int(answer.headers["retry-after"])


def wrong_code(centre: Centre, login: str) -> str:
    """Six digits that are no code of this login around now."""
    return f"{(int(centre.code(login)) + 500_000) % 1_000_000:06d}"


async def told(centre: Centre, slug: str, action: str) -> list[tuple[str | None, int | None, str | None]]:
    """(reason, count, actor) of what an organisation's log holds of refused tries, newest first."""
    found = await centre.journal(slug, action=action, outcome="denied")
    return [(item["entry"]["reason"], item["entry"]["count"], item["entry"]["actor"]) for item in found]


@pytest.fixture
def stretched(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The salts of the passwords that were stretched, by the real function."""
    salts: list[bytes] = []
    original = sign_in.stretch

    def spy(password: str, salt: bytes, params: Any) -> Any:
        salts.append(salt)
        return original(password, salt, params)

    monkeypatch.setattr(sign_in, "stretch", spy)
    return salts


async def test_after_five_wrong_passwords_the_right_one_waits_two_minutes(
    centre: Centre, stretched: list[bytes]
) -> None:
    assert await wrong_passwords(centre.http, "avec.social", 5) == [401] * 5
    refused = await begin(centre.http, "avec.social")
    assert 110 < limited(refused) <= 120
    assert refused.json()["title"] == "Trop d’essais. Réessayez dans 2\u00a0minutes."
    assert len(stretched) == 5
    # Neither a colleague nor she herself from elsewhere is kept out.
    assert (await begin(centre.http, "avec.psychologist")).status_code == 201
    async with from_address(centre, "198.51.100.7") as elsewhere:
        assert (await begin(elsewhere, "avec.social")).status_code == 201
    centre.clock.offset += timedelta(minutes=2)
    assert (await begin(centre.http, "avec.social")).status_code == 201
    assert await told(centre, "avec", "session.create") == [("credentials", None, None)] * 5


async def test_each_further_wrong_password_doubles_the_wait(centre: Centre) -> None:
    await wrong_passwords(centre.http, "avec.social", 5)
    for minutes in (2, 4, 8):
        assert 60 * minutes - 10 < limited(await begin(centre.http, "avec.social")) <= 60 * minutes
        centre.clock.offset += timedelta(minutes=minutes)
        assert await wrong_passwords(centre.http, "avec.social", 1) == [401]
    centre.clock.offset += timedelta(minutes=16)
    assert (await begin(centre.http, "avec.social")).status_code == 201
    # The right one forgets the wrong ones.
    assert await wrong_passwords(centre.http, "avec.social", 4) == [401] * 4
    assert (await begin(centre.http, "avec.social")).status_code == 201
    assert await wrong_passwords(centre.http, "avec.social", 4) == [401] * 4


def test_a_day_of_guessing_from_one_address_is_twenty_one_guesses() -> None:
    start = now = datetime(2026, 11, 1, tzinfo=UTC)
    tries = 0
    while now < start + timedelta(hours=24):
        tries += 1
        ends = limits.SIGN_IN.window_ends(None, now)
        now = limits.SIGN_IN.blocked_until(tries, now, ends) or now
    assert tries == 21
    longest = limits.SIGN_IN.blocked_until(1_000, start, start)
    assert longest == start + timedelta(hours=2)


async def test_an_unknown_login_is_limited_exactly_like_a_known_one(
    centre: Centre, stretched: list[bytes]
) -> None:
    answers = {}
    for login in ("avec.social", "avec.nobody"):
        stretched.clear()
        given = [await begin(centre.http, login, WRONG) for _ in range(7)]
        shown = [(a.status_code, a.content, sorted(a.headers.keys())) for a in given]
        answers[login] = (shown, len(stretched))
        assert [a.status_code for a in given] == [401] * 5 + [429] * 2
    assert answers["avec.social"] == answers["avec.nobody"]


async def test_of_thirty_two_wrong_guesses_at_once_five_are_judged(
    centre: Centre, stretched: list[bytes]
) -> None:
    guesses = await asyncio.gather(*(begin(centre.http, "avec.social", WRONG) for _ in range(32)))
    assert Tally(answer.status_code for answer in guesses) == {401: 5, 429: 27}
    # Two are stretched at a time: what the limit overtakes meanwhile is one.
    assert len(stretched) <= 6
    limited(await begin(centre.http, "avec.social"))
    assert len(await told(centre, "avec", "session.create")) == 5


async def test_a_right_guess_among_many_at_once_is_one_of_the_first_or_is_not_judged(centre: Centre) -> None:
    await wrong_passwords(centre.http, "avec.social", 4)
    passwords = [WRONG] * 16 + [PASSWORD] + [WRONG] * 15
    guesses = await asyncio.gather(*(begin(centre.http, "avec.social", guess) for guess in passwords))
    assert Tally(answer.status_code for answer in guesses) == {401: 1, 429: 31}


async def test_right_passwords_at_once_are_all_let_in(centre: Centre) -> None:
    signed_in = await asyncio.gather(*(begin(centre.http, "avec.social") for _ in range(12)))
    assert {answer.status_code for answer in signed_in} == {201}


async def test_guessing_from_many_addresses_keeps_nobody_out_longer_than_an_hour(centre: Centre) -> None:
    for number in range(12):
        async with from_address(centre, f"198.51.100.{number}") as attacker:
            assert await wrong_passwords(attacker, "avec.social", 5) == [401] * 5
    async with from_address(centre, "198.51.100.99") as attacker:
        assert 3_000 < limited(await begin(attacker, "avec.social", WRONG)) <= 3_600
        assert (await begin(attacker, "avec.psychologist")).status_code == 201
    centre.clock.offset += timedelta(hours=1)
    assert (await begin(centre.http, "avec.social")).status_code == 201


async def test_one_address_that_tries_many_logins_waits_a_quarter_of_an_hour(centre: Centre) -> None:
    async with from_address(centre, "198.51.100.7") as attacker:
        for number in range(25):
            assert await wrong_passwords(attacker, f"avec.{number}", 4) == [401] * 4
        assert 840 < limited(await begin(attacker, "avec.social")) <= 900
        assert (await begin(centre.http, "avec.social")).status_code == 201
        centre.clock.offset += timedelta(minutes=15)
        assert (await begin(attacker, "avec.social")).status_code == 201


async def test_all_addresses_of_one_ipv6_subscriber_are_one(centre: Centre) -> None:
    for number in range(5):
        async with from_address(centre, f"2001:db8:1:2::{number}") as attacker:
            assert await wrong_passwords(attacker, "avec.social", 1) == [401]
    async with from_address(centre, "2001:db8:1:2:ffff::9") as attacker:
        limited(await begin(attacker, "avec.social"))
    async with from_address(centre, "2001:db8:1:3::9") as neighbour:
        assert (await begin(neighbour, "avec.social")).status_code == 201


async def test_wrong_codes_are_counted_over_all_sessions_of_the_account(centre: Centre) -> None:
    for _ in range(5):
        waiting = await bearer(centre.http, "avec.social")
        code = wrong_code(centre, "avec.social")
        refused = await centre.http.post(FACTOR, json={"code": code}, headers=waiting)
        assert_problem(refused, 401, "sign_in_refused")
    waiting = await bearer(centre.http, "avec.social")
    right = {"code": centre.code("avec.social")}
    limited(await centre.http.post(FACTOR, json=right, headers=waiting))
    assert (await centre.http.get("/api/v1/me", headers=waiting)).status_code == 401
    await centre.sign_in("avec.psychologist")
    centre.clock.offset += timedelta(minutes=2)
    await centre.sign_in("avec.social")
    assert await told(centre, "avec", "session.second_factor") == [("credentials", None, None)] * 5


async def test_wrong_codes_from_many_addresses_end_at_fifty_a_day(centre: Centre) -> None:
    for number in range(10):
        async with from_address(centre, f"198.51.100.{number}") as attacker:
            waiting = await bearer(attacker, "avec.social")
            for _ in range(5):
                code = wrong_code(centre, "avec.social")
                refused = await attacker.post(FACTOR, json={"code": code}, headers=waiting)
                assert refused.status_code == 401
    waiting = await bearer(centre.http, "avec.social")
    right = {"code": centre.code("avec.social")}
    assert limited(await centre.http.post(FACTOR, json=right, headers=waiting)) > 80_000


async def test_thirty_two_wrong_codes_at_once_are_five(centre: Centre) -> None:
    waiting = await bearer(centre.http, "avec.social")
    wrong = {"code": wrong_code(centre, "avec.social")}
    answers = await asyncio.gather(
        *(centre.http.post(FACTOR, json=wrong, headers=waiting) for _ in range(32))
    )
    assert Tally(answer.status_code for answer in answers) == {401: 5, 429: 27}


async def test_a_step_up_does_not_wait_for_those_who_sign_in(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    turns = centre.deployment.password_turns
    async with turns, turns:
        flood = [asyncio.create_task(begin(centre.http, "avec.psychologist")) for _ in range(20)]
        async with asyncio.timeout(30):
            await social.post("/sessions/current/step-up", {"password": PASSWORD}, 204)
        assert not any(waiting.done() for waiting in flood)
    assert {(await waiting).status_code for waiting in flood} == {201}


async def test_past_fifty_that_wait_a_sign_in_is_sent_away_and_is_no_try(
    centre: Centre, stretched: list[bytes]
) -> None:
    async def guess(number: int) -> httpx.Response:
        async with from_address(centre, f"2001:db8:0:{number:x}::1") as http:
            return await begin(http, f"avec.nobody{number}", WRONG)

    turns = centre.deployment.password_turns
    async with turns, turns:
        guesses = [asyncio.create_task(guess(number)) for number in range(60)]
        first = asyncio.as_completed(guesses, timeout=30)
        for _ in range(10):
            answer = await next(first)
            problem = assert_problem(answer, 503, "busy")
            assert problem["title"] == "Trop de connexions sont en cours. Réessayez dans un instant."
            assert answer.headers["retry-after"] == "5"
        assert stretched == []
    answers = await asyncio.gather(*guesses)
    assert Tally(answer.status_code for answer in answers) == {401: 50, 503: 10}
    assert len(stretched) == 50
    logins = await centre.dba(
        lambda c: c.execute(select(attempt.c.tries).where(attempt.c.name == "sign_in")).all()
    )
    assert [row.tries for row in logins] == [1] * 50
    await centre.integrate()
    page = await centre.deployment.database.integrate(
        lambda connection: entries(connection, DEPLOYMENT_LOG, Filters())
    )
    assert Tally(found.entry.reason for found in page.entries) == {"credentials": 50}
    # The line is free again.
    assert (await begin(centre.http, "avec.social")).status_code == 201


async def test_a_stolen_session_guesses_the_password_five_times(
    centre: Centre, stretched: list[bytes]
) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(5):
        await social.refused(
            "POST", "/sessions/current/step-up", 401, "sign_in_refused", json={"password": WRONG}
        )
    stretched.clear()
    other = await centre.sign_in("avec.social")
    for client in (social, other):
        limited(await client.request("POST", "/sessions/current/step-up", json={"password": PASSWORD}))
    assert len(stretched) == 1
    await centre.sign_in("avec.psychologist", step_up=True)
    centre.clock.offset += timedelta(minutes=2)
    await social.post("/sessions/current/step-up", {"password": PASSWORD}, 204)
    await sweep(centre.deployment)
    actor = str(centre.member("avec.social"))
    assert await told(centre, "avec", "session.step_up") == [
        ("too_many_requests", 2, actor),
        *[("credentials", None, actor)] * 5,
    ]


async def test_counters_are_shared_by_processes_and_outlive_them(centre: Centre) -> None:
    await wrong_passwords(centre.http, "avec.social", 5)
    source = source_hash(centre.deployment.pepper, "127.0.0.1").hex()
    other = await assemble(centre.deployment.settings, centre.clock, FLOOR_PARAMS)
    try:
        with pytest.raises(TooManyRequests):
            await sign_in.sign_in(other, Who(uuid4(), source), "avec.social", PASSWORD, None)
        await sign_in.sign_in(other, Who(uuid4(), source), "avec.psychologist", PASSWORD, None)
    finally:
        await dismantle(other)


async def test_no_login_and_no_address_is_in_a_counter(centre: Centre) -> None:
    await wrong_passwords(centre.http, "avec.social", 2)
    rows = await centre.dba(lambda connection: connection.execute(select(attempt)).all())
    assert len(rows) == 3
    stored = (
        b"|".join(value for row in rows for value in row if isinstance(value, bytes)) + str(rows).encode()
    )
    source = source_hash(centre.deployment.pepper, "127.0.0.1")
    for told_in_clear in (b"avec", b"social", b"127.0.0.1", source, source.hex().encode()):
        assert told_in_clear not in stored


async def test_what_a_counter_refused_is_one_entry_once_the_wait_is_over(centre: Centre) -> None:
    for login in ("avec.social", "avec.nobody"):
        await wrong_passwords(centre.http, login, 5 + 9)
    await sweep(centre.deployment)
    refusals = await told(centre, "avec", "session.create")
    assert refusals == [("credentials", None, None)] * 5
    centre.clock.offset += timedelta(minutes=2)
    await sweep(centre.deployment)
    await sweep(centre.deployment)
    assert await told(centre, "avec", "session.create") == [("too_many_requests", 9, None), *refusals]
    page = await centre.deployment.database.integrate(
        lambda connection: entries(connection, DEPLOYMENT_LOG, Filters(action="session.create"))
    )
    assert [(found.entry.reason, found.entry.count) for found in page.entries] == [
        ("too_many_requests", 9),
        *[("credentials", None)] * 5,
    ]


async def test_who_asks_for_too_much_that_is_not_there_is_told_to_wait_and_counted_once(
    centre: Centre,
) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    own, forbidden = await open_case(social), await open_case(psychologist)
    for _ in range(50):
        await social.refused("GET", f"/cases/{uuid4()}", 404, "not_found")
        await social.refused("GET", f"/cases/{forbidden}", 404, "not_found")
    for path in (f"/cases/{uuid4()}", f"/cases/{forbidden}", f"/cases/{forbidden}/follow-ups"):
        assert 500 < limited(await social.request("GET", path)) <= 600
    # What is hers stays hers, and a colleague is told as ever.
    await social.get(f"/cases/{own}")
    await psychologist.refused("GET", f"/cases/{own}", 404, "not_found")
    actor = str(centre.member("avec.social"))
    mine = [found for found in await told(centre, "avec", "case.open") if found[2] == actor]
    assert mine == [("not_found", None, actor)] * 100
    centre.clock.offset += timedelta(minutes=10)
    await social.refused("GET", f"/cases/{forbidden}", 404, "not_found")
    await sweep(centre.deployment)
    entries_after = [found for found in await told(centre, "avec", "case.open") if found[2] == actor]
    assert entries_after[:2] == [("too_many_requests", 3, actor), ("not_found", None, actor)]
    assert len(entries_after) == 102


async def test_who_searches_too_often_waits_and_her_colleagues_do_not(centre: Centre) -> None:
    social, psychologist = await centre.sign_in("avec.social"), await centre.sign_in("avec.psychologist")
    wanted = {"name": "Inès"}

    def search_59_times(act: Act) -> None:
        for _ in range(59):
            limits.limit(act, limits.SEARCH)

    await centre.act(social, search_59_times)
    await social.post("/search", wanted, 200)
    assert 0 < limited(await social.request("POST", "/search", json=wanted)) <= 300
    await psychologist.post("/search", wanted, 200)
    searched = await centre.journal("avec", action="case.search")
    assert [item["entry"]["actor"] for item in searched] == [
        str(centre.member(login)) for login in ("avec.psychologist", "avec.social")
    ]
    centre.clock.offset += timedelta(minutes=5)
    await social.post("/search", wanted, 200)
    await sweep(centre.deployment)
    told_of = await told(centre, "avec", "case.search")
    assert told_of == [("too_many_requests", 1, str(centre.member("avec.social")))]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1\u00a0seconde"),
        (59, "59\u00a0secondes"),
        (60, "1\u00a0minute"),
        (61, "2\u00a0minutes"),
        (7_200, "120\u00a0minutes"),
        (7_201, "3\u00a0heures"),
        (86_400, "24\u00a0heures"),
    ],
)
def test_a_wait_is_said_in_words_and_never_too_short(seconds: int, words: str) -> None:
    assert TooManyRequests(seconds, b"").title == f"Trop d’essais. Réessayez dans {words}."
