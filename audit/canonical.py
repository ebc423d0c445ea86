"""Restricted RFC 8785 JSON: one value, one byte string.

The restriction: ASCII keys (so that sorting by code unit, RFC 8785 3.2.3, is sorting bytes), no floats,
integers below 2^53 in absolute value (exact in I-JSON, RFC 7493 2.2), at most 65,535 bytes.
"""

from typing import TypeAlias

import msgspec

from audit.errors import NotCanonical

MAX_BYTES = 65_535
INTEGER_BOUND = 2**53

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

_ENCODER = msgspec.json.Encoder(order="sorted")


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`.

    Raises:
        NotCanonical: a float, a large integer, a key that is not ASCII, another type, or too many bytes.

    """
    try:
        _refuse_outside_subset(value)
        raw = _ENCODER.encode(value)
    except (UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical("text that is not Unicode, or nesting too deep") from error
    if len(raw) > MAX_BYTES:
        raise NotCanonical("more than 65,535 bytes")
    return raw


def decode(raw: bytes) -> Json:
    """The value whose canonical bytes are exactly `raw`.

    Raises:
        NotCanonical: anything else, duplicate keys and a byte order mark included.

    """
    if len(raw) > MAX_BYTES:
        raise NotCanonical("more than 65,535 bytes")
    try:
        value: Json = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if encode(value) != raw:
        raise NotCanonical("not the canonical bytes of its value")
    return value


def _refuse_outside_subset(value: Json) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) >= INTEGER_BOUND:
                raise NotCanonical("integer beyond 2^53")
        case list():
            for item in value:
                _refuse_outside_subset(item)
        case dict():
            for key, item in value.items():
                if not key.isascii():
                    raise NotCanonical("a key that is not ASCII")
                _refuse_outside_subset(item)
        case _:
            raise NotCanonical("a type outside the subset")
