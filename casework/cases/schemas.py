"""What a case looks like on the wire. An explicit struct per view is the boundary of what is shown."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from casework.identity.schemas import NOT_BLANK
from casework.identity.schemas import Reason as Why
from casework.receipts import Receipted
from policies.vocabulary import Group, Purpose, Status

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Line = Annotated[str, Meta(max_length=500)]
Prose = Annotated[str, Meta(max_length=50_000)]
# Why an act is done, in her own words. Without one the policies refuse, and advise to give it.
Reason = Annotated[str, Meta(max_length=2_000)]


class Public(StrEnum):
    KNOWN_NEED = "known_need"
    REFERRED = "referred"
    SEEKING = "seeking"


class Identity(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Who she is; a pseudonym is enough."""

    name_in_use: Name
    family_name: Name | UnsetType = UNSET
    legal_name: Name | UnsetType = UNSET
    former_names: Annotated[list[Name], Meta(max_length=20)] | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    anonymous: bool = False


class SafeContact(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How she may be reached without putting her in danger. Dated; it goes stale."""

    confirmed_on: date
    name_to_use: Line | UnsetType = UNSET
    may_call: bool = False
    may_write: bool = False
    may_leave_message: bool = False
    days_and_hours: Line | UnsetType = UNSET
    who_else_reads: Line | UnsetType = UNSET
    how_we_introduce_ourselves: Line | UnsetType = UNSET
    mail_goes_to: Line | UnsetType = UNSET
    agreed_word: Line | UnsetType = UNSET
    phone_is_watched: bool = False
    if_no_answer: Line | UnsetType = UNSET


class Contact(Struct, forbid_unknown_fields=True, omit_defaults=True):
    phone: Line | UnsetType = UNSET
    email: Line | UnsetType = UNSET
    address: Prose | UnsetType = UNSET
    safe_contact: SafeContact | UnsetType = UNSET


class Notes(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The other groups: a summary in prose, and named short fields."""

    summary: Prose | UnsetType = UNSET
    fields: dict[Name, Line] | UnsetType = UNSET


class Intake(Notes, forbid_unknown_fields=True, omit_defaults=True):
    public: Public | UnsetType = UNSET
    needs: list[Line] | UnsetType = UNSET
    language: Line | UnsetType = UNSET
    interpreter: bool = False


# What each group's content is read as before it is sealed.
CONTENT: dict[Group, type[Struct]] = {
    Group.IDENTITY: Identity,
    Group.CONTACT: Contact,
    Group.INTAKE: Intake,
    Group.SAFETY: Notes,
    Group.SOCIAL: Notes,
    Group.LEGAL: Notes,
    Group.HEALTH: Notes,
    Group.FAMILY: Notes,
}


class NewCase(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`honeytoken`: an invented person, whose case nobody has a reason to open; opening it raises an alarm."""

    public: Public
    identity: Identity
    contact: Contact | UnsetType = UNSET
    intake: Intake | UnsetType = UNSET
    safety: Notes | UnsetType = UNSET
    social: Notes | UnsetType = UNSET
    legal: Notes | UnsetType = UNSET
    health: Notes | UnsetType = UNSET
    family: Notes | UnsetType = UNSET
    honeytoken: bool = False


class CaseView(Struct):
    id: UUID
    status: Status
    version: int
    groups: dict[Group, dict[str, Any]]
    versions: dict[Group, int]
    withheld: list[Group]


class CaseCreated(Struct):
    id: UUID
    status: Status
    version: int


class CaseMove(Struct, forbid_unknown_fields=True):
    """Why a case is closed or reopened."""

    reason: Reason = ""


class KeyRenewal(Struct, forbid_unknown_fields=True):
    """Why the keys of a case are renewed."""

    reason: Reason = ""


class RenewedKeys(Receipted):
    """The groups that have a new key. Those that wait get theirs when a holder next opens or changes the case."""

    renewed: list[Group]
    waiting: list[Group]


class CaseMoved(Struct):
    id: UUID
    status: Status
    version: int


class Emergency(Struct, forbid_unknown_fields=True):
    """Why a case must be read at once by somebody who is not assigned to it."""

    purpose: Purpose
    reason: Reason = ""


class BrokenGlass(Receipted):
    expires_at: datetime


class CaseItem(Struct):
    """`problem` is `sealed_data_damaged` where the identity does not open."""

    id: UUID
    status: Status
    identity: dict[str, Any] | None
    problem: str | UnsetType = UNSET


class CasePage(Struct):
    """`count` is capped; `count_is_capped` says whether there are more."""

    items: list[CaseItem]
    next: str | None
    count: int
    count_is_capped: bool


class GroupChanged(Struct):
    version: int


class Assignments(Struct, forbid_unknown_fields=True):
    members: list[UUID]
    teams: list[UUID] = msgspec.field(default_factory=list)


class NewRestriction(Struct, forbid_unknown_fields=True):
    """Who alone keeps a case: two at least, who hold keys."""

    members: Annotated[list[UUID], Meta(min_length=2, max_length=50)]
    reason: Reason = ""


class Lifting(Struct, forbid_unknown_fields=True):
    """Why a restriction is lifted."""

    reason: Reason = ""


class Restriction(Receipted, omit_defaults=True):
    """Who is named for a case. Who is `waiting` has other keys than she was named with: she must be named again.

    `dropped`: who was waiting when another was named or taken away, and is named no longer.
    """

    members: list[UUID]
    waiting: list[UUID]
    dropped: list[UUID] | UnsetType = UNSET


class NewNote(Struct, forbid_unknown_fields=True):
    """A text for its author and the readers named, in a group that all of them hold."""

    group: Group
    text: Annotated[Prose, Meta(min_length=1)]
    readers: Annotated[list[UUID], Meta(min_length=1, max_length=50)]


class NoteCreated(Struct):
    id: UUID


class NoteView(Struct, omit_defaults=True):
    """`waiting`: it was written for keys that the asker has no longer; another reader writes it again for her.

    `problem` is `sealed_data_damaged` where it does not open; its author alone is told so of one whose readers
    cannot be read either.
    """

    id: UUID
    author: UUID
    written_at: datetime
    group: Group
    text: str | UnsetType = UNSET
    readers: list[UUID] | UnsetType = UNSET
    waiting: bool = False
    problem: str | UnsetType = UNSET


class NoteList(Struct):
    """The notes that name the asker, newest first."""

    items: list[NoteView]


TeamName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK)]


class NewTeam(Struct, forbid_unknown_fields=True):
    """A team, who belongs to it, and why."""

    name: TeamName
    members: Annotated[list[UUID], Meta(min_length=1, max_length=200)]
    reason: Why


class TeamClosing(Struct, forbid_unknown_fields=True):
    """Why a team is no more."""

    reason: Why


class TeamView(Struct):
    """A team of colleagues."""

    id: UUID
    name: str
    members: list[UUID]


class TeamList(Struct):
    """The teams that are not closed, by name."""

    items: list[TeamView]


class Reassignment(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Who leaves, and who takes her cases over."""

    from_: UUID
    to: Annotated[list[UUID], Meta(max_length=50)]
    teams: Annotated[list[UUID], Meta(max_length=50)] = msgspec.field(default_factory=list)


class Reassigned(Struct):
    """How many cases were moved, and wait for the same request once more."""

    moved: int
    waiting: int


class AbsentMember(Struct):
    """Until when she is on leave; null where she has left."""

    member_id: UUID
    until: datetime | None


class CaseToCover(Struct):
    case_id: UUID
    members: list[AbsentMember]


class CasesToCover(Struct):
    items: list[CaseToCover]
    next: UUID | None


class Declaration(Struct, forbid_unknown_fields=True):
    """What a member says of herself, so that an auditor sees whose case she opened; each of it can be left out."""

    first_name: Name | UnsetType = UNSET
    family_name: Name | UnsetType = UNSET
    former_names: Annotated[list[Name], Meta(max_length=4)] = msgspec.field(default_factory=list)
    birth_date: date | UnsetType = UNSET
    phones: Annotated[list[Line], Meta(max_length=4)] = msgspec.field(default_factory=list)
    address: Line | UnsetType = UNSET


class DeclarationKept(Struct):
    """When she declared last; `waits`: until a colleague who holds the key next writes or opens a case."""

    declared_at: datetime | None
    waits: bool


class NewConflict(Struct, forbid_unknown_fields=True):
    """A person whose cases must be closed to the member who declares her: by first and family name, or a phone.

    With a date of birth, a case that has another one is not hers.
    """

    first_name: Name | UnsetType = UNSET
    family_name: Name | UnsetType = UNSET
    former_names: Annotated[list[Name], Meta(max_length=4)] = msgspec.field(default_factory=list)
    birth_date: date | UnsetType = UNSET
    phones: Annotated[list[Line], Meta(max_length=4)] = msgspec.field(default_factory=list)


class ConflictView(Struct):
    """When a member declared a conflict: nobody is told of whom."""

    id: UUID
    declared_at: datetime


class ConflictList(Struct):
    """What a member declared and has not withdrawn, oldest first."""

    items: list[ConflictView]


class ConflictWithdrawal(Struct, forbid_unknown_fields=True):
    """Why a conflict that was declared is none."""

    reason: Why


class Search(Struct, forbid_unknown_fields=True):
    """What is known of a person; at least one of the three."""

    name: Name | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    phone: Line | UnsetType = UNSET


class Found(Struct):
    """`score` is from 0 to 1; `name_in_use` is null where only the phone may be read."""

    case_id: UUID
    name_in_use: str | None
    score: float


class SearchResult(Struct):
    """The cases that fit best, best first."""

    items: list[Found]
