"""HPKE (RFC 9180) in one mode and one suite: Base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

Single-shot, empty associated data: everything that binds a ciphertext to its use goes into ``info``. Base
mode authenticates no sender; whoever needs a sender adds a signature.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from crypto.errors import EncodingRefused, SealBroken
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import exactly

PUBLIC_KEY_SIZE = 32
HPKE_OVERHEAD = 48
"""32 bytes of encapsulated key and a 16-byte tag."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 key pair (RFC 7748), both halves as 32 raw bytes."""

    public: bytes
    private: Secret


def public_half(private: Secret) -> bytes:
    """Return the public half of a 32-byte X25519 private key."""
    return _private_key(private).public_key().public_bytes_raw()


def new_key_pair() -> KeyPair:
    private = Secret.random()
    return KeyPair(public_half(private), private)


def hpke_seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Return enc 32 | ciphertext | tag 16.

    Raises EncodingRefused for a public key that is not 32 bytes or lies in the small subgroup.
    """
    key = X25519PublicKey.from_public_bytes(exactly(public, PUBLIC_KEY_SIZE))
    try:
        return _SUITE.encrypt(plaintext, key, info)
    except ValueError:  # RFC 9180, section 7.1.4: the all-zero shared secret
        raise EncodingRefused("not a usable public key") from None


def hpke_open(private: Secret, info: bytes, sealed: bytes) -> bytes:
    """Return the plaintext. Raises SealBroken unless sealed to this key under this info."""
    try:
        return _SUITE.decrypt(sealed, _private_key(private), info)
    except InvalidTag:
        raise SealBroken("does not open here") from None


def _private_key(private: Secret) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(exactly(private.reveal(), KEY_SIZE))
