"""Public keys of Ed25519 that nobody holds, and with which anybody signs."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_PRIME = 2**255 - 19
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826


def _encoded(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


# y of orders 1, 2, 4 and 8; the two of order 8 are each other's negative.
_YS = (1, _PRIME - 1, 0, _Y_OF_ORDER_8, _PRIME - _Y_OF_ORDER_8)
SMALL_ORDER = [_encoded(y, sign) for y in _YS for sign in (0, 1)]
"""Among them (0, 1) and (0, -1) with a sign that RFC 8032 does not allow them."""
BEYOND_THE_PRIME = [_encoded(y + _PRIME, sign) for y in (0, 1) for sign in (0, 1)]
"""The only y beyond the prime that are of small order too."""
OF_NO_SMALL_ORDER = [_encoded(y + _PRIME, sign) for y in range(2, 19) for sign in (0, 1)]
"""Every other y beyond the prime; some of them are points."""


def forged(public: bytes) -> tuple[bytes, bytes]:
    """A message, and a signature of it that OpenSSL takes: s is 0 and R of small order, so no secret is needed."""
    for number in range(1_000):
        message = f"message {number}".encode()
        for first in SMALL_ORDER:
            signature = first + bytes(32)
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
            except InvalidSignature:
                continue
            return message, signature
    raise AssertionError("not forged")
