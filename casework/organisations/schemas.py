"""Renewals, grants and an organisation's settings on the wire."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.identity.members import SecrecyBasis
from casework.identity.schemas import NOT_BLANK, Login, Password, Reason
from casework.receipts import Receipted
from casework.unshown import Unshown
from policies.vocabulary import Profession, Role

# Eight words and what people put between them.
HeardWords = Annotated[str, Meta(min_length=1, max_length=200)]


class NewRenewal(Struct, forbid_unknown_fields=True):
    """`kind`: new keys under a new password (`reset`), or a new second factor (`factor`)."""

    kind: Literal["reset", "factor"]
    reason: Reason


class RenewalBegun(Unshown, Struct):
    """`secret` is shown once, to be handed to the member in person."""

    secret: str
    expires_at: datetime


class TakingUp(Unshown, Struct, forbid_unknown_fields=True):
    """Of keys: `new_password`. Of the second factor: the `password` that she has."""

    login: Login
    secret: Annotated[str, Meta(min_length=1, max_length=100)]
    new_password: Password | UnsetType = UNSET
    password: Password | UnsetType = UNSET


class Taken(Unshown, Struct, omit_defaults=True):
    """What the member alone is shown: her words, and the secret of her new second factor where that was renewed."""

    words: list[str]
    totp_secret: str | UnsetType = UNSET


class WordsHeard(Unshown, Struct, forbid_unknown_fields=True):
    words: HeardWords


class RenewalConfirmed(Receipted):
    member_id: UUID


class Granted(Receipted):
    """The compartments that she holds now of those that the policies derive for her, and those that still wait."""

    granted: list[str]
    waiting: list[str]


class Words(Struct):
    words: list[str]


CHARTER_LENGTH: Final = 50_000
"""How many characters a charter has at most."""


class CharterView(Struct):
    """`version`, `text` and `published_at` are null where there is no charter: nothing is asked then."""

    version: int | None
    text: str | None
    published_at: datetime | None
    accepted: bool


class NewCharter(Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=CHARTER_LENGTH, pattern=NOT_BLANK)]
    reason: Reason


class CharterPublished(Struct):
    version: int


class Acceptance(Struct, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=4_294_967_295)]


class CharterAccepted(Struct):
    version: int


class NewPosition(Struct, forbid_unknown_fields=True):
    """`secrecy_basis`: on what her professional secrecy rests (Code pénal 226-13)."""

    role: Role
    professions: Annotated[list[Profession], Meta(max_length=10)]
    secrecy_basis: SecrecyBasis
    reason: Reason


class PositionChanged(Struct):
    """`waiting`: hers now, once a holder who heard her words grants them. `due`: no longer hers, to be rotated."""

    member_id: UUID
    waiting: list[str]
    due: list[str]


class Weekday(StrEnum):
    """In the order of ISO 8601."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


TimeOfDay = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", max_length=5)]


class OpenFrom(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Open from a minute of the day on, until another one begins: hours in Paris."""

    from_: TimeOfDay
    to: TimeOfDay


OpeningHours = dict[Weekday, Annotated[list[OpenFrom], Meta(max_length=6)]]


class OrgSettings(Struct):
    """`version` counts changes. Without opening hours it is always open, but on the days of `closed_on`.

    Without `managed_networks` (in CIDR notation) they are those of the deployment.
    """

    version: int
    opening_hours: OpeningHours
    closed_on: list[date]
    managed_networks: list[str]


class NewOrgSettings(Struct, forbid_unknown_fields=True):
    """What takes the place of the settings that were read at `version`."""

    version: Annotated[int, Meta(ge=0, le=2**31 - 2)]
    opening_hours: OpeningHours
    closed_on: Annotated[list[date], Meta(max_length=200)]
    managed_networks: Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=50)]
    reason: Reason
