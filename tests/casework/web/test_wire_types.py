"""What a type's schema says is what the decoder does."""

import decimal
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from audit.entry import Outcome as EntryOutcome
from casework.handoffs.schemas import Outcome as HandoffOutcome
from casework.web.wire_types import UndescribedType, WireTypes

REFERENCE = "#/components/schemas/"


class Colour(StrEnum):
    YELLOW = "yellow"
    BLUE = "blue"


class Closed(Struct, forbid_unknown_fields=True):
    """Takes nothing
    else."""

    name: Annotated[str, Meta(min_length=1, max_length=9)]
    code: Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")] | UnsetType = UNSET
    count: Annotated[int, Meta(ge=0, le=5)] = 3
    flag: bool = False


class Open(Struct):
    by_colour: dict[Colour, Annotated[str, Meta(max_length=5)]]
    inner: Closed | None
    again: "Open | UnsetType" = UNSET


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (None | datetime, {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
        (Literal["b", "a"], {"enum": ["a", "b"]}),
        (
            Annotated[list[Annotated[str, Meta(max_length=4)]], Meta(min_length=1)],
            {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 1},
        ),
        (Annotated[int, Meta(description="Minutes.")], {"type": "integer", "description": "Minutes."}),
        (Mapping[str, Any], {"type": "object", "additionalProperties": {}}),
        (
            dict[Annotated[str, Meta(min_length=1)], int],
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "propertyNames": {"type": "string", "minLength": 1},
            },
        ),
    ],
)
def test_a_plain_type_is_described_in_place(kind: Any, schema: dict[str, Any]) -> None:
    types = WireTypes([kind])
    assert types.of(kind) == schema
    assert types.components == {}


def test_a_struct_that_forbids_unknown_fields_is_closed_and_another_is_not() -> None:
    types = WireTypes([Closed, Open])
    assert types.of(Closed) == {"$ref": REFERENCE + "Closed"}
    assert types.components["Closed"] == {
        "title": "Closed",
        "description": "Takes nothing else.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 9},
            "code": {"type": "string", "pattern": "^[0-9]{6}$"},
            "count": {"type": "integer", "minimum": 0, "maximum": 5, "default": 3},
            "flag": {"type": "boolean", "default": False},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    assert types.components["Open"] == {
        "title": "Open",
        "type": "object",
        "properties": {
            "by_colour": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 5},
                "propertyNames": {"$ref": REFERENCE + "Colour"},
            },
            "inner": {"anyOf": [{"$ref": REFERENCE + "Closed"}, {"type": "null"}]},
            "again": {"$ref": REFERENCE + "Open"},
        },
        "required": ["by_colour", "inner"],
    }
    assert types.components["Colour"]["enum"] == ["yellow", "blue"]


def test_two_classes_of_one_name_are_told_apart_by_where_they_are() -> None:
    types = WireTypes([EntryOutcome, HandoffOutcome])
    assert types.of(EntryOutcome) == {"$ref": REFERENCE + "AuditOutcome"}
    assert types.of(HandoffOutcome) == {"$ref": REFERENCE + "HandoffsOutcome"}
    assert WireTypes([HandoffOutcome]).of(HandoffOutcome) == {"$ref": REFERENCE + "Outcome"}


def test_a_type_that_has_no_schema_is_an_error_that_names_it() -> None:
    with pytest.raises(UndescribedType, match="DecimalType"):
        WireTypes([decimal.Decimal])
