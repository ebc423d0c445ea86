"""Sign-in on the wire."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.identity.members import SecrecyBasis
from casework.unshown import Unshown
from policies.vocabulary import Group, Role

Login = Annotated[str, Meta(min_length=1, max_length=100)]
# Longer ones are refused by the derivation itself; this bounds what is read.
Password = Annotated[str, Meta(min_length=1, max_length=1_024)]


class Credentials(Unshown, Struct, forbid_unknown_fields=True):
    login: Login
    password: Password
    role: Role | UnsetType = UNSET


class SessionBegun(Unshown, Struct):
    token: str
    needs: list[str]
    expires_at: datetime


class SecondFactor(Unshown, Struct, forbid_unknown_fields=True):
    code: Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")]
    role: Role | UnsetType = UNSET


class FactorGiven(Struct):
    needs: list[str]


class PasswordAgain(Unshown, Struct, forbid_unknown_fields=True):
    password: Password


class PasswordChange(Unshown, Struct, forbid_unknown_fields=True):
    password: Password
    new_password: Password


class Me(Struct):
    """`may_open_with` are the groups with which the asker may open a case; none where she may open no case."""

    member_id: UUID
    login: str
    organisation: str
    role: Role
    professions: list[str]
    compartments: list[str]
    may_open_with: list[Group]


class LeaveView(Struct, rename={"from_": "from"}):
    from_: datetime
    until: datetime


class MemberView(Struct):
    """`secrecy_basis` is null while nobody has recorded it; `leave` is one that is not over.

    `charter_accepted`: in this role, the version in force; true where there is none.
    """

    id: UUID
    login: str
    role: Role
    professions: list[str]
    active: bool
    secrecy_basis: SecrecyBasis | None
    leave: LeaveView | None
    charter_accepted: bool


class Members(Struct):
    items: list[MemberView]


# `\S` alone is read differently: Python's `\s` has U+001C to U+001F and U+0085, that of JSON Schema has U+FEFF.
NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85\ufeff]"


Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=NOT_BLANK)]


class Unlocking(Struct, forbid_unknown_fields=True):
    reason: Reason


class Unlocked(Struct):
    member_id: UUID


class NewLeave(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    from_: Annotated[datetime, Meta(tz=True)]
    until: Annotated[datetime, Meta(tz=True)]
    reason: Reason


class Returning(Struct, forbid_unknown_fields=True):
    reason: Reason


class Returned(Struct):
    member_id: UUID
