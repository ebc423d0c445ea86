"""Follow-ups on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.cases.schemas import Line, Prose
from policies.vocabulary import Group

Moment = Annotated[datetime, Meta(tz=True)]


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
    content: dict[Group, Prose]
    action: Line | UnsetType = UNSET
    next_step: Line | UnsetType = UNSET


class FollowUpCreated(Struct):
    id: UUID
    version: int


class FollowUpView(Struct, omit_defaults=True):
    """`content` has the texts of the groups that may be read; `withheld` lists all the others, filled or not."""

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


class FollowUpPage(Struct):
    items: list[FollowUpView]
    next: str | None
