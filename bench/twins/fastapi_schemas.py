"""casework's wire types in pydantic."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Prose = Annotated[str, Field(max_length=50_000)]
Line = Annotated[str, Field(max_length=500)]


class Group(StrEnum):
    IDENTITY = "identity"
    CONTACT = "contact"
    INTAKE = "intake"
    SAFETY = "safety"
    SOCIAL = "social"
    LEGAL = "legal"
    HEALTH = "health"
    FAMILY = "family"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credentials(Strict):
    login: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=1, max_length=1_024)]


class SessionBegun(BaseModel):
    token: str
    needs: list[str]
    expires_at: datetime


class SecondFactor(Strict):
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class FactorGiven(BaseModel):
    needs: list[str]


class CaseView(BaseModel):
    id: UUID
    status: str
    version: int
    groups: dict[str, dict[str, Any]]
    versions: dict[str, int]
    withheld: list[str]


class CaseItem(BaseModel):
    id: UUID
    status: str
    identity: dict[str, Any] | None


class CasePage(BaseModel):
    items: list[CaseItem]
    next: str | None
    count: int
    count_is_capped: bool


class NewFollowUp(Strict):
    type: Annotated[str, Field(min_length=1, max_length=40)]
    occurred_at: AwareDatetime
    channel: Literal["on_site", "phone", "visit", "mobile_team", "video", "mail"]
    duration_minutes: Annotated[int, Field(ge=0, le=1_440)]
    content: dict[Group, Prose]
    action: Line | None = None
    next_step: Line | None = None


class FollowUpCreated(BaseModel):
    id: UUID
    version: int


class FollowUpView(BaseModel):
    id: UUID
    occurred_at: datetime
    author: UUID
    version: int
    content: dict[str, str]
    withheld: list[str]
    type: str | None = None
    channel: str | None = None
    duration_minutes: int | None = None
    action: str | None = None
    next_step: str | None = None


class FollowUpPage(BaseModel):
    items: list[FollowUpView]
    next: str | None


class Search(Strict):
    name: str


class Found(BaseModel):
    case_id: UUID
    name_in_use: str
    score: float


class FoundPage(BaseModel):
    items: list[Found]


class NewHandoff(Strict):
    to: Annotated[str, Field(min_length=1, max_length=40)]
    kind: Literal["orientation", "transfer"]
    purpose: str
    urgency: Literal["normal", "soon", "danger"]
    groups: Annotated[list[Group], Field(min_length=1, max_length=8)]
    follow_ups: Annotated[list[UUID], Field(max_length=500)]


class HandedOver(BaseModel):
    case_id: UUID
