"""The second factor: time-based codes (RFC 6238), each good once, under a seed sealed to the pepper."""

from datetime import datetime
from uuid import UUID

import pyotp

from casework.column_types import Sealed
from crypto.pepper import Pepper, Peppers, open_under_pepper, seal_under_pepper, sealing_pepper

STEP_SECONDS = 30
# One step of clock drift either way (RFC 6238, section 5.2).
_DRIFT = (0, -1, 1)
_LABEL = b"csm/totp/v1"
# Another one: what nobody has confirmed yet must not open where a code is judged.
_RENEWAL_LABEL = b"csm/totp-renewal/v1"


def new_seed() -> str:
    """A fresh seed in base32, as an authenticator takes it: 160 bits."""
    return pyotp.random_base32()


def seal_seed(pepper: Pepper, account_id: UUID, seed: str) -> Sealed:
    return Sealed(seal_under_pepper(pepper, _LABEL, account_id.bytes, seed.encode("ascii")))


def open_seed(peppers: Peppers, account_id: UUID, sealed: Sealed) -> str:
    """The seed. Raises PepperRefused, SealBroken as `crypto.pepper.open_under_pepper`."""
    pepper = peppers.of(sealing_pepper(sealed.blob))
    return open_under_pepper(pepper, _LABEL, account_id.bytes, sealed.blob).decode("ascii")


def seal_new_seed(pepper: Pepper, renewal_id: UUID, seed: str) -> Sealed:
    """Seal the seed that a renewal has prepared: as its own, and no account's."""
    return Sealed(seal_under_pepper(pepper, _RENEWAL_LABEL, renewal_id.bytes, seed.encode("ascii")))


def open_new_seed(peppers: Peppers, renewal_id: UUID, sealed: Sealed) -> str:
    """The seed of a renewal. Raises as `open_seed`."""
    pepper = peppers.of(sealing_pepper(sealed.blob))
    return open_under_pepper(pepper, _RENEWAL_LABEL, renewal_id.bytes, sealed.blob).decode("ascii")


def accepted_step(
    peppers: Peppers, account_id: UUID, sealed: Sealed, code: str, last_step: int, now: datetime
) -> int | None:
    """The time step that `code` belongs to, or None if it is wrong or not newer than the last one accepted."""
    totp = pyotp.TOTP(open_seed(peppers, account_id, sealed))
    present = int(now.timestamp()) // STEP_SECONDS
    for drift in _DRIFT:
        step = present + drift
        if step > last_step and pyotp.utils.strings_equal(code, totp.generate_otp(step)):
            return step
    return None
