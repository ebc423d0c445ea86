"""Sessions that carry their keys: a stolen database opens none, for token and pepper are elsewhere."""

import struct
from dataclasses import dataclass
from hashlib import sha256

from crypto.algorithms import Algorithm, aead_for, hkdf_expand
from crypto.box import open_box, seal_box
from crypto.errors import EncodingRefused, StepUpExpired
from crypto.header import PREFIX, require_prefix
from crypto.kek import Kek
from crypto.pae import pae
from crypto.pepper import Pepper
from crypto.secret import KEY_SIZE, Secret
from crypto.signing import SigningKey
from crypto.widths import HASH_SIZE, ID_SIZE, exactly, label_bytes, u64

_ID_LABEL = b"csm/session-id/v1"
_KEY_LABEL = b"csm/session-key/v1"
_WRAP_LABEL = b"csm/v1/session"
_KEYS_CONTEXT = b"csm/ses1"
_STEP_UP_CONTEXT = b"csm/stp1"
_PENDING_CONTEXT = b"csm/pnd1"
_KEYS_HEAD = struct.Struct(">16s16s32sH")
_KEK_HEAD = struct.Struct(">I32s32sB")
_STEP_UP_HEADER_SIZE = len(PREFIX) + 8


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What a signed-in membership can open: its daily key and the KEKs that its grants gave."""

    org: bytes
    member: bytes
    daily_private: Secret
    keks: tuple[Kek, ...]


def new_token() -> Secret:
    """Return a fresh 32-byte session token; only the member's browser or client keeps it."""
    return Secret.random()


def session_id(token: Secret) -> bytes:
    """Return the row id of a session: SHA-256(PAE("csm/session-id/v1", token))."""
    return sha256(pae(_ID_LABEL, exactly(token.reveal(), KEY_SIZE))).digest()


def session_key(pepper: Pepper, token: Secret) -> Secret:
    """Return the key of a session's rows.

    HKDF-Expand(HMAC(pepper, PAE("csm/session-key/v1", token)), "csm/v1/session", 32).
    """
    return Secret(hkdf_expand(pepper.hmac(_KEY_LABEL, exactly(token.reveal(), KEY_SIZE)), _WRAP_LABEL))


def seal_session(key: Secret, session: bytes, keys: SessionKeys) -> bytes:
    """Return the session's keys under its own key; ``session`` is the 32-byte row id.

    Layout: 01 | 01 | nonce 12 | ciphertext | tag 16; associated data: those 2 bytes | "csm/ses1" | session
    32. Plaintext: org 16 | member 16 | daily private 32 | count u16be, then for each KEK: number u32be |
    kid 32 | secret 32 | group length u8 | group. Raises EncodingRefused for a KEK of another organisation.
    """
    # Before any key is a local: a traceback that shows locals must not show one.
    if any(kek.org != keys.org for kek in keys.keks):
        raise EncodingRefused("key of another organisation")
    context = _KEYS_CONTEXT + exactly(session, HASH_SIZE)
    aead = aead_for(Algorithm.AES_256_GCM, key.reveal())
    return seal_box(aead, PREFIX, context, _encode_keys(keys))


def _encode_keys(keys: SessionKeys) -> bytes:
    daily = exactly(keys.daily_private.reveal(), KEY_SIZE)
    pieces = [
        _KEYS_HEAD.pack(exactly(keys.org, ID_SIZE), exactly(keys.member, ID_SIZE), daily, len(keys.keks))
    ]
    for kek in keys.keks:
        group = label_bytes(kek.group)
        pieces += [_KEK_HEAD.pack(kek.number, kek.kid, kek.secret.reveal(), len(group)), group]
    return b"".join(pieces)


def open_session(key: Secret, session: bytes, sealed: bytes) -> SessionKeys:
    """Return the session's keys. Raises SealBroken for another token, session, pepper or altered bytes."""
    plaintext = _open_row(key, _KEYS_CONTEXT + session, len(PREFIX), sealed)
    org, member, daily, count = _KEYS_HEAD.unpack_from(plaintext)
    offset = _KEYS_HEAD.size
    keks = []
    for _ in range(count):
        number, kid, secret, length = _KEK_HEAD.unpack_from(plaintext, offset)
        offset += _KEK_HEAD.size
        group = plaintext[offset : offset + length].decode("ascii")
        offset += length
        keks.append(Kek(org, group, number, Secret(secret), kid))
    return SessionKeys(org, member, Secret(daily), tuple(keks))


def seal_pending(key: Secret, session: bytes, account: bytes, stretched: Secret) -> bytes:
    """Return the stretched password of a session that still waits for its second factor.

    Layout: 01 | 01 | nonce 12 | ciphertext 32 | tag 16; associated data: those 2 bytes | "csm/pnd1" | session
    32 | account 16: the password of one account must not meet the second factor of another.
    """
    aead = aead_for(Algorithm.AES_256_GCM, key.reveal())
    context = _PENDING_CONTEXT + exactly(session, HASH_SIZE) + exactly(account, ID_SIZE)
    return seal_box(aead, PREFIX, context, exactly(stretched.reveal(), KEY_SIZE))


def open_pending(key: Secret, session: bytes, account: bytes, sealed: bytes) -> Secret:
    """Return the stretched password. Raises SealBroken as open_session does, and for another account."""
    return Secret(_open_row(key, _PENDING_CONTEXT + session + account, len(PREFIX), sealed))


def seal_step_up(key: Secret, session: bytes, seed: Secret, expires_at: int) -> bytes:
    """Return the signing key's seed under the session's key until expires_at (whole seconds since 1970, UTC).

    Layout: 01 | 01 | expires_at u64be | nonce 12 | ciphertext 32 | tag 16; associated data: those 10 bytes |
    "csm/stp1" | session 32.
    """
    aead = aead_for(Algorithm.AES_256_GCM, key.reveal())
    context = _STEP_UP_CONTEXT + exactly(session, HASH_SIZE)
    return seal_box(aead, PREFIX + u64(expires_at), context, exactly(seed.reveal(), KEY_SIZE))


def open_step_up(key: Secret, session: bytes, sealed: bytes, now: int) -> SigningKey:
    """Return the signing key. Raises SealBroken as open_session does, StepUpExpired from expires_at on."""
    seed = Secret(_open_row(key, _STEP_UP_CONTEXT + session, _STEP_UP_HEADER_SIZE, sealed))
    if now >= int.from_bytes(sealed[len(PREFIX) : _STEP_UP_HEADER_SIZE]):
        raise StepUpExpired("the step-up has ended")
    return SigningKey.from_seed(seed)


def _open_row(key: Secret, context: bytes, header_size: int, sealed: bytes) -> bytes:
    require_prefix(sealed)
    return open_box(aead_for(Algorithm.AES_256_GCM, key.reveal()), header_size, context, sealed)
