"""Drafts on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct


class NewDraft(Struct, forbid_unknown_fields=True):
    """`content` is whatever the composer holds, at most 64 KiB of JSON. At most 100 of hers about one case."""

    case_id: UUID
    content: dict[str, Any]


class DraftSaved(Struct):
    id: UUID
    version: int
    saved_at: datetime


class DraftView(Struct):
    id: UUID
    case_id: UUID
    version: int
    saved_at: datetime
    content: dict[str, Any]


class DraftList(Struct):
    items: list[DraftSaved]
