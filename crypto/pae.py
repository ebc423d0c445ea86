"""Pre-authentication encoding: an injective encoding of a list of byte strings (PASETO, section 2.2).

LE64 count of parts, then for each part LE64 length and its bytes.
"""

import struct

from crypto.errors import EncodingRefused

_LE64 = struct.Struct("<Q")


def pae(*parts: bytes) -> bytes:
    """Return the encoding of parts. Two different lists never share an encoding."""
    pieces = [_LE64.pack(len(parts))]
    for part in parts:
        pieces.append(_LE64.pack(len(part)))
        pieces.append(part)
    return b"".join(pieces)


def unpae(data: bytes) -> tuple[bytes, ...]:
    """Return the parts of an encoding made by pae. Raises EncodingRefused for anything else."""
    reader = _Reader(data)
    count = reader.number()
    # Each part takes at least its length field: a greater count is a lie, refused before any work.
    if count > reader.left // _LE64.size:
        raise EncodingRefused("not a pre-authentication encoding")
    parts = tuple(reader.take(reader.number()) for _ in range(count))
    if reader.left:
        raise EncodingRefused("not a pre-authentication encoding")
    return parts


class _Reader:
    """Takes bytes from the front, never more than there are."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._offset

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise EncodingRefused("not a pre-authentication encoding")
        start, self._offset = self._offset, self._offset + size
        return self._data[start : self._offset]

    def number(self) -> int:
        return int.from_bytes(self.take(_LE64.size), "little")
