"""Ed25519 signatures (RFC 8032)."""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crypto.errors import EncodingRefused, SignatureRefused
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import exactly

_PRIME = 2**255 - 19
# The eight points of small order have five y among them (x with either sign): for such a key a signature holds for
# many messages, or for all. Listed in Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (SSR 2020).
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key, kept as its 32-byte seed."""

    seed: Secret
    public: bytes
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: Secret) -> "SigningKey":
        key = Ed25519PrivateKey.from_private_bytes(exactly(seed.reveal(), KEY_SIZE))
        return cls(seed, key.public_key().public_bytes_raw(), key)

    @classmethod
    def new(cls) -> "SigningKey":
        return cls.from_seed(Secret.random())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of message."""
        return self._key.sign(message)


def sound_public(public: bytes) -> bytes:
    """Return public as it is.

    Raises EncodingRefused where it is not 32 bytes, encodes a y that is not below 2^255 - 19 (RFC 8032 section
    5.1.3; OpenSSL takes it, so that one key would have two forms) or a point of small order.
    """
    y = int.from_bytes(exactly(public, KEY_SIZE), "little") & (2**255 - 1)
    if y >= _PRIME or y in _SMALL_ORDER:
        raise EncodingRefused("not a key that only its holder can sign with")
    return public


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Return silently when signature is public's over message (RFC 8032 section 5.1.7, without the cofactor).

    Raises SignatureRefused otherwise, and for a key that is not sound.
    """
    try:
        Ed25519PublicKey.from_public_bytes(sound_public(public)).verify(signature, message)
    except (InvalidSignature, EncodingRefused):
        raise SignatureRefused("not signed by this key") from None
