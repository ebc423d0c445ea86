"""Consents on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.cases.schemas import Line, Prose
from casework.receipts import Receipted

# What must have been done before anything is recorded; the service itself names what was not.
Done = Annotated[bool, Meta(extra_json_schema={"const": True})]


class Means(StrEnum):
    WRITTEN = "written"
    ELECTRONIC = "electronic"
    ORAL = "oral"


class Representative(Struct, forbid_unknown_fields=True):
    """Who speaks for a minor or a protected adult. A suspected perpetrator never can."""

    name: Line
    capacity: Line
    conflict_checked: Done


class NewConsent(Struct, forbid_unknown_fields=True):
    content_digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    means: Means
    language: Annotated[str, Meta(min_length=2, max_length=20)]
    safe_contact_checked: Done
    oral_reason: Line | UnsetType = UNSET
    witness: Line | UnsetType = UNSET
    interpreter: Line | UnsetType = UNSET
    representative: Representative | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    her_words: Prose | UnsetType = UNSET
    easy_to_read: bool = False
    refusal_has_no_effect_said: Done | UnsetType = UNSET
    copy_given: bool | UnsetType = UNSET


class ConsentRecorded(Receipted):
    consent_id: UUID
    state: str
    expires_at: datetime


class Withdrawal(Struct, forbid_unknown_fields=True):
    means: Means


class Withdrawn(Receipted):
    """What the withdrawal did, said plainly: parts destroyed unopened, and whether anything may have been read."""

    effects: list[str]
