"""The document describes the application that serves it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from casework.cases.schemas import CONTENT
from casework.problems import TYPE_PREFIX
from casework.web.examples import EXAMPLES
from casework.web.links import LINKS
from casework.web.openapi import TAGS
from policies.vocabulary import Group
from tests.casework.centre import Centre

# Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
PROBLEM = "application/problem+json"


@pytest.fixture
async def document(centre: Centre) -> dict[str, Any]:
    answer = await centre.http.get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {found["operationId"]: found for path in document["paths"].values() for found in path.values()}


@pytest.fixture
def handlers(centre: Centre) -> dict[str, HTTPRouteHandler]:
    found = (handler for route in centre.app.routes for handler in getattr(route, "route_handlers", ()))
    return {handler.handler_name: handler for handler in found if isinstance(handler, HTTPRouteHandler)}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def headers(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    parameters = [
        resolve(document, found["$ref"]) if "$ref" in found else found
        for found in operation.get("parameters", ())
    ]
    return {found["name"] for found in parameters if found["in"] == "header"}


def test_every_route_of_the_api_is_described_once(
    document: dict[str, Any], centre: Centre, engine_name: str
) -> None:
    described = {(path, method) for path, found in document["paths"].items() for method in found}
    routes = {
        (route.path_format, method.lower())
        for route in centre.app.routes
        for method in getattr(route, "methods", ())
        if route.path_format.startswith(("/api/v1/", "/health/")) and method != "OPTIONS"
    }
    assert described == routes
    names = [found["operationId"] for path in document["paths"].values() for found in path.values()]
    assert len(set(names)) == len(names)


def test_every_reference_resolves(document: dict[str, Any], engine_name: str) -> None:
    assert document["openapi"].startswith("3.1.")
    for reference in set(references(document)):
        assert resolve(document, reference)


def test_tags_are_resources_in_the_order_of_the_contract(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    named = [tag["name"] for tag in document["tags"]]
    assert named == [name for name in TAGS if name in named]
    for operation in operations.values():
        assert len(operation["tags"]) == 1
        assert operation["tags"][0] in named
        assert operation["summary"]
        assert operation["description"]


def test_bodies_are_closed(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    bodies = [found["requestBody"]["content"] for found in operations.values() if "requestBody" in found]
    assert all(set(content) == {"application/json"} for content in bodies)
    waiting = {reference for content in bodies for reference in references(content)}
    seen: set[str] = set()
    while waiting:
        reference = waiting.pop()
        seen.add(reference)
        schema = resolve(document, reference)
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False, reference
        waiting |= set(references(schema)) - seen
    assert "#/components/schemas/SafeContact" in seen


def test_every_error_is_described_as_a_problem(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    for name, operation in operations.items():
        # The probes take neither a session nor a parameter.
        assert operation["tags"] == ["health"] or {"401", "422"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            found = resolve(document, response["$ref"]) if "$ref" in response else response
            (content,) = found["content"].values()
            assert set(found["content"]) == {PROBLEM}
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == int(status)
            assert content["example"]["type"] == TYPE_PREFIX + content["example"]["code"]


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("create_session", {"400", "401", "413", "415", "422", "429"}),
        ("give_second_factor", {"400", "401", "403", "409", "413", "415", "422", "429"}),
        ("end_session", {"401", "422"}),
        ("list_cases", {"401", "403", "422"}),
        ("view_case", {"401", "403", "404", "422", "429"}),
        ("change_group", {"400", "401", "403", "404", "409", "412", "413", "415", "422", "429"}),
        ("accept", {"400", "401", "403", "404", "409", "413", "415", "422", "429"}),
        ("read_checkpoint", {"401", "403", "409", "422"}),
        ("live", set()),
        ("ready", {"503"}),
    ],
)
def test_an_operation_describes_the_problems_it_may_answer(
    operations: dict[str, dict[str, Any]], engine_name: str, name: str, described: set[str]
) -> None:
    # The probes open nothing that is sealed, and say themselves what is away.
    always = set() if operations[name]["tags"] == ["health"] else {"500", "503"}
    assert {status for status in operations[name]["responses"] if status >= "4"} == described | always


def test_posts_of_members_take_a_key_and_their_acts_a_purpose(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    with_key = {name for name, found in operations.items() if "Idempotency-Key" in headers(document, found)}
    assert {"create_case", "record_follow_up", "draft_handoff", "give_consent", "send", "accept"} <= with_key
    assert with_key.isdisjoint({"create_session", "give_second_factor", "step_up", "change_group"})
    with_purpose = {
        name for name, found in operations.items() if "Casework-Purpose" in headers(document, found)
    }
    assert with_key < with_purpose
    assert "create_session" not in with_purpose
    assert "If-Match" in headers(document, operations["change_group"])


def test_a_key_is_documented_where_it_is_honoured_and_nowhere_else(
    document: dict[str, Any],
    operations: dict[str, dict[str, Any]],
    handlers: dict[str, HTTPRouteHandler],
    engine_name: str,
) -> None:
    for name, operation in operations.items():
        honoured = "perform_once" in handlers[name].fn.__code__.co_names
        assert ("Idempotency-Key" in headers(document, operation)) == honoured, name


def test_only_signing_in_and_the_probes_need_no_token(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    assert document["security"] == [{"bearer": []}, {"cookie": []}]
    assert document["components"]["securitySchemes"]["cookie"]["name"] == "__Host-casework"
    open_to_all = {name for name, found in operations.items() if found.get("security") == [{}]}
    assert open_to_all == {"create_session", "take_up_renewal", "live", "ready"}


def test_the_body_of_a_group_is_one_of_its_contents(
    operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    body = operations["change_group"]["requestBody"]
    expected = {f"#/components/schemas/{kind.__name__}" for kind in CONTENT.values()}
    assert set(references(body)) == expected
    for group, kind in CONTENT.items():
        assert f"`{group}`: {kind.__name__}" in body["description"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("read_checkpoint", {"text/plain": {"schema": {"type": "string"}}}),
        ("read_proof", {"text/plain": {"schema": {"type": "string"}}}),
        ("export_bundle", {"application/zip": {}}),
        ("me", {"application/json": {"schema": {"$ref": "#/components/schemas/Me"}}}),
    ],
)
def test_an_answer_is_described_in_its_media_type(
    operations: dict[str, dict[str, Any]], engine_name: str, name: str, content: dict[str, Any]
) -> None:
    assert operations[name]["responses"]["200"]["content"] == content


def test_signing_out_answers_with_nothing(operations: dict[str, dict[str, Any]], engine_name: str) -> None:
    assert "content" not in operations["end_session"]["responses"]["204"]


def test_parameters_say_their_bounds_and_are_not_sent_as_null(
    operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    parameters = {
        found["name"]: found["schema"]
        for found in operations["read_entries"]["parameters"]
        if "name" in found
    }
    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert parameters["cursor"] == {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    assert parameters["from"] == {"type": "string", "format": "date-time"}


def test_every_body_has_an_example_and_every_example_is_read(
    operations: dict[str, dict[str, Any]], handlers: dict[str, HTTPRouteHandler], engine_name: str
) -> None:
    assert set(EXAMPLES) == {name for name, found in operations.items() if "requestBody" in found}
    for name, examples in EXAMPLES.items():
        shown = operations[name]["requestBody"]["content"]["application/json"]["examples"]
        for title, example in examples.items():
            assert shown[title]["value"] == example
            field = handlers[name].parsed_data_field
            kind = CONTENT[Group(title)] if field is None else field.annotation
            assert msgspec.json.decode(msgspec.json.encode(example), type=kind)


def test_every_link_leads_from_an_answer_to_a_parameter(
    document: dict[str, Any], operations: dict[str, dict[str, Any]], engine_name: str
) -> None:
    for name, links in LINKS.items():
        responses = operations[name]["responses"]
        (answer,) = (found for status, found in responses.items() if status.startswith("2"))
        assert answer["links"] == {link.to: link.described() for link in links}
        assert len(answer["links"]) == len(links)
        own = {found["name"] for found in operations[name].get("parameters", ()) if "name" in found}
        for link in links:
            taken = {found["name"] for found in operations[link.to]["parameters"] if "name" in found}
            assert set(link.parameters) <= taken, (name, link.to)
            for expression in (*link.parameters.values(), *link.body.values()):
                _, _, found = expression.partition("$")
                if found.startswith("request.path."):
                    assert found.removeprefix("request.path.") in own, (name, expression)
                elif found:
                    pointer = found.removeprefix("response.body#/").rstrip('}"')
                    schema = answer["content"]["application/json"]["schema"]
                    assert follow(document, schema, pointer.split("/")), (name, expression)


def follow(document: dict[str, Any], schema: dict[str, Any], parts: list[str]) -> bool:
    """Whether an answer of this schema may hold what a pointer names."""
    for part in parts:
        if "$ref" in schema:
            schema = resolve(document, schema["$ref"])
        if part.isdecimal():
            schema = schema["items"]
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        elif "additionalProperties" in schema:
            schema = schema["additionalProperties"]
        else:
            # Content that no schema closes.
            return schema == {}
    return True


def test_every_operation_on_a_thing_is_the_end_of_a_link(document: dict[str, Any], engine_name: str) -> None:
    on_things = {
        found["operationId"]
        for path, methods in document["paths"].items()
        for found in methods.values()
        if "{" in path
    }
    # An erasure is asked for with the case in the body, a review with the entry, in the body or asked for; settings
    # are changed with the version that was read.
    by_other_ways = {"prepare_erasure", "record_review", "list_reviews", "change_settings"}
    assert {link.to for links in LINKS.values() for link in links} == on_things | by_other_ways


def test_what_must_be_done_and_cannot_be_empty_is_in_the_form(
    document: dict[str, Any], engine_name: str
) -> None:
    schemas = document["components"]["schemas"]
    consent = schemas["NewConsent"]["properties"]
    for name in ("safe_contact_checked", "refusal_has_no_effect_said"):
        assert consent[name] == {"type": "boolean", "const": True}
    assert schemas["Representative"]["properties"]["conflict_checked"]["const"] is True
    for name in ("NewFollowUp", "Correction"):
        assert schemas[name]["properties"]["content"]["minProperties"] == 1
