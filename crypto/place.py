"""Where a sealed record lives. A frame opens at its own place and nowhere else."""

import struct
from dataclasses import dataclass, field

from crypto.errors import EncodingRefused
from crypto.widths import ID_SIZE

_LAYOUT = struct.Struct(">8s16sHH16sI")
_LABEL = b"csm/fld1"


@dataclass(frozen=True, slots=True)
class Place:
    """Organisation, table and column numbers (registered, never reused), row, and version of the row.

    ``encoded`` is 48 bytes, every part of fixed width and hence injective:
    "csm/fld1" | org 16 | table u16be | column u16be | row 16 | row_version u32be.
    Raises EncodingRefused for an id that is not 16 bytes or a number out of range.
    """

    org: bytes
    table: int
    column: int
    row: bytes
    row_version: int
    encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.org) != ID_SIZE or len(self.row) != ID_SIZE:
            raise EncodingRefused("wrong width")
        try:
            encoded = _LAYOUT.pack(_LABEL, self.org, self.table, self.column, self.row, self.row_version)
        except struct.error:
            raise EncodingRefused("integer out of range") from None
        object.__setattr__(self, "encoded", encoded)
