"""The journal on the wire: codes and pseudonyms, never a name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct


class EntryView(Struct):
    """An entry as it stands in the log, in a French sentence, and with its opened detail where the session holds
    the journal's key.
    """

    index: int
    id: UUID
    time: datetime
    action: str
    outcome: str
    sentence: str
    entry: dict[str, Any]
    detail: Mapping[str, Any] | None


class EntryPage(Struct):
    items: list[EntryView]
    next: str | None
