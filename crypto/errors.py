"""What this package refuses. A message states the rule that was broken and never carries a value."""

from enum import StrEnum


class CryptoError(Exception):
    """Anything that this package refuses."""


class EncodingRefused(CryptoError):
    """A value has a wrong width or range, or bytes are not in their one canonical form."""


class PlaceRefused(CryptoError):
    """A value was about to be sealed with a key that belongs to another place."""


class SealBroken(CryptoError):
    """The bytes do not open here: altered, moved, or sealed under another key."""


class CommitmentMismatch(SealBroken):
    """The bytes opened, but to a key other than the one that was committed to."""


class SealedToOtherKeys(SealBroken):
    """What names a member was sealed to keys that she has no longer, or to nobody's."""


class AlgorithmRefused(CryptoError):
    """The algorithm is unknown, reserved, or not allowed in this context."""


class SignatureRefused(CryptoError):
    """The signature was not made by this key over this message."""


class GrantRefused(CryptoError):
    """The grant is not certified by the directory, or does not yield the certified key."""


class DirectoryFault(StrEnum):
    """Why a key directory, or an entry of it, is refused."""

    NO_ROOT = "no_root"
    WRONG_ROOT = "wrong_root"
    WRONG_ORGANISATION = "wrong_organisation"
    GAP = "gap"
    BROKEN_CHAIN = "broken_chain"
    MALFORMED = "malformed"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_SIGNER = "unknown_signer"
    NOT_ENTITLED = "not_entitled"
    BAD_SIGNATURE = "bad_signature"
    CONTRADICTION = "contradiction"
    ROLLED_BACK = "rolled_back"


class DirectoryRefused(CryptoError):
    """The directory does not lead back to its root, or is older than one already seen."""

    def __init__(self, fault: DirectoryFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class PepperRefused(CryptoError):
    """The pepper is absent, unsafe where it lies, or not the one that sealed these bytes."""


class ProofRefused(CryptoError):
    """What the database says of an erasure is not what was said when it was prepared or approved."""


class SharesRefused(CryptoError):
    """The recovery shares are too few, altered, or do not belong together."""


class PasswordRefused(CryptoError):
    """The password, or the parameters that stretch it, lie outside the accepted bounds."""


class StepUpExpired(CryptoError):
    """The stepped-up part of the session has ended."""
