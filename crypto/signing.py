"""Ed25519 signatures (RFC 8032)."""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crypto.errors import SignatureRefused
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import exactly


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


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Return silently when signature is public's over message. Raises SignatureRefused otherwise."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: a public key that is not 32 bytes
        raise SignatureRefused("not signed by this key") from None
