"""Follow-ups on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.cases.schemas import Line, Prose, Reason
from policies.vocabulary import Group

Moment = Annotated[datetime, Meta(tz=True)]
# The service itself says that none is there, as it does of texts that are blank.
Texts = Annotated[dict[Group, Prose], Meta(extra_json_schema={"minProperties": 1})]


class Channel(StrEnum):
    ON_SITE = "on_site"
    PHONE = "phone"
    VISIT = "visit"
    MOBILE_TEAM = "mobile_team"
    VIDEO = "video"
    MAIL = "mail"


class NewFollowUp(Struct, forbid_unknown_fields=True):
    type: Annotated[str, Meta(min_length=1, max_length=40)]
    occurred_at: Moment
    channel: Channel
    duration_minutes: Annotated[int, Meta(ge=0, le=1_440)]
    content: Texts
    action: Line | UnsetType = UNSET
    next_step: Line | UnsetType = UNSET


class FollowUpCreated(Struct):
    id: UUID
    version: int


class Correction(Struct, forbid_unknown_fields=True):
    """The texts that change, by group; an empty one takes the group's text back. The others stay as they are."""

    content: Texts
    reason: Reason = ""


class FollowUpView(Struct, omit_defaults=True):
    """`content` has the texts of the groups that may be read; `withheld` lists all the others, filled or not.

    `author` wrote the first version. A later one says who corrected it and when, and why to whoever may read a
    group that was corrected. `problem` is `sealed_data_damaged` where it does not open: nothing of it is shown.
    """

    id: UUID
    occurred_at: datetime
    author: UUID
    version: int
    content: dict[Group, str]
    withheld: list[Group]
    type: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    duration_minutes: int | UnsetType = UNSET
    action: str | UnsetType = UNSET
    next_step: str | UnsetType = UNSET
    corrected_at: datetime | UnsetType = UNSET
    corrected_by: UUID | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    problem: str | UnsetType = UNSET


class FollowUpPage(Struct):
    items: list[FollowUpView]
    next: str | None


class FollowUpVersion(Struct, omit_defaults=True):
    """The whole follow-up as it stood at a version, in the groups that may be read."""

    version: int
    author: UUID
    recorded_at: datetime
    content: dict[Group, str]
    type: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    duration_minutes: int | UnsetType = UNSET
    action: str | UnsetType = UNSET
    next_step: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class FollowUpVersions(Struct):
    """Every version, oldest to newest."""

    id: UUID
    case_id: UUID
    occurred_at: datetime
    items: list[FollowUpVersion]
    withheld: list[Group]
