"""The journal on the wire: codes and pseudonyms, never a name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from casework.relations import Relation


class Related(Struct):
    """What the actor of an entry is to one of its persons, who has her pseudonym here too."""

    person: str
    relations: list[Relation]


class EntryView(Struct):
    """An entry as it stands in the log, in a French sentence, and with its opened detail where the session holds
    the journal's key.

    `relations`: of its actor to its persons, of whom she asked for in vain too; null where no detail may be read.
    """

    index: int
    id: UUID
    time: datetime
    action: str
    outcome: str
    sentence: str
    entry: dict[str, Any]
    detail: Mapping[str, Any] | None
    relations: list[Related] | None


class EntryPage(Struct):
    items: list[EntryView]
    next: str | None
