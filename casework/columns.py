"""The registry of table and column numbers that bind a sealed value to its place.

A number is never reused: a frame sealed years ago still names its column. Add at the end, never edit.
"""

from enum import Enum
from uuid import UUID

from crypto.place import Place


class Column(Enum):
    """(table number, column number) of each sealed column."""

    CASE_GROUP_FRAME = (1, 1)
    CASE_GROUP_ARRIVAL = (1, 2)
    CASE_LEGAL_NAME = (1, 3)
    FOLLOW_UP_FRAME = (2, 1)
    CONSENT_FRAME = (3, 1)
    HANDOFF_ENVELOPE = (4, 1)
    HANDOFF_CASE = (4, 2)
    HANDOFF_REPLY = (4, 3)
    HANDOFF_MANIFEST = (5, 1)
    JOURNAL_DETAIL = (6, 1)
    DRAFT = (7, 1)
    ERASURE_MOTIVE = (8, 1)
    ERASURE_CERTIFICATE = (8, 2)
    MEMBER_NOTE = (9, 1)
    CASE_RELATION = (10, 1)
    REVIEW_NOTE = (11, 1)
    DECLARATION_TOKENS = (12, 1)
    DECLARATION_WAITING = (12, 2)

    def __init__(self, table: int, column: int) -> None:
        self.table = table
        self.column = column

    def place(self, org: UUID, row: UUID, row_version: int) -> Place:
        return Place(org.bytes, self.table, self.column, row.bytes, row_version)
