"""Bodies are read strictly, and a refusal names our own fields, never the words of whoever sent them."""

from typing import Any

import msgspec
import pytest

from casework.cases.schemas import Identity, NewCase, Notes
from casework.errors import BadInput, FieldError
from casework.follow_ups.schemas import NewFollowUp
from casework.json_input import Unreadable, read_json

FOLLOW_UP = {
    "type": "accueil",
    "occurred_at": "2026-11-20T10:00:00Z",
    "channel": "phone",
    "duration_minutes": 10,
    "content": {"social": "…"},
}
CASE = {"public": "seeking", "identity": {"name_in_use": "Inès"}}


def refused(kind: type[Any], sent: Any) -> FieldError:
    with pytest.raises(BadInput) as caught:
        read_json(msgspec.json.encode(sent), kind)
    return caught.value.errors[0]


@pytest.mark.parametrize(
    ("kind", "sent", "field", "code"),
    [
        (NewCase, CASE | {"public": "canary"}, "public", "not_in_vocabulary"),
        (NewCase, {"public": "seeking"}, "identity", "missing"),
        (NewCase, CASE | {"identity": {}}, "identity.name_in_use", "missing"),
        (NewCase, CASE | {"identity": {"name_in_use": ""}}, "identity.name_in_use", "wrong_length"),
        (
            NewCase,
            CASE | {"identity": {"name_in_use": "a", "former_names": ["b", ""]}},
            "identity.former_names[1]",
            "wrong_length",
        ),
        (NewCase, CASE | {"canary": 1}, "body", "unknown_field"),
        (NewCase, CASE | {"identity": {"name_in_use": "a", "canary": 1}}, "identity", "unknown_field"),
        (NewCase, ["canary"], "body", "wrong_type"),
        (Identity, {"name_in_use": "a", "birth_date": "canary"}, "birth_date", "not_a_date"),
        (Notes, {"fields": {"canary": 1}}, "fields[...]", "wrong_type"),
        (NewFollowUp, FOLLOW_UP | {"occurred_at": "2026-11-20T10:00:00"}, "occurred_at", "not_a_time"),
        (NewFollowUp, FOLLOW_UP | {"occurred_at": "canary"}, "occurred_at", "not_a_time"),
        (NewFollowUp, FOLLOW_UP | {"duration_minutes": -1}, "duration_minutes", "out_of_range"),
        (NewFollowUp, FOLLOW_UP | {"content": {"canary": "…"}}, "content", "not_in_vocabulary"),
    ],
)
def test_a_refusal_names_the_field_by_its_path_and_the_rule(
    kind: type[Any], sent: Any, field: str, code: str
) -> None:
    assert refused(kind, sent) == FieldError(field, code)


def test_text_is_not_read_as_a_number_and_the_number_is() -> None:
    assert read_json(msgspec.json.encode(FOLLOW_UP), NewFollowUp).duration_minutes == 10
    assert refused(NewFollowUp, FOLLOW_UP | {"duration_minutes": "10"}) == FieldError(
        "duration_minutes", "wrong_type"
    )


@pytest.mark.parametrize("disguise", ["x - at `$.canary", "x - at `$.canary`", "x - at `key` in `$.canary"])
def test_an_unknown_field_that_looks_like_a_place_is_not_echoed(disguise: str) -> None:
    assert refused(NewCase, {disguise: 1}) == FieldError("body", "unknown_field")
    assert refused(NewCase, CASE | {"public": disguise}) == FieldError("public", "not_in_vocabulary")


@pytest.mark.parametrize(
    "body", [b'{"public', b"\xff\xfe", b'{"public":"\xff"}', b"canary", b'{"public":"\\ud800"}']
)
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(body, NewCase)
    assert caught.value.errors == (FieldError("body", "malformed_json"),)


def test_json_nested_beyond_reason_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        read_json(b"[" * 100_000, Any)


def test_the_nul_character_is_refused_and_its_written_escape_is_not() -> None:
    assert refused(Notes, {"summary": "a\0b"}) == FieldError("body", "nul_character")
    assert read_json(msgspec.json.encode({"summary": r"a\u0000b"}), Notes).summary == r"a\u0000b"


@pytest.mark.parametrize(
    "body",
    [
        b'{"public":"seeking","public":"referred","identity":{"name_in_use":"a"}}',
        b'{"public":"seeking","identity":{"name_in_use":"canary","name_in_use":"a"}}',
        b'{"public":"seeking","identity":{"name_in_use":"canary","name_in_\\u0075se":"a"}}',
        b'{"public":"seeking","identity":{"name_in_use":"a"},"social":{"fields":{"x":"1","x":"canary"}}}',
    ],
)
def test_an_object_that_names_a_field_twice_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read_json(body, NewCase)
    assert caught.value.errors == (FieldError("body", "duplicate_name"),)


def test_one_name_in_two_objects_is_no_name_twice() -> None:
    sent = CASE | {group: {"fields": {"name_in_use": group}} for group in ("social", "legal")}
    assert read_json(msgspec.json.encode(sent), NewCase).identity.name_in_use == "Inès"
