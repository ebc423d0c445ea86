"""Handoffs on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.cases.schemas import Line
from casework.receipts import Receipted
from policies.vocabulary import Group, Purpose, Stage


class Kind(StrEnum):
    ORIENTATION = "orientation"
    TRANSFER = "transfer"


class Urgency(StrEnum):
    NORMAL = "normal"
    SOON = "soon"
    DANGER = "danger"


class RefusalReason(StrEnum):
    """Why a handoff is not taken on; no code says whether the person is already known."""

    NO_CAPACITY = "no_capacity"
    OUT_OF_SCOPE = "out_of_scope"
    WRONG_AREA = "wrong_area"
    CONFLICT_OF_INTEREST = "conflict_of_interest"
    INCOMPLETE = "incomplete"


class NextStep(StrEnum):
    """What the sender can do about a refusal."""

    TRY_LATER = "try_later"
    TRY_ANOTHER_SERVICE = "try_another_service"
    CALL_US = "call_us"
    SEND_AGAIN = "send_again"
    NONE = "none"


class Question(StrEnum):
    """What the receiver has to know before she can answer; the sender answers with a new handoff, or by a call."""

    HOW_TO_REACH_HER = "how_to_reach_her"
    WHICH_NEED = "which_need"
    MORE_CONTENT = "more_content"
    INTERPRETER = "interpreter"
    CALL_US = "call_us"


class NewHandoff(Struct, forbid_unknown_fields=True):
    """`excluded` names what stays behind: "group.field", or a follow-up's id.

    `returns`: the handoff by which the case came, where it goes back to whoever sent it.
    """

    to: Annotated[str, Meta(min_length=1, max_length=40)]
    kind: Kind
    purpose: Purpose
    urgency: Urgency
    groups: Annotated[list[Group], Meta(min_length=1, max_length=8)]
    service: Line | UnsetType = UNSET
    follow_ups: Annotated[list[UUID], Meta(max_length=500)] | UnsetType = UNSET
    excluded: Annotated[list[Line], Meta(max_length=500)] | UnsetType = UNSET
    returns: UUID | UnsetType = UNSET


class PreviewItem(Struct):
    occurred_at: datetime
    record: dict[str, Any]


class PreviewGroup(Struct):
    fields: dict[str, Any]
    follow_ups: list[PreviewItem]


class Draft(Struct):
    """What will be sent, exactly, and the digest that a consent binds to."""

    id: UUID
    state: Stage
    content_digest: str
    preview: dict[Group, PreviewGroup]


class Sent(Receipted):
    state: Stage


class Acceptance(Struct, forbid_unknown_fields=True):
    members: list[UUID] | UnsetType = UNSET


class Accepted(Receipted):
    case_id: UUID


class Refusal(Struct, forbid_unknown_fields=True):
    reason_code: RefusalReason
    next_step: NextStep


class Asked(Struct, forbid_unknown_fields=True):
    question: Question


class Outcome(Struct, forbid_unknown_fields=True):
    state: Literal["scheduled", "attended", "no_show", "completed"]


class Moved(Receipted):
    state: Stage


class EnvelopeView(Struct, omit_defaults=True, rename={"from_": "from"}):
    """An envelope, never content. `service` and `groups` are absent for whoever may not read them.

    `due_at`: until when the receiver owes an answer; there where she has not taken it on or refused it yet.
    `problem` is `sealed_data_damaged` where what was sealed does not open; the rest is what stands in clear.
    """

    id: UUID
    state: Stage
    from_: str
    to: str
    kind: Kind
    urgency: Urgency
    sent_at: datetime | None
    due_at: datetime | None = None
    service: str | None = None
    groups: list[Group] | None = None
    returns: UUID | None = None
    reply: dict[str, str] | None = None
    problem: str | None = None


class EnvelopePage(Struct):
    items: list[EnvelopeView]
