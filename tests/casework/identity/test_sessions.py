"""Sessions: what a token opens, until when, and what it does not."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from sqlalchemy import select, update
from structlog.testing import capture_logs

from casework.identity.tables import session
from casework.routing import decode_token
from crypto.session import session_id
from tests.casework.centre import PASSWORD, Centre, Client, assert_problem
from tests.casework.story import consent, handoff, open_case

QUERIES = {("GET", "/handoffs"): {"box": "sent"}, ("GET", "/drafts"): {"case_id": str(uuid4())}}
# A session that waits for its second factor may complete or end itself, nothing else.
OWN = {("POST", "/sessions/current/second-factor"), ("DELETE", "/sessions/current")}


def _closed_routes(centre: Centre) -> list[tuple[str, str]]:
    """(method, path below /api/v1) of every route of ours that asks for a session."""
    found = []
    for route in centre.app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith("/api/v1/"):
            continue
        for handler in route.route_handlers:
            if isinstance(handler, HTTPRouteHandler) and {"requires", "signed_in"} & set(handler.opt):
                path = re.sub(r":\w+\}", "}", route.path.removeprefix("/api/v1"))
                found += [(str(method), path) for method in handler.http_methods]
    return sorted(found)


async def _bodies(centre: Centre) -> dict[tuple[str, str], Any]:
    """A body that each route would accept, by the document: nothing but the session can be what it refuses."""
    document = (await centre.http.get("/api/openapi.json")).json()
    bodies = {
        (method.upper(), path.removeprefix("/api/v1")): operation["requestBody"]["content"][
            "application/json"
        ]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }
    examples = {route: next(iter(body["examples"].values()))["value"] for route, body in bodies.items()}
    return {**examples, ("PATCH", "/cases/{case_id}/groups/{group}"): {"summary": "x"}}


async def _try_all(client: Client) -> None:
    routes = [route for route in _closed_routes(client.centre) if route not in OWN]
    assert len(routes) >= 18
    bodies = await _bodies(client.centre)
    for method, template in routes:
        path = template.replace("{group}", "social")
        path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), path)
        headers = {"if-match": '"0"'}
        query = QUERIES.get((method, template), {})
        body = bodies.get((method, template))
        answer = await client.request(method, path, json=body, headers=headers, params=query)
        assert_problem(answer, 401, "not_signed_in")


async def test_a_token_before_its_second_factor_opens_no_route(centre: Centre) -> None:
    begun = await centre.http.post("/api/v1/sessions", json={"login": "avec.social", "password": PASSWORD})
    waiting = Client(centre, begun.json()["token"])
    assert begun.json()["needs"] == ["totp"]
    await _try_all(waiting)
    await waiting.post("/sessions/current/second-factor", {"code": centre.code("avec.social")}, expect=200)
    await open_case(waiting)


async def test_no_token_opens_no_route(centre: Centre) -> None:
    await _try_all(Client(centre, "00" * 32))


MALFORMED = (
    "",
    "Bearer",
    "Bearer ",
    "Basic {token}",
    "Bearer {upper}",
    "Bearer {token}00",
    "Bearer {short}",
    "Bearer  {token}",
    "Bearer {token} {token}",
    "Bearer zz{short}",
)


async def test_a_malformed_token_opens_nothing(centre: Centre) -> None:
    token = await centre.token("avec.social")
    for header in MALFORMED:
        malformed = header.format(token=token, upper=token.upper(), short=token[2:])
        answer = await centre.http.get("/api/v1/me", headers={"authorization": malformed})
        assert_problem(answer, 401, "not_signed_in")
        assert token not in answer.text
    answer = await centre.http.get("/api/v1/me", headers={"authorization": f"bearer {token}"})
    assert answer.status_code == 200


async def test_a_session_ends_after_half_an_hour_without_a_sign_of_life(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(3):
        centre.clock.offset += timedelta(minutes=29)
        await social.get("/me")
    centre.clock.offset += timedelta(minutes=30)
    await social.refused("GET", "/me", 401, "not_signed_in")


async def test_a_session_ends_after_ten_hours_however_busy(centre: Centre) -> None:
    social = await centre.sign_in("avec.social")
    for _ in range(23):
        centre.clock.offset += timedelta(minutes=26)
        await social.get("/me")
    centre.clock.offset += timedelta(minutes=2)
    await social.refused("GET", "/me", 401, "not_signed_in")
    again = await centre.sign_in("avec.social")
    await again.get("/me")


async def test_signing_out_ends_the_session_and_is_journaled(centre: Centre) -> None:
    ended, other = await centre.sign_in("avec.social"), await centre.sign_in("avec.social")
    assert (await ended.request("DELETE", "/sessions/current")).status_code == 204
    await ended.refused("GET", "/me", 401, "not_signed_in")
    await other.get("/me")
    entry, *others = await centre.journal("avec", action="session.end")
    assert (entry["entry"]["actor"], others) == (str(centre.member("avec.social")), [])


async def test_a_step_up_lasts_five_minutes(centre: Centre) -> None:
    social = await centre.sign_in("avec.social", step_up=True)
    case = await open_case(social)
    drafted = await social.post(f"/cases/{case}/handoffs", handoff("identity"))
    await social.post(f"/handoffs/{drafted['id']}/consent", consent(drafted))
    centre.clock.offset += timedelta(minutes=5)
    refused = await social.refused("POST", f"/handoffs/{drafted['id']}/sending", 403, "step_up_needed")
    assert refused["advice"] == ["step_up"]
    assert (await social.get("/handoffs?box=sent"))["items"][0]["state"] == "consented"
    await social.request("POST", "/sessions/current/step-up", 204, json={"password": PASSWORD})
    await social.post(f"/handoffs/{drafted['id']}/sending", expect=200)
    denied, *_ = await centre.journal("avec", action="handoff.send", outcome="denied")
    assert (denied["entry"]["reason"], denied["entry"]["auth"]) == ("step_up", "mfa")


async def test_a_session_row_copied_under_another_id_does_not_open(centre: Centre) -> None:
    owner = await centre.sign_in("avec.social", step_up=True)
    thief = await centre.sign_in("avec.reception")
    case = await open_case(owner, "social")
    hers = session_id(decode_token(owner.token))
    rows = select(session).where(session.c.id == hers)
    stolen = (await centre.dba(lambda connection: connection.execute(rows).one()))._mapping
    values = {name: value for name, value in stolen.items() if name != "id"}
    copy = update(session).where(session.c.id == session_id(decode_token(thief.token))).values(values)
    await centre.dba(lambda connection: connection.execute(copy))
    with capture_logs() as logs:
        for path in ("/me", f"/cases/{case}", "/cases"):
            await thief.refused("GET", path, 500, "sealed_data_damaged")
    alarms = [line for line in logs if line["log_level"] == "critical"]
    assert [line["error"] for line in alarms] == ["SealBroken"] * 3
    assert (await owner.get(f"/cases/{case}"))["groups"]["social"]
