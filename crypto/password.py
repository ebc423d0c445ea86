"""What a password opens: never alone, always together with the server's pepper.

A = Argon2id(password, salt); U = HMAC(pepper, PAE("csm/password/v1", subject, A)); U gives two keys, one that
proves the password (its SHA-256 is stored) and one that wraps the member's private keys.
"""

import struct
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from argon2.low_level import Type, hash_secret_raw

from crypto.algorithms import Algorithm, aead_for, hkdf_expand
from crypto.box import open_box, seal_box
from crypto.directory import Floor
from crypto.errors import PasswordRefused, SealBroken
from crypto.header import PREFIX
from crypto.pepper import Pepper
from crypto.secret import KEY_SIZE, Secret
from crypto.signing import SigningKey
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, u32

SALT_SIZE = 16
PASSWORD_LIMIT = 1024
"""Characters. Longer input is refused before it costs a normalisation and a hash."""

_LABEL = b"csm/password/v1"
_AUTH_LABEL = b"csm/v1/auth"
_WRAP_LABEL = b"csm/v1/password-wrap"
_DAILY_CONTEXT = b"csm/pwd1"
_SIGNING_CONTEXT = b"csm/pws1"
_PARAMS = struct.Struct(">III")
_HEADER_SIZE = len(PREFIX) + 16 + _PARAMS.size

_MEMORY_BOUNDS = (19_456, 1_048_576)
_TIME_BOUNDS = (2, 16)
_LANES_BOUNDS = (1, 4)


@dataclass(frozen=True, slots=True)
class KdfParams:
    """Argon2id parameters (RFC 9106): KiB of memory, passes, lanes.

    Raises PasswordRefused below 19,456 KiB, 2 passes, 1 lane (the OWASP minimum), or above 1 GiB, 16 passes,
    4 lanes (a stored value must not exhaust the server).
    """

    memory_kib: int
    time_cost: int
    parallelism: int

    def __post_init__(self) -> None:
        bounded = (
            (self.memory_kib, _MEMORY_BOUNDS),
            (self.time_cost, _TIME_BOUNDS),
            (self.parallelism, _LANES_BOUNDS),
        )
        if not all(low <= value <= high for value, (low, high) in bounded):
            raise PasswordRefused("parameters out of bounds")

    @property
    def encoded(self) -> bytes:
        """12 bytes: memory_kib, time_cost, parallelism, each u32be."""
        return _PARAMS.pack(self.memory_kib, self.time_cost, self.parallelism)

    def raised_to(self, least: "KdfParams") -> "KdfParams":
        """Return parameters that cost no less than these nor than `least`: what is raised is not lowered."""
        return KdfParams(
            max(self.memory_kib, least.memory_kib), max(self.time_cost, least.time_cost), self.parallelism
        )


DEFAULT_PARAMS = KdfParams(memory_kib=65_536, time_cost=3, parallelism=1)
FLOOR_PARAMS = KdfParams(
    memory_kib=_MEMORY_BOUNDS[0], time_cost=_TIME_BOUNDS[0], parallelism=_LANES_BOUNDS[0]
)


@dataclass(frozen=True, slots=True)
class PasswordKeys:
    """What a subject's password and the pepper give together."""

    subject: bytes
    pepper_id: bytes
    auth: Secret
    wrap: Secret

    @property
    def auth_hash(self) -> bytes:
        """SHA-256 of the proving key: what is stored to recognise the password."""
        return sha256(self.auth.reveal()).digest()


def stretch(password: str, salt: bytes, params: KdfParams) -> Secret:
    """Return the 32 bytes that Argon2id (RFC 9106) makes of a password and a 16-byte salt.

    Blocks for tens of milliseconds and takes params.memory_kib of memory: call it in a worker thread. Raises
    PasswordRefused for an empty or overlong password or one with control characters.
    """
    return Secret(
        hash_secret_raw(
            secret=_normalised(password),
            salt=exactly(salt, SALT_SIZE),
            time_cost=params.time_cost,
            memory_cost=params.memory_kib,
            parallelism=params.parallelism,
            hash_len=KEY_SIZE,
            type=Type.ID,
        )
    )


def password_keys(pepper: Pepper, subject: bytes, stretched: Secret) -> PasswordKeys:
    """Return the keys of a subject (16 bytes) from her stretched password."""
    unified = pepper.hmac(_LABEL, exactly(subject, ID_SIZE), stretched.reveal())
    auth, wrap = (Secret(hkdf_expand(unified, label)) for label in (_AUTH_LABEL, _WRAP_LABEL))
    return PasswordKeys(subject, pepper.id, auth, wrap)


def matches(keys: PasswordKeys, stored_auth_hash: bytes) -> bool:
    """Tell in constant time whether the password is the stored one."""
    return compare_digest(keys.auth_hash, stored_auth_hash)


def wrap_daily(
    keys: PasswordKeys, member: bytes, params: KdfParams, daily_private: Secret, floor: Floor
) -> bytes:
    """Return a membership's daily key and the newest directory state it has seen, under the password.

    Layout: 01 | 01 | pepper id 16 | memory u32be | time u32be | lanes u32be | nonce 12 | ciphertext | tag 16;
    associated data: those 30 bytes | "csm/pwd1" | subject 16 | member 16. Plaintext: daily private 32 |
    floor epoch u32be | floor head 32: a directory rolled back in the database is found at the next sign-in.
    """
    plaintext = exactly(daily_private.reveal(), KEY_SIZE) + u32(floor.epoch) + exactly(floor.head, HASH_SIZE)
    return _wrap(keys, member, params, _DAILY_CONTEXT, plaintext)


def open_daily(keys: PasswordKeys, member: bytes, params: KdfParams, wrapped: bytes) -> tuple[Secret, Floor]:
    """Return the daily private key and the floor to hold the directory against.

    Raises SealBroken for another password, pepper, subject or membership, other parameters, or altered bytes.
    """
    plaintext = _open(keys, member, params, _DAILY_CONTEXT, wrapped)
    epoch, head = plaintext[KEY_SIZE : KEY_SIZE + 4], plaintext[KEY_SIZE + 4 :]
    return Secret(plaintext[:KEY_SIZE]), Floor(int.from_bytes(epoch), head)


def wrap_signing(keys: PasswordKeys, member: bytes, params: KdfParams, signing: SigningKey) -> bytes:
    """Return a membership's signing key under the password: as wrap_daily, with "csm/pws1" and its seed."""
    return _wrap(keys, member, params, _SIGNING_CONTEXT, signing.seed.reveal())


def open_signing(keys: PasswordKeys, member: bytes, params: KdfParams, wrapped: bytes) -> SigningKey:
    """Return the signing key. Raises SealBroken as open_daily does."""
    return SigningKey.from_seed(Secret(_open(keys, member, params, _SIGNING_CONTEXT, wrapped)))


def _normalised(password: str) -> bytes:
    """Return the UTF-8 bytes that are hashed, the same from every keyboard.

    Preparation in the manner of RFC 8265, section 4.2 (spaces mapped, controls and the empty string refused),
    with the NFKC of NIST SP 800-63B-4, section 3.1.1.2.
    """
    if not 0 < len(password) <= PASSWORD_LIMIT:
        raise PasswordRefused("empty or too long")
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    normal = unicodedata.normalize("NFKC", spaced)
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in normal):
        raise PasswordRefused("control characters")
    return normal.encode()


def _header(keys: PasswordKeys, params: KdfParams) -> bytes:
    return PREFIX + keys.pepper_id + params.encoded


def _wrap(keys: PasswordKeys, member: bytes, params: KdfParams, label: bytes, plaintext: bytes) -> bytes:
    context = label + keys.subject + exactly(member, ID_SIZE)
    aead = aead_for(Algorithm.AES_256_GCM, keys.wrap.reveal())
    return seal_box(aead, _header(keys, params), context, plaintext)


def _open(keys: PasswordKeys, member: bytes, params: KdfParams, label: bytes, wrapped: bytes) -> bytes:
    if not wrapped.startswith(_header(keys, params)):
        raise SealBroken("wrapped under another pepper or other parameters")
    context = label + keys.subject + exactly(member, ID_SIZE)
    return open_box(aead_for(Algorithm.AES_256_GCM, keys.wrap.reveal()), _HEADER_SIZE, context, wrapped)
