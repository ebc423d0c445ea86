"""How an account's keys stand in its rows: under password and pepper, and for a while under a second layer.

A new pepper cannot wrap the keys anew: only their owner's password opens them. So it seals what stands there once
more, at once, and the outer layer goes when she signs in (`account.outer_pepper_id` says that there is one).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from casework.column_types import Sealed
from casework.errors import Busy
from casework.identity.tables import account, membership
from casework.identity.totp import open_seed, seal_seed
from crypto.directory import Floor
from crypto.password import (
    SALT_SIZE,
    KdfParams,
    PasswordKeys,
    matches,
    open_daily,
    open_signing,
    password_keys,
    stretch,
    wrap_daily,
    wrap_signing,
)
from crypto.pepper import Pepper, Peppers, open_under_pepper, seal_under_pepper
from crypto.secret import Secret
from crypto.signing import SigningKey

_AUTH, _DAILY, _SIGNING = b"csm/outer-auth/v1", b"csm/outer-daily/v1", b"csm/outer-signing/v1"


@dataclass(frozen=True, slots=True)
class Stretched:
    """A password as Argon2id left it, with what it was stretched with."""

    salt: bytes
    params: KdfParams
    secret: Secret = field(repr=False)

    @classmethod
    def of(cls, password: str, params: KdfParams) -> "Stretched":
        """Stretch a password under a fresh salt; blocks and raises as `crypto.password.stretch` does."""
        salt = os.urandom(SALT_SIZE)
        return cls(salt, params, stretch(password, salt, params))


def params_of(found: Row[Any]) -> KdfParams:
    """What an account's password is stretched with."""
    return KdfParams(found.kdf_memory_kib, found.kdf_time, found.kdf_parallelism)


def is_right(peppers: Peppers, found: Row[Any], stretched: Secret) -> bool:
    """Whether it is the password of this account, and the account is active."""
    keys = password_keys(peppers.of(found.pepper_id), found.id.bytes, stretched)
    stored = _inner(peppers, found, _AUTH, found.id, bytes(found.auth_hash))
    return matches(keys, stored) and bool(found.active)


def daily_of(peppers: Peppers, found: Row[Any], member: Row[Any], stretched: Secret) -> tuple[Secret, Floor]:
    """A membership's daily key, and the directory state that it has seen. Raises SealBroken as `open_daily`."""
    wrapped = _inner(peppers, found, _DAILY, member.id, member.daily_key.blob)
    return open_daily(_keys(peppers, found, member.id, stretched), member.id.bytes, params_of(found), wrapped)


def signing_of(peppers: Peppers, found: Row[Any], member: Row[Any], stretched: Secret) -> SigningKey:
    """A membership's signing key. Raises SealBroken as `open_signing`."""
    wrapped = _inner(peppers, found, _SIGNING, member.id, member.signing_key.blob)
    return open_signing(
        _keys(peppers, found, member.id, stretched), member.id.bytes, params_of(found), wrapped
    )


def note_floor(
    connection: Connection,
    peppers: Peppers,
    found: Row[Any],
    member: UUID,
    stretched: Secret,
    daily: Secret,
    floor: Floor,
) -> None:
    """Remember the newest directory state inside a membership's wrapped daily key; its account has one layer."""
    keys = _keys(peppers, found, member, stretched)
    connection.execute(
        update(membership)
        .where(membership.c.org_id == found.org_id, membership.c.id == member)
        .values(daily_key=Sealed(wrap_daily(keys, member.bytes, params_of(found), daily, floor)))
    )


def rewrap(connection: Connection, peppers: Peppers, found: Row[Any], old: Secret, new: Stretched) -> None:
    """Put the same keys of an account under another stretched password and the pepper in force, in one layer.

    `old` is the stretched password that opens them now.

    Raises:
        Busy: the account was wrapped anew since `found` was read: what is known of it is old.
        SealBroken: `old` does not open them.

    """
    this = (account.c.org_id == found.org_id, account.c.id == found.id)
    locked = connection.execute(select(account).where(*this).with_for_update()).one()
    if (locked.auth_hash, locked.outer_pepper_id) != (found.auth_hash, found.outer_pepper_id):
        raise Busy
    for member in memberships_of(connection, found):
        daily, floor = daily_of(peppers, found, member, old)
        signing = signing_of(peppers, found, member, old)
        keys = password_keys(peppers.current, member.id.bytes, new.secret)
        connection.execute(
            update(membership)
            .where(membership.c.org_id == found.org_id, membership.c.id == member.id)
            .values(
                daily_key=Sealed(wrap_daily(keys, member.id.bytes, new.params, daily, floor)),
                signing_key=Sealed(wrap_signing(keys, member.id.bytes, new.params, signing)),
            )
        )
    connection.execute(update(account).where(*this).values(**proof(peppers.current, found.id, new)))


def seal_outer(connection: Connection, peppers: Peppers, coming: Pepper, found: Row[Any]) -> None:
    """Seal what an account stands under once more, with a pepper that is to come; an outer layer before goes.

    Its second factor's seed, which needs no password, moves to the new pepper altogether.
    """
    for member in memberships_of(connection, found):
        daily = _inner(peppers, found, _DAILY, member.id, member.daily_key.blob)
        signing = _inner(peppers, found, _SIGNING, member.id, member.signing_key.blob)
        connection.execute(
            update(membership)
            .where(membership.c.org_id == found.org_id, membership.c.id == member.id)
            .values(
                daily_key=Sealed(seal_under_pepper(coming, _DAILY, member.id.bytes, daily)),
                signing_key=Sealed(seal_under_pepper(coming, _SIGNING, member.id.bytes, signing)),
            )
        )
    stored = _inner(peppers, found, _AUTH, found.id, bytes(found.auth_hash))
    connection.execute(
        update(account)
        .where(account.c.org_id == found.org_id, account.c.id == found.id)
        .values(
            auth_hash=seal_under_pepper(coming, _AUTH, found.id.bytes, stored),
            outer_pepper_id=coming.id,
            totp_seed=seal_seed(coming, found.id, open_seed(peppers, found.id, found.totp_seed)),
        )
    )


def proof(pepper: Pepper, account_id: UUID, new: Stretched) -> dict[str, Any]:
    """The columns of an account by which a password is recognised, in one layer."""
    return {
        "auth_hash": password_keys(pepper, account_id.bytes, new.secret).auth_hash,
        "kdf_salt": new.salt,
        "kdf_memory_kib": new.params.memory_kib,
        "kdf_time": new.params.time_cost,
        "kdf_parallelism": new.params.parallelism,
        "pepper_id": pepper.id,
        "outer_pepper_id": None,
    }


def memberships_of(connection: Connection, found: Row[Any]) -> Iterator[Row[Any]]:
    """Every membership of an account, those that ended included."""
    rows = connection.execute(
        select(membership)
        .where(membership.c.org_id == found.org_id, membership.c.account_id == found.id)
        .order_by(membership.c.id)
    )
    yield from rows.all()


def _keys(peppers: Peppers, found: Row[Any], member: UUID, stretched: Secret) -> PasswordKeys:
    return password_keys(peppers.of(found.pepper_id), member.bytes, stretched)


def _inner(peppers: Peppers, found: Row[Any], label: bytes, owner: UUID, stored: bytes) -> bytes:
    if found.outer_pepper_id is None:
        return stored
    return open_under_pepper(peppers.of(found.outer_pepper_id), label, owner.bytes, stored)
