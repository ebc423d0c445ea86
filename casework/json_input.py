"""JSON from outside, read strictly into typed values; a refusal names the field and the rule, never a value."""

import re
from functools import cache
from json import JSONDecoder
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request

from casework.errors import FieldError, Problem, bad_field

T = TypeVar("T")

# What a body may weigh, in bytes.
MAX_BODY: Final = 1024 * 1024
# What a problem calls the body as a whole.
BODY: Final = "body"
_MEDIA_TYPE = "application/json"

# The beginnings of the decoder's messages: its text may quote what was sent, a code never does.
_RULES: Final = (
    (re.compile(r"Object missing required field"), "missing"),
    (re.compile(r"Object contains unknown field"), "unknown_field"),
    (re.compile(r"Invalid enum value"), "not_in_vocabulary"),
    (re.compile(r"Invalid UUID"), "not_a_uuid"),
    (re.compile(r"Invalid RFC3339 encoded date\b"), "not_a_date"),
    (re.compile(r"Invalid RFC3339|Expected `datetime` with a timezone|Timestamp is out"), "not_a_time"),
    (re.compile(r"Expected `\w+` of length"), "wrong_length"),
    (re.compile(r"Expected `str` matching regex"), "wrong_form"),
    (re.compile(r"Expected `\w+` (?:[<>]=?|that's)|\w+ out of range"), "out_of_range"),
    (re.compile(r"Expected"), "wrong_type"),
)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
# The place is the end of a message, after anything that it quotes.
_PLACE = re.compile(r" - at `(?:key` in `)?\$\.?([^`$]*)`\Z")
# U+0000 can be written in JSON by its escape alone; no text column of PostgreSQL takes it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NAME = re.compile(r"[^.\[\]]+")


class Unreadable(Problem):
    """The body is not JSON at all."""

    status = 400
    code = "bad_request"
    title = "La requête n’est pas lisible."


class NotJson(Problem):
    """The body is sent as something else: the form of another site cannot pass for a call of the API."""

    status = 415
    code = "unsupported_media_type"
    title = "Ce format d’envoi n’est pas accepté."


class JsonRequest(Request[Any, Any, Any]):
    """The application's request class: a body is decoded straight into what its handler takes.

    Litestar would decode it without types and then convert leniently ("45" for 45).
    """

    async def json(self) -> Any:
        """The body as the handler's `data`; see `read_body` for what it raises."""
        field = self.route_handler.parsed_data_field
        return await read_body(self, Any if field is None else field.annotation)


async def read_body(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The body of a request as `kind`.

    Raises:
        NotJson: its media type is another.
        Unreadable: see `read_json`.
        BadInput: there is none; else see `read_json`.

    """
    body = await request.body()
    if not body:
        raise bad_field(BODY, "missing")
    media_type, _ = request.content_type
    if media_type != _MEDIA_TYPE:
        raise NotJson(errors=[FieldError(BODY, "not_json")])
    return read_json(body, kind)


def read_json(body: bytes, kind: type[T]) -> T:
    """Decode a body as `kind`, without turning one type into another.

    Raises:
        Unreadable: not JSON.
        BadInput: JSON of another form, of which the first wrong field is named; or with U+0000 in it, or with
            an object that names a field twice.

    """
    if _NUL.search(body) is not None:
        raise bad_field(BODY, "nul_character")
    try:
        read = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message = str(error)
        raise bad_field(_field(message, kind), rule_of(message)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # `from None`: the decoder's own error may quote what was sent.
        raise Unreadable(errors=[FieldError(BODY, "malformed_json")]) from None
    _require_distinct_names(body)
    return read


def _require_distinct_names(body: bytes) -> None:
    """Refuse an object that names a field twice: what passed another reader need not be what is read here.

    The decoder takes the last of them (RFC 8259, section 4, leaves it open). 10 µs a kilobyte.
    """
    try:
        _DISTINCT.decode(body.decode())
    except _NameTwice:
        raise bad_field(BODY, "duplicate_name") from None


class _NameTwice(Exception):
    """An object has two fields of one name."""


def _require_distinct(pairs: list[tuple[str, None]]) -> None:
    if len(pairs) != len({name for name, _ in pairs}):
        raise _NameTwice


# Nothing of what it reads is kept, so numbers are not made.
_DISTINCT: Final = JSONDecoder(object_pairs_hook=_require_distinct, parse_int=len, parse_float=len)


def rule_of(message: str) -> str:
    """The code of the rule that one of the decoder's messages says was broken."""
    return next((code for beginning, code in _RULES if beginning.match(message)), "invalid")


def _field(message: str, kind: Any) -> str:
    """Where the message points: `identity.former_names[1]`. An unknown field is named by the object it is in."""
    found = _PLACE.search(message)
    place = found[1] if found is not None else ""
    # What an unknown field is called, and what an enum was given, may imitate a place.
    if not _names_of(kind).issuperset(name for name in _NAME.findall(place) if not name.isdecimal()):
        return BODY
    missing = _MISSING.match(message)
    if missing is not None:
        place = f"{place}.{missing[1]}" if place else missing[1]
    return place or BODY


@cache
def _names_of(kind: Any) -> frozenset[str]:
    """The names of all fields that a body of this kind can have."""
    _, structs = msgspec.json.schema_components([kind])
    return frozenset(name for struct in structs.values() for name in struct.get("properties", ()))
