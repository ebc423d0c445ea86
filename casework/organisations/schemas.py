"""Renewals and grants on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from casework.identity.schemas import Login, Password, Reason
from casework.receipts import Receipted
from casework.unshown import Unshown

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
