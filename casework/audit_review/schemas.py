"""The journal on the wire: codes and pseudonyms, never a name."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from casework.relations import Relation


class Related(Struct):
    """What the actor of an entry is to one of its persons, who has her pseudonym here too."""

    person: str
    relations: list[Relation]


class EntryView(Struct):
    """An entry as it stands in the log, in a French sentence, and with its opened detail where the session holds
    the journal's key.

    `relations`: of its actor to its persons, of whom she asked for in vain too; null where no detail may be read.
    `grounds` says on what it rests: the policies that allowed or refused it, a consent, a handoff, an emergency.
    """

    index: int
    id: UUID
    time: datetime
    action: str
    outcome: str
    sentence: str
    grounds: list[str]
    entry: dict[str, Any]
    detail: Mapping[str, Any] | None
    relations: list[Related] | None


class EntryPage(Struct):
    items: list[EntryView]
    next: str | None


class Outcome(StrEnum):
    """What a reviewer found. `misuse_suspected` leaves an entry to be reviewed; every other settles it."""

    JUSTIFIED = "justified"
    EXPLAINED_BY_MEMBER = "explained_by_member"
    OPENED_BY_MISTAKE = "opened_by_mistake"
    UNFOUNDED = "unfounded"
    MISUSE_SUSPECTED = "misuse_suspected"
    MISUSE_CONFIRMED = "misuse_confirmed"


class NewReview(Struct, forbid_unknown_fields=True):
    """A review of an entry; the note is kept for the journal's readers alone."""

    entry: UUID
    outcome: Outcome
    note: Annotated[str, Meta(min_length=1, max_length=4000)]


class ReviewView(Struct):
    """A review; `note` is None where the journal's key is not held."""

    id: UUID
    entry: UUID
    outcome: Outcome
    reviewed_by: UUID
    reviewed_at: datetime
    note: str | None


class ReviewPage(Struct):
    items: list[ReviewView]
    next: str | None


class Kind(StrEnum):
    """The lists of findings."""

    UNEXPLAINED = "unexplained"
    EMERGENCIES = "emergencies"
    SAMPLES = "samples"
    DENIALS = "denials"
    WITHDRAWALS = "withdrawals"
    VOLUMES = "volumes"
    SEARCHES = "searches"
    EXPORTS = "exports"
    UNTAKEN = "untaken"
    CLOSED = "closed"
    HOURS = "hours"


class State(StrEnum):
    """How far the review of an entry is."""

    OPEN = "open"
    OVERDUE = "overdue"
    SETTLED = "settled"


class Finding(Struct):
    """An entry to be reviewed. `times`: how many like it stand behind it; of volumes, how many persons.

    `case_id`: of the one person it is about. `due_at`: until when an emergency is to be reviewed.
    """

    entry: EntryView
    case_id: UUID | None
    times: int
    due_at: datetime | None
    reviews: list[ReviewView]


class FindingPage(Struct):
    """A page of what is to be reviewed, newest first; `count` is of all of it."""

    items: list[Finding]
    next: str | None
    count: int


class Covered(Struct):
    """Of one list: how much was found, how much of it is settled by reviews, and how much is overdue."""

    kind: Kind
    found: int
    reviewed: int
    overdue: int


class Coverage(Struct):
    """How far the reviews are, one row a list."""

    items: list[Covered]
