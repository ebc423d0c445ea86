"""The bytes before everything that is sealed, all of them authenticated.

Under a numbered key six: kind | alg | number u32be. Under a key that its place names, two: 01 | alg.
"""

import struct
from collections.abc import Set as AbstractSet
from enum import IntEnum

from crypto.algorithms import Algorithm, allowed_algorithm
from crypto.errors import AlgorithmRefused, EncodingRefused, SealBroken

_LAYOUT = struct.Struct(">BBI")
HEADER_SIZE = _LAYOUT.size


class Kind(IntEnum):
    """The first byte: what the key behind the number is."""

    UNDER_KEY = 1
    TO_DROP_KEY = 2
    HANDOFF_PART = 3


def pack_header(kind: Kind, algorithm: Algorithm, number: int) -> bytes:
    """Return the six bytes. Raises EncodingRefused unless number fits in 32 bits."""
    try:
        return _LAYOUT.pack(kind, algorithm, number)
    except struct.error:
        raise EncodingRefused("integer out of range") from None


def read_header(blob: bytes, kind: Kind, allowed: AbstractSet[Algorithm]) -> tuple[Algorithm, int]:
    """Return algorithm and key number. They are claims until the bytes behind them have opened.

    Raises SealBroken for another kind, AlgorithmRefused outside the context's allow-list.
    """
    try:
        found, alg, number = _LAYOUT.unpack_from(blob)
    except struct.error:
        raise SealBroken("too short") from None
    if found != kind:
        raise SealBroken("another kind of sealed bytes")
    return allowed_algorithm(alg, allowed), number


PREFIX = bytes([Kind.UNDER_KEY, Algorithm.AES_256_GCM])


def require_prefix(blob: bytes) -> None:
    """Raise SealBroken or AlgorithmRefused unless blob begins with 01 | 01."""
    if blob[:1] != PREFIX[:1]:
        raise SealBroken("another kind of sealed bytes")
    if blob[1:2] != PREFIX[1:]:
        raise AlgorithmRefused("algorithm not allowed here")
