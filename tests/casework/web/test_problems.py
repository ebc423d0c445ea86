"""Whatever is sent, the answer is a problem of the right status that names field and rule and echoes no value."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.casework.centre import Centre, Client

CANARY = "canari-7f1d2c52"
CASE = {"public": "seeking", "identity": {"name_in_use": "Inès"}}
JSON = {"content-type": "application/json"}
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def worker(centre: Centre) -> Client:
    return await centre.sign_in("avec.social")


@pytest.fixture
async def case_id(worker: Client) -> str:
    return str((await worker.post("/cases", CASE))["id"])


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a problem that says this, and in which nothing that was sent is found."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    assert not any(CANARY in value for value in answer.headers.values())
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:casework:problem:{code}"
    assert body["title"]
    assert (body["status"], body["code"]) == (status, code)
    return body


def one_error(answer: httpx.Response, status: int, code: str) -> tuple[str, str]:
    (error,) = problem(answer, status, code)["errors"]
    assert set(error) == {"field", "code"}
    return error["field"], error["code"]


@pytest.mark.parametrize(
    ("sent", "field", "rule"),
    [
        (CASE | {CANARY: 1}, "body", "unknown_field"),
        (CASE | {"identity": {"name_in_use": "a", CANARY: 1}}, "identity", "unknown_field"),
        (CASE | {"public": CANARY}, "public", "not_in_vocabulary"),
        (CASE | {"identity": CANARY}, "identity", "wrong_type"),
        (CASE | {"contact": {"phone": 612345678}}, "contact.phone", "wrong_type"),
        ({"public": "seeking"}, "identity", "missing"),
        ({"public": "seeking", "identity": {}}, "identity.name_in_use", "missing"),
        ([CANARY], "body", "wrong_type"),
        (CASE | {"social": {"summary": f"{CANARY}\0"}}, "body", "nul_character"),
    ],
)
async def test_a_body_of_the_wrong_form_is_refused_by_field_and_rule(
    worker: Client, sent: Any, field: str, rule: str
) -> None:
    assert one_error(await worker.request("POST", "/cases", json=sent), 422, "bad_input") == (field, rule)


async def test_a_body_that_is_left_out_is_missing(worker: Client, case_id: str) -> None:
    for method, path in (("POST", "/cases"), ("PATCH", f"/cases/{case_id}/groups/social")):
        answer = await worker.request(method, path, headers={"if-match": '"0"'})
        assert one_error(answer, 422, "bad_input") == ("body", "missing")


@pytest.mark.parametrize("body", [f'{{"{CANARY}'.encode(), b"\xff", CANARY.encode()])
async def test_malformed_json_is_400(worker: Client, body: bytes) -> None:
    answer = await worker.request("POST", "/cases", content=body, headers=JSON)
    assert one_error(answer, 400, "bad_request") == ("body", "malformed_json")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_sent_as_json_is_415_though_it_be_json(
    worker: Client, case_id: str, media_type: str
) -> None:
    sent = {"content": b'{"summary": "a"}', "headers": {"content-type": media_type, "if-match": '"0"'}}
    for method, path in (("POST", "/cases"), ("PATCH", f"/cases/{case_id}/groups/social")):
        answer = await worker.request(method, path, **sent)
        assert one_error(answer, 415, "unsupported_media_type") == ("body", "not_json")


async def test_a_body_over_a_mebibyte_is_413_announced_or_streamed(worker: Client) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"a" * 65_536

    for content in (b"a" * (MEBIBYTE + 1), stream()):
        answer = await worker.request("POST", "/cases", content=content, headers=JSON)
        problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("sent", "field", "rule"),
    [
        ({"summary": 1}, "summary", "wrong_type"),
        ({CANARY: "a"}, "body", "unknown_field"),
        ({"fields": {CANARY: 1}}, "fields[...]", "wrong_type"),
    ],
)
async def test_a_group_of_the_wrong_form_is_refused_by_field_and_rule(
    worker: Client, case_id: str, sent: Any, field: str, rule: str
) -> None:
    answer = await worker.request(
        "PATCH", f"/cases/{case_id}/groups/social", json=sent, headers={"if-match": '"0"'}
    )
    assert one_error(answer, 422, "bad_input") == (field, rule)


@pytest.mark.parametrize(
    ("path", "field", "rule"),
    [
        ("/cases?limit=0", "limit", "out_of_range"),
        (f"/cases?limit={CANARY}", "limit", "wrong_type"),
        (f"/cases?cursor={CANARY}", "cursor", "not_a_uuid"),
        (f"/cases?status={CANARY}", "status", "not_in_vocabulary"),
        (f"/handoffs?box={CANARY}", "box", "not_in_vocabulary"),
        ("/handoffs", "box", "missing"),
        (f"/journal/entries?from={CANARY}", "from", "not_a_time"),
        ("/journal/entries?to=2026-11-20T10:00:00", "to", "not_a_time"),
        (f"/journal/entries?action={CANARY.upper()}", "action", "wrong_form"),
        ("/journal/entries?cursor=-1", "cursor", "out_of_range"),
        ("/journal/entries?cursor=9223372036854775808", "cursor", "out_of_range"),
    ],
)
async def test_a_parameter_of_the_wrong_form_is_named_as_the_client_calls_it(
    worker: Client, path: str, field: str, rule: str
) -> None:
    assert one_error(await worker.request("GET", path), 422, "bad_input") == (field, rule)


async def test_a_cursor_that_this_service_did_not_give_is_refused(worker: Client, case_id: str) -> None:
    answer = await worker.request("GET", f"/cases/{case_id}/follow-ups?cursor={CANARY}")
    assert one_error(answer, 422, "bad_input") == ("cursor", "malformed")


@pytest.mark.parametrize(
    ("header", "value", "rule"),
    [("Casework-Purpose", CANARY, "not_in_vocabulary"), ("Idempotency-Key", f"{CANARY} é", "malformed")],
)
async def test_a_header_of_the_wrong_form_is_named(
    worker: Client, header: str, value: str, rule: str
) -> None:
    answer = await worker.request("POST", "/cases", json=CASE, headers={header: value.encode()})
    assert one_error(answer, 422, "bad_input") == (header, rule)


@pytest.mark.parametrize(("value", "rule"), [(None, "missing"), (CANARY, "not_a_version")])
async def test_a_change_needs_the_version_it_starts_from(
    worker: Client, case_id: str, value: str | None, rule: str
) -> None:
    headers = {} if value is None else {"if-match": value}
    answer = await worker.request(
        "PATCH", f"/cases/{case_id}/groups/social", json={"summary": "a"}, headers=headers
    )
    assert one_error(answer, 422, "bad_input") == ("If-Match", rule)


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {CANARY}", f"Bearer {'0' * 64}", f"Basic {CANARY}", "Bearer", b"Bearer \xe9", ""],
)
async def test_a_malformed_token_is_401_and_says_how_to_sign_in(
    centre: Centre, authorization: str | bytes
) -> None:
    answer = await centre.http.get("/api/v1/me", headers={"authorization": authorization})
    problem(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", [f"/{CANARY}", f"/api/v1/{CANARY}", "/api/v1"])
async def test_an_unknown_path_is_404(centre: Centre, method: str, path: str) -> None:
    problem(await centre.http.request(method, path), 404, "not_found")


@pytest.mark.parametrize("path", [f"/api/{CANARY}", f"/api/{CANARY}.json"])
async def test_an_unknown_path_beside_the_document_is_a_problem_too(centre: Centre, path: str) -> None:
    problem(await centre.http.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [f"/cases/{CANARY}", "/cases/01936c00", f"/cases/{CANARY}/follow-ups", f"/handoffs/{CANARY}/preview"],
)
async def test_a_bad_id_in_the_path_answers_as_an_absent_one(worker: Client, path: str) -> None:
    bad = problem(await worker.request("GET", path), 404, "not_found")
    absent = await worker.request("GET", "/cases/01936c00-0000-7000-8000-000000000001")
    assert bad == problem(absent, 404, "not_found")


async def test_a_wrong_method_is_405_and_says_which_are_right(centre: Centre) -> None:
    answer = await centre.http.put("/api/v1/cases")
    problem(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z"])
async def test_a_time_that_no_database_holds_is_out_of_range(
    worker: Client, case_id: str, moment: str
) -> None:
    follow_up = {
        "type": "accompagnement_social",
        "occurred_at": moment,
        "channel": "on_site",
        "duration_minutes": 45,
        "content": {"social": "a"},
    }
    answer = await worker.request("POST", f"/cases/{case_id}/follow-ups", json=follow_up)
    assert one_error(answer, 422, "bad_input") == ("occurred_at", "out_of_range")


async def test_the_nul_character_stops_before_the_database(centre: Centre) -> None:
    credentials = {"login": f"{CANARY}\0", "password": CANARY}
    answer = await centre.http.post("/api/v1/sessions", json=credentials)
    assert one_error(answer, 422, "bad_input") == ("body", "nul_character")
