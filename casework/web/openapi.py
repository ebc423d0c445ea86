"""The OpenAPI 3.1 document: Litestar's paths and parameters, completed with what a client has to know of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from casework.cases.schemas import CONTENT
from casework.errors import (
    AuthenticationStepNeeded,
    BadInput,
    Conflict,
    DatabaseAway,
    NotFound,
    NotSignedIn,
    PreconditionFailed,
    Problem,
    SealedDataDamaged,
    TooManyRequests,
    Unavailable,
)
from casework.json_input import BODY, NotJson, Unreadable
from casework.problems import BY_STATUS, MEDIA_TYPE, problem_body
from casework.routing import COOKIE
from casework.web.examples import EXAMPLES
from casework.web.links import links_of
from casework.web.wire_types import CONSTRAINTS, Schema, WireTypes, portable_pattern
from policies.vocabulary import Action, Advice, Purpose, Role

TAGS: Final = {
    "sessions": "Signing in, in two steps, and out.",
    "me": "Who is signed in.",
    "members": "The members of one’s own organisation; letting in again, renewing and granting keys.",
    "renewals": "Taking up a renewal of keys or of the second factor, with the secret that was handed over.",
    "organisation": "When the organisation is open, and which networks are its own.",
    "charter": "The organisation’s welcome charter, which every member accepts before she works.",
    "compartments": "The organisation’s keys, and how many persons hold each.",
    "cases": "Cases, their groups of fields and who is assigned to them.",
    "teams": "Teams of colleagues to which cases are assigned.",
    "reassignments": "Giving the cases of a member who leaves to her colleagues.",
    "follow-ups": "What was done, visit by visit.",
    "drafts": "What a member has not saved yet; nobody but herself can open it.",
    "search": "Finding a case by what is known of a person.",
    "handoffs": "Handing a case over to another organisation, with consent.",
    "consents": "Withdrawing a consent.",
    "rights-requests": "Erasing a case: prepared by one member, decided by another, certified.",
    "requests": "First requests and where they were referred to.",
    "directory": "The catalogue of services.",
    "journal": "Reading and verifying the journal.",
    "health": "Whether the service runs and is ready, for the machines before it.",
}
_PREFIX: Final = "/api/v1/"
# No session, no parameters: nothing is refused there.
_PROBES: Final = "/health/"
_ABOUT: Final = """\
Sign in with `POST /api/v1/sessions` and a second factor, then send the token as `Authorization: Bearer …`.
A case that is absent, of another organisation or forbidden answers the same 404. Every answer that shows or
changes something of a person is recorded in the journal before it is sent. Errors are problems of RFC 9457: they
name fields and rules, and never repeat what was sent. When the storage is full, whatever must be saved or journaled
answers a 507 `storage_full`, and nothing of it is done.
"""


def _example(problem: type[Problem], **more: Any) -> Schema:
    return problem_body(problem.status, problem.code, problem.title) | more


_PROBLEMS: Final[dict[int, tuple[str, Schema]]] = {
    400: ("The body is not JSON.", _example(Unreadable, errors=[{"field": BODY, "code": "malformed_json"}])),
    401: (
        "No session, or one that is over or waits for its second factor; or credentials that are not right.",
        _example(NotSignedIn),
    ),
    403: (
        "The policies refuse this act; `advice` says what would lift the refusal, if anything. Or the charter in "
        "force is not accepted (`charter_not_accepted`).",
        _example(AuthenticationStepNeeded, advice=[Advice.STEP_UP]),
    ),
    404: ("Absent, of another organisation, or forbidden: one answer for all.", _example(NotFound)),
    412: (
        "Somebody saved first: both versions are in the answer, of whoever may read them.",
        _example(
            PreconditionFailed,
            current={"version": 4, "content": {"summary": "Dossier complet."}},
            yours={"summary": "Dossier déposé."},
        ),
    ),
    413: ("The body is over 1 MiB.", problem_body(413, *BY_STATUS[413])),
    415: (
        "The body is not sent as `application/json`.",
        _example(NotJson, errors=[{"field": BODY, "code": "not_json"}]),
    ),
    422: (
        "Parameters, headers or fields are not of their form; `errors` names them.",
        _example(BadInput, errors=[{"field": "identity.name_in_use", "code": "missing"}]),
    ),
    429: (
        "Tried too often, or asked too often for what is not there: nothing was judged.",
        _example(TooManyRequests),
    ),
    500: (
        "Something sealed was altered or moved (`sealed_data_damaged`): nothing of it is shown, and an alarm is "
        "raised. Or a fault of the service (`internal`).",
        _example(SealedDataDamaged),
    ),
    503: (
        "The database does not answer (`database_unavailable`); or, where a password is checked, too many wait for "
        "it (`busy`): nothing was judged. `Retry-After` says when to ask again, under the same Idempotency-Key.",
        _example(DatabaseAway),
    ),
}
_MORE: Final[dict[int, Schema]] = {
    429: {
        "headers": {
            "Retry-After": {
                "description": "How many seconds to wait.",
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    }
}
_UNAVAILABLE: Final = _example(Unavailable, errors=[{"field": "database", "code": "unavailable"}])
# The POSTs of members that take no Idempotency-Key: a search makes nothing, a renewal's secret is shown once, and
# what was confirmed, granted, put in force, ended or withdrawn is not there to be done again.
_NOT_ONCE: Final = (
    "search_cases",
    "begin_renewal",
    "confirm_renewal",
    "grant_keys",
    "publish_charter",
    "end_leave",
    "withdraw_conflict",
    "close_team",
)
# What the policies do not decide, and is refused before the charter is accepted, or during a leave.
_FORBIDDEN_TOO: Final = (
    "give_second_factor",
    "change_password",
    "rotate_own_keys",
    "show_own_words",
    "declare_oneself",
    "view_declaration",
    "list_conflicts",
    "accept_charter",
)
_HEADERS: Final = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repetition safe for 24 hours: the same request under the same key is done once. "
        "Another body under the same key is a 422.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,100}$"},
    },
    "Purpose": {
        "name": "Casework-Purpose",
        "in": "header",
        "description": "Why the asker does this; recorded in the journal. Left out, it follows from her role.",
        "schema": {"type": "string", "enum": [purpose.value for purpose in Purpose]},
    },
}
_IF_MATCH: Final = {
    "description": "The version that the change starts from, as an ETag.",
    "example": '"3"',
    "schema": {"type": "string", "pattern": '^(W/)?"*[0-9]{1,9}"*$'},
}
_PROBLEM: Final[Schema] = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is stable; `title` is French and meant for people.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
        "advice": {
            "description": "With a 403: what the asker can do so that it is allowed.",
            "type": "array",
            "items": {"type": "string", "enum": [advice.value for advice in Advice]},
        },
        "roles": {
            "description": "With `role_needed`: the roles to choose from.",
            "type": "array",
            "items": {"type": "string", "enum": [role.value for role in Role]},
        },
        "current": {"description": "With a 412: what is stored now.", "type": "object"},
        "yours": {"description": "With a 412: what was sent.", "type": "object"},
    },
    "required": ["type", "title", "status", "code"],
}
_FIELD_ERROR: Final[Schema] = {
    "title": "FieldError",
    "description": "A field by its path (`identity.former_names[1]`), or `body` as a whole, and the rule it broke.",
    "type": "object",
    "properties": {"field": {"type": "string"}, "code": {"type": "string"}},
    "required": ["field", "code"],
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of `POST /api/v1/sessions`."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The same token, in a browser.",
    },
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A handler at a path, and what Litestar says of it."""

    path: str
    method: str
    handler: HTTPRouteHandler
    generated: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.handler.handler_name

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions that the policies decide on; none for a route that is open without them."""
        actions: tuple[Action, ...] = self.handler.opt.get("requires", ())
        return actions

    @property
    def bodies(self) -> list[Any]:
        """The types that the body may have."""
        if self.handler.parsed_data_field is not None:
            return [self.handler.parsed_data_field.annotation]
        # Which of them is decided by the group in the path.
        return list(dict.fromkeys(CONTENT.values())) if self.id == "change_group" else []

    @property
    def names_a_thing(self) -> bool:
        """Whether path, query or body name something by its id, which may not be there."""
        fields = {name for kind in self.bodies for name in getattr(kind, "__struct_fields__", ())}
        in_body = not fields.isdisjoint({"case_id", "entry"})
        return "{" in self.path or not {"case_id", "details"}.isdisjoint(self.parameters) or in_body

    @property
    def answer(self) -> Any:
        """The type of a successful answer in JSON; None where it has no body or another media type."""
        field = self.handler.parsed_return_field
        if (self.handler.media_type or MediaType.JSON) != MediaType.JSON or field.annotation is type(None):
            return None
        return field.inner_types[0].annotation if field.inner_types else field.annotation

    @property
    def parameters(self) -> dict[str, FieldDefinition]:
        """What the handler takes of path, query and headers, by the name on the wire."""
        declared = self.handler.parsed_fn_signature.parameters
        return {
            getattr(field.kwarg_definition, "name", None) or name: field for name, field in declared.items()
        }


class OpenApiDocument(OpenAPIRenderPlugin):
    """Serves the document; it is made at the first request and kept."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._document: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._document is None:
            self._document = msgspec.json.encode(complete(request.app, openapi_schema))
        return self._document


def operation_id(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    return handler.handler_name


def complete(app: Litestar, generated: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an application, from what Litestar generated."""
    operations = list(_operations(app, generated))
    kinds = WireTypes(kind for operation in operations for kind in _kinds(operation))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation, kinds)
    used = {tag for path in paths.values() for described in path.values() for tag in described["tags"]}
    return {
        "openapi": generated["openapi"],
        "info": {**generated["info"], "description": _ABOUT},
        "servers": generated["servers"],
        "security": [{name: []} for name in _SECURITY],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": kinds.components | {"Problem": _PROBLEM, "FieldError": _FIELD_ERROR},
            "parameters": _HEADERS,
            "responses": {
                _problem_name(status): _problem(*said) | _MORE.get(status, {})
                for status, said in _PROBLEMS.items()
            },
            "securitySchemes": _SECURITY,
        },
    }


def _operations(app: Litestar, generated: Mapping[str, Any]) -> Iterator[Operation]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path_format not in generated["paths"]:
            continue
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                described = generated["paths"][route.path_format].get(method.lower())
                if described is not None:
                    yield Operation(route.path_format, method.lower(), handler, described)


def _kinds(operation: Operation) -> Iterator[Any]:
    yield from operation.bodies
    if operation.answer is not None:
        yield operation.answer
    yield from (
        operation.parameters[found["name"]].annotation for found in operation.generated.get("parameters", ())
    )


def _describe(operation: Operation, kinds: WireTypes) -> dict[str, Any]:
    summary, _, more = operation.generated["description"].partition("\n\n")
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [_tag(operation.path)],
        # Markdown is for descriptions alone.
        "summary": " ".join(summary.split()).removesuffix(".").replace("`", ""),
        "description": "\n\n".join(filter(None, (more.strip(), _who(operation)))),
    }
    if "security" in operation.generated:
        described["security"] = operation.generated["security"]
    parameters = [_parameter(found, operation, kinds) for found in operation.generated.get("parameters", ())]
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _headers(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.bodies:
        described["requestBody"] = _body(operation, kinds)
    described["responses"] = _success(operation, kinds) | _problems(operation)
    return described


def _tag(path: str) -> str:
    """The innermost resource of a path, else its first part."""
    parts = path.removeprefix(_PREFIX).split("/")
    return next((part for part in reversed(parts) if part in TAGS), parts[0])


def _who(operation: Operation) -> str:
    if operation.actions:
        listed = ", ".join(f"`{action}`" for action in operation.actions)
        return f"For signed-in members whom their organisation’s policies allow {listed}."
    if "signed_in" in operation.handler.opt:
        return f"For every signed-in member: {operation.handler.opt['signed_in']}."
    return f"Open without a complete session: {operation.handler.opt['public']}."


def _headers(operation: Operation) -> Iterator[str]:
    if not operation.actions:
        return
    if operation.method == "post" and operation.id not in _NOT_ONCE:
        yield "IdempotencyKey"
    yield "Purpose"


def _parameter(found: Mapping[str, Any], operation: Operation, kinds: WireTypes) -> dict[str, Any]:
    field = operation.parameters[found["name"]]
    schema = kinds.of(field.annotation)
    # A parameter that may be left out is not sent as null.
    shown = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(shown) == 1:
        schema = dict(shown[0])
    for attribute, name in CONSTRAINTS.items():
        value = getattr(field.kwarg_definition, attribute, None)
        if value is not None:
            schema[name] = portable_pattern(value) if name == "pattern" else value
    if "default" in found["schema"]:
        schema["default"] = found["schema"]["default"]
    described = {"name": found["name"], "in": found["in"], "required": found["required"], "schema": schema}
    if found["name"] == "If-Match":
        described |= _IF_MATCH
    return described


def _body(operation: Operation, kinds: WireTypes) -> dict[str, Any]:
    schemas = [kinds.of(kind) for kind in operation.bodies]
    content: dict[str, Any] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    if operation.id in EXAMPLES:
        content["examples"] = {name: {"value": value} for name, value in EXAMPLES[operation.id].items()}
    body: dict[str, Any] = {"required": True, "content": {MediaType.JSON.value: content}}
    if len(schemas) > 1:
        listed = (f"`{group}`: {kind.__name__}" for group, kind in CONTENT.items())
        body["description"] = f"By the group in the path. {', '.join(listed)}."
    return body


def _success(operation: Operation, kinds: WireTypes) -> dict[str, Any]:
    status = next(status for status in operation.generated["responses"] if status.startswith("2"))
    response: dict[str, Any] = {"description": HTTPStatus(int(status)).phrase}
    generated = operation.generated["responses"][status].get("content", {})
    # Which of several is asked for in the query.
    for media_type in (*generated, *operation.handler.opt.get("also", ())):
        response.setdefault("content", {})[media_type] = _content(operation, kinds, media_type)
    links = links_of(operation.id)
    if links:
        response["links"] = links
    return {status: response}


def _content(operation: Operation, kinds: WireTypes, media_type: str) -> dict[str, Any]:
    if operation.answer is not None:
        return {"schema": kinds.of(operation.answer)}
    # A body that is neither JSON nor text has no schema in OpenAPI 3.1.
    return {"schema": {"type": "string"}} if media_type == MediaType.TEXT else {}


def _problems(operation: Operation) -> dict[str, Any]:
    """What the route itself says of its 409, and the problems that follow from its form."""
    own_503 = operation.generated["responses"].get("503")
    if own_503 is not None:
        return {"503": _problem(own_503["description"], _UNAVAILABLE)}
    if operation.path.startswith(_PROBES):
        return {}
    statuses = [401, 422, SealedDataDamaged.status, DatabaseAway.status]
    if operation.bodies:
        statuses += [400, 413, 415]
    if operation.actions or operation.id in _FORBIDDEN_TOO:
        statuses.append(403)
    if operation.names_a_thing:
        statuses += [NotFound.status, TooManyRequests.status]
    elif "limited" in operation.handler.opt:
        statuses.append(TooManyRequests.status)
    if "If-Match" in operation.parameters:
        statuses.append(PreconditionFailed.status)
    described = {
        str(status): {"$ref": f"#/components/responses/{_problem_name(status)}"} for status in statuses
    }
    own = operation.generated["responses"].get("409")
    if own is not None:
        described["409"] = _problem(own["description"], _conflict_example(own["description"]))
    return dict(sorted(described.items()))


def _problem_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _conflict_example(description: str) -> Schema:
    """The first of the codes that `casework.problems.conflicts` listed."""
    return problem_body(Conflict.status, description.split("`")[1], Conflict.title)


def _problem(description: str, example: Schema) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": description, "content": {MEDIA_TYPE: content}}
