"""Every route, and whatever can be wrong with a request: a problem each time, that shows nothing of what was sent.

The routes are the application's own: a new one is tried as soon as it is there.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from structlog.testing import capture_logs

from casework.routing import COOKIE, TOKEN_SIZE
from tests.casework import story
from tests.casework.centre import PASSWORD, Centre, Client
from tests.conventions.routes import PUBLIC, ROUTES, UNMARKED

CANARY = "canari-5d0c1b9e"
MEBIBYTE = 1024 * 1024
JSON = {"content-type": "application/json"}
ADDRESSES = sorted(ROUTES.keys() - UNMARKED)
OF_MEMBERS = [address for address in ADDRESSES if ROUTES[address] != PUBLIC]
# A POST, PUT or DELETE that takes no body does not read the one that is sent.
BODILESS = {
    ("DELETE", "/api/v1/sessions/current"),
    ("DELETE", "/api/v1/drafts/{draft_id:uuid}"),
    ("PUT", "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}"),
    ("DELETE", "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}"),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/sending"),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/cancellation"),
    ("POST", "/api/v1/handoffs/{handoff_id:uuid}/acknowledgement"),
}
WITH_BODY = [address for address in ADDRESSES if address[0] != "GET" and address not in BODILESS]
# What a route cannot be asked without.
PARAMETERS = {"/api/v1/handoffs": {"box": "sent"}, "/api/v1/drafts": {"case_id": str(uuid4())}}

MALFORMED_TOKENS = {
    "words": f"Bearer {CANARY}",
    "empty": "Bearer ",
    "too short": "Bearer " + "ab" * (TOKEN_SIZE - 1),
    "too long": "Bearer " + "ab" * (TOKEN_SIZE + 1),
    "upper case": "Bearer " + "AB" * TOKEN_SIZE,
    "unknown": "Bearer " + "ab" * TOKEN_SIZE,
    "huge": "Bearer " + "ab" * 4_000,
    "another scheme": f"Basic {CANARY}",
    "other digits": "Bearer " + "\u0661".encode().decode("latin-1") * 64,
}
BODIES = {
    "not JSON": CANARY.encode(),
    "cut short": f'{{"{CANARY}": '.encode(),
    "not UTF-8": b'{"a": "\xff"}',
    "another type": f'["{CANARY}"]'.encode(),
    "unknown field": f'{{"{CANARY}": 1}}'.encode(),
    "deeply nested": b"[" * 100_000,
    "a NUL": f'{{"login": "{CANARY}\\u0000"}}'.encode(),
    "null": b"null",
    "a bare number": b"1e999",
    "an unpaired surrogate": b'{"login": "\\ud800"}',
}


@pytest.fixture
async def member(centre: Centre) -> Client:
    return await centre.sign_in("avec.social")


def path_of(template: str) -> str:
    return re.sub(r"\{\w+:(\w+)\}", lambda kind: str(uuid4()) if kind[1] == "uuid" else "social", template)


@contextmanager
def nothing_logged() -> Iterator[None]:
    with capture_logs() as logs:
        yield
    assert CANARY not in str(logs)
    # No fault and no alarm: what a client sends is never one.
    assert [line for line in logs if line["log_level"] in {"error", "critical"}] == []


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The code of a problem of one of these statuses that shows nothing of what was sent."""
    assert answer.status_code in statuses, (answer.request.method, answer.request.url, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    assert not any(CANARY in value for value in answer.headers.values())
    code: str = answer.json()["code"]
    return code


def test_the_routes_are_those_of_the_application(centre: Centre, engine_name: str) -> None:
    found = {
        (str(method), route.path)
        for route in _routes(centre.app)
        for handler in route.route_handlers
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    assert found - UNMARKED == set(ADDRESSES)
    assert set(ADDRESSES) >= BODILESS


def _routes(app: Litestar) -> list[Any]:
    return [route for route in app.routes if hasattr(route, "route_handlers")]


async def test_a_malformed_token_is_401_on_every_route(centre: Centre) -> None:
    with nothing_logged():
        for method, template in OF_MEMBERS:
            for token in MALFORMED_TOKENS.values():
                headers = {"authorization": token.encode("latin-1"), "if-match": '"0"'}
                answer = await _ask(centre, method, template, headers)
                # A body that does not fit is refused before it is asked whose it is.
                refused(answer, 401, 422)
                if method == "GET":
                    assert answer.status_code == 401


async def test_a_malformed_cookie_is_401_on_every_route(centre: Centre) -> None:
    with nothing_logged():
        for method, template in OF_MEMBERS:
            for value in (CANARY, "", "ab" * 4_000, '"', "ab" * TOKEN_SIZE):
                headers = {"cookie": f"{COOKIE}={value}", "if-match": '"0"'}
                refused(await _ask(centre, method, template, headers), 401, 422)


async def _ask(centre: Centre, method: str, template: str, headers: Any) -> httpx.Response:
    body = {"json": {}} if method in {"POST", "PUT", "PATCH"} else {}
    params = PARAMETERS.get(template, {})
    return await centre.http.request(method, path_of(template), headers=headers, params=params, **body)


async def test_a_bad_body_is_refused_on_every_route_that_takes_one(centre: Centre, member: Client) -> None:
    headers = {"authorization": f"Bearer {member.token}", "if-match": '"0"', **JSON}
    with nothing_logged():
        for method, template in WITH_BODY:
            for name, body in BODIES.items():
                answer = await centre.http.request(method, path_of(template), content=body, headers=headers)
                code = refused(answer, 400, 422)
                assert code in {"bad_request", "bad_input"}, (method, template, name)


async def test_a_body_over_a_mebibyte_is_413_on_every_route_that_takes_one(
    centre: Centre, member: Client
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield CANARY.encode().ljust(65_536)

    headers = {"authorization": f"Bearer {member.token}", "if-match": '"0"', **JSON}
    with nothing_logged():
        for method, template in WITH_BODY:
            for body in (CANARY.encode().ljust(MEBIBYTE + 1), stream()):
                answer = await centre.http.request(method, path_of(template), content=body, headers=headers)
                assert refused(answer, 413) == "too_large"


async def test_bad_parameters_and_headers_are_refused_or_unknown_on_every_route(
    centre: Centre, member: Client
) -> None:
    """A purpose or a key that is none is a 422; an id that is none is answered as an absent one."""
    token = {"authorization": f"Bearer {member.token}", "if-match": '"0"'}
    with nothing_logged():
        for method, template in OF_MEMBERS:
            bad_path = re.sub(r"\{\w+:\w+\}", CANARY, template)
            if bad_path != template:
                answer = await centre.http.request(method, bad_path, headers=token)
                refused(answer, 404)
            answer = await _ask(centre, method, template, {**token, "casework-purpose": CANARY})
            refused(answer, 422)


async def test_another_body_under_a_used_key_is_refused_and_shows_neither(
    centre: Centre, member: Client
) -> None:
    case = await story.open_case(member, "social")
    once = {"idempotency-key": "one-and-the-same"}
    drafted = await member.post(f"/cases/{case}/handoffs", story.handoff("identity"), headers=once)
    pairs: list[tuple[str, Any, Any]] = [
        ("/cases", story.new_case(), story.new_case("social")),
        (
            f"/cases/{case}/follow-ups",
            story.follow_up("accompagnement_social", "social"),
            story.follow_up("accompagnement_social", "social", duration_minutes=5),
        ),
        (
            f"/handoffs/{drafted['id']}/consent",
            story.consent(drafted),
            story.consent(drafted, language="es"),
        ),
        (f"/cases/{case}/handoffs", None, story.handoff("identity", "social")),
    ]
    for path, first, other in pairs:
        if first is not None:
            await member.post(path, first, headers=once)
        answer = await member.request("POST", path, json=other, headers=once)
        assert refused(answer, 422) == "bad_input"
        assert answer.json()["errors"] == [{"field": "Idempotency-Key", "code": "used_with_another_body"}]
        assert story.CANARY not in answer.text


async def test_a_replayed_code_signs_nobody_in(centre: Centre, engine_name: str) -> None:
    code = None
    for status in (200, 401):
        begun = await centre.http.post(
            "/api/v1/sessions", json={"login": "avec.social", "password": PASSWORD}
        )
        headers = {"authorization": f"Bearer {begun.json()['token']}"}
        code = code or centre.code("avec.social")
        given = await centre.http.post(
            "/api/v1/sessions/current/second-factor", json={"code": code}, headers=headers
        )
        assert given.status_code == status
    assert refused(given, 401) == "sign_in_refused"
    assert code not in given.text
    refused(await centre.http.get("/api/v1/me", headers=headers), 401)


async def test_a_stale_version_shows_both_to_whoever_may_read_them_and_overwrites_nothing(
    member: Client,
) -> None:
    case = await story.open_case(member, "social")
    changed = await member.patch(f"/cases/{case}/groups/social", {"summary": "un"}, 1)
    for version in ("1", "99999999999999999999", "-1", CANARY, "*", ""):
        answer = await member.request(
            "PATCH",
            f"/cases/{case}/groups/social",
            json={"summary": "deux"},
            headers={"if-match": f'"{version}"'},
        )
        refused(answer, 412, 422)
    assert changed["version"] == 2
    assert (await member.get(f"/cases/{case}"))["groups"]["social"] == {"summary": "un"}
