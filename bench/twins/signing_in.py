"""Passwords, codes, tokens and lifetimes: what casework's sign-in checks, without keys to open."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from crypto.password import DEFAULT_PARAMS

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=10)
TOUCH_EVERY = timedelta(minutes=1)
STEP_SECONDS = 30
_DRIFT = (0, -1, 1)
_TOKEN_SIZE = 32

# The parameters that casework stretches with.
HASHER = PasswordHasher(
    time_cost=DEFAULT_PARAMS.time_cost,
    memory_cost=DEFAULT_PARAMS.memory_kib,
    parallelism=DEFAULT_PARAMS.parallelism,
)
# Two at once, as casework does.
_turns = asyncio.Semaphore(2)


@dataclass(frozen=True, slots=True)
class Member:
    """Who asks."""

    org_id: UUID
    id: UUID
    role: str


def new_token() -> tuple[str, bytes]:
    """A bearer token, and the id of its row."""
    secret = secrets.token_bytes(_TOKEN_SIZE)
    return secret.hex(), sha256(secret).digest()


def row_of_token(authorization: str) -> bytes | None:
    """The row that an Authorization header names; None for what is no token."""
    scheme, _, text = authorization.partition(" ")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        return None
    if scheme.lower() != "bearer" or len(secret) != _TOKEN_SIZE:
        return None
    return sha256(secret).digest()


def password_is(password_hash: str, password: str) -> bool:
    """Blocks for the time that Argon2id takes."""
    try:
        return HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False


async def password_is_async(password_hash: str, password: str) -> bool:
    async with _turns:
        return await asyncio.to_thread(password_is, password_hash, password)


def accepted_step(seed: str, code: str, last_step: int, now: datetime) -> int | None:
    """The step of a code of RFC 6238 that is newer than the last one accepted, else None."""
    totp = pyotp.TOTP(seed)
    for drift in _DRIFT:
        step = int(now.timestamp()) // STEP_SECONDS + drift
        if step > last_step and pyotp.utils.strings_equal(code, totp.generate_otp(step)):
            return step
    return None


def is_over(seen_at: datetime, expires_at: datetime, now: datetime) -> bool:
    return now >= expires_at or now >= seen_at + IDLE
