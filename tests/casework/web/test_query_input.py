"""A query that could be read in two ways is refused: what was to be narrowed is never shown whole."""

import pytest

from tests.casework.centre import Centre, assert_problem

# Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("login", "path", "field", "code"),
    [
        ("avec.social", "/cases?status=open&status=closed", "status", "given_twice"),
        ("avec.social", "/cases?limit=1&limit=1", "limit", "given_twice"),
        ("avec.social", "/cases?status=null", "status", "wrong_type"),
        ("avec.social", "/cases?cursor=Null", "cursor", "wrong_type"),
        ("avec.social", "/handoffs?box=sent&state=null", "state", "wrong_type"),
        ("avec.auditor", "/journal/entries?member=null", "member", "wrong_type"),
        ("avec.auditor", "/journal/entries?action=null", "action", "wrong_type"),
        ("avec.auditor", "/journal/entries?from=0.5", "from", "not_a_time"),
        ("avec.auditor", "/journal/entries?to=1790000000", "to", "not_a_time"),
        ("avec.auditor", "/journal/entries?to=", "to", "not_a_time"),
    ],
)
async def test_an_ambiguous_parameter_is_refused_by_name(
    centre: Centre, engine_name: str, login: str, path: str, field: str, code: str
) -> None:
    client = await centre.sign_in(login)
    problem = assert_problem(await client.request("GET", path), 422, "bad_input")
    assert problem["errors"] == [{"field": field, "code": code}]


async def test_a_plain_query_is_taken_and_what_no_route_knows_is_ignored(
    centre: Centre, engine_name: str
) -> None:
    client = await centre.sign_in("avec.auditor")
    await centre.integrate()
    page = await client.get(
        "/journal/entries?from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00%2B00:00&colour=null&colour=red"
    )
    assert page["items"]
