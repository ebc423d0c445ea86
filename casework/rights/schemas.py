"""Requests for erasure on the wire. Nothing in them names a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.receipts import Receipted
from casework.rights.states import Basis, Ground, State

Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]


class NewRequest(Struct, forbid_unknown_fields=True):
    """`reason` is read by whoever approves, and goes with the case."""

    kind: Literal["erasure"]
    case_id: UUID
    basis: Basis
    reason: Reason


class Approval(Struct, forbid_unknown_fields=True):
    """`case_id` and `basis` as whoever prepared it told them: what is approved is said, not read in the request."""

    case_id: UUID
    basis: Basis


class Refusal(Struct, forbid_unknown_fields=True):
    """`until`: of a legal hold or a duty to keep, how long it lasts; such a case cannot be prepared before."""

    ground: Ground
    until: datetime | UnsetType = UNSET


class RequestView(Receipted, kw_only=True):
    """`case_id` until the erasure is complete; `reason` until then, for whoever holds the journal's key."""

    id: UUID
    kind: Literal["erasure"]
    state: State
    basis: Basis
    prepared_at: datetime
    case_id: UUID | None
    reason: str | None
    decided_at: datetime | None
    ground: Ground | None
    keep_until: datetime | None
    completed_at: datetime | None


class RequestItem(Struct):
    id: UUID
    state: State
    basis: Basis
    prepared_at: datetime


class RequestPage(Struct):
    items: list[RequestItem]


class Destroyed(Struct, frozen=True, kw_only=True):
    """What an erasure destroyed, in numbers. `groups`: sealed groups of fields; `halves`: of keys and pseudonym."""

    groups: int
    follow_ups: int
    notes: int
    drafts: int
    consents: int
    handoffs: int
    unopened_parts: int
    assignments: int
    halves: int


class Entry(Struct, frozen=True):
    """The journal's entry on which a certificate rests: its log and its id."""

    log: str
    entry: str


class Certificate(Struct, kw_only=True):
    """`text` says the same in French, to be printed. Roles and dates; no name, neither hers nor a member's."""

    request: UUID
    organisation: str
    basis: Basis
    prepared_by: str
    prepared_at: datetime
    approved_by: str
    approved_at: datetime
    destroyed: Destroyed
    groups: Sequence[str]
    complete_after: datetime
    rests_on: Entry
    what_stays: Mapping[str, str]
    text: str
