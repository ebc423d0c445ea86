"""Accounts and memberships: made once, with keys that only password and pepper together open."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

from casework.column_types import Sealed
from casework.identity.tables import account, membership
from casework.identity.totp import new_seed, seal_seed
from casework.ids import new_id
from crypto.directory import Floor
from crypto.directory_entries import MemberBody
from crypto.hpke import new_key_pair
from crypto.password import SALT_SIZE, KdfParams, password_keys, stretch, wrap_daily, wrap_signing
from crypto.pepper import Pepper
from crypto.secret import Secret
from crypto.signing import SigningKey
from policies.vocabulary import Profession, Role


@dataclass(frozen=True, slots=True)
class Position:
    """A role, and the professions it is held with."""

    role: Role
    professions: frozenset[Profession] = frozenset()


@dataclass(frozen=True, slots=True)
class NewMembership:
    id: UUID
    position: Position
    daily_private: Secret = field(repr=False)
    signing: SigningKey = field(repr=False)
    body: MemberBody


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that is not stored yet: its keys are made, its public halves wait to be certified."""

    id: UUID
    login: str
    salt: bytes
    params: KdfParams
    stretched: Secret = field(repr=False)
    totp_seed: str = field(repr=False)
    memberships: tuple[NewMembership, ...]


def prepare_account(
    login: str, password: str, positions: Sequence[Position], params: KdfParams
) -> NewAccount:
    """Make the keys of an account and of each of its memberships. Blocks for one Argon2id stretch.

    Raises:
        PasswordRefused: see `crypto.password.stretch`.

    """
    salt = os.urandom(SALT_SIZE)
    return NewAccount(
        id=new_id(),
        login=login,
        salt=salt,
        params=params,
        stretched=stretch(password, salt, params),
        totp_seed=new_seed(),
        memberships=tuple(_prepare_membership(position) for position in positions),
    )


def store_account(
    connection: Connection, pepper: Pepper, org_id: UUID, new: NewAccount, floor: Floor, now: datetime
) -> None:
    """Insert an account and its memberships: their keys under the password, each daily key with its floor."""
    keys = password_keys(pepper, new.id.bytes, new.stretched)
    connection.execute(
        insert(account).values(
            org_id=org_id,
            id=new.id,
            login=new.login,
            active=True,
            auth_hash=keys.auth_hash,
            kdf_salt=new.salt,
            kdf_memory_kib=new.params.memory_kib,
            kdf_time=new.params.time_cost,
            kdf_parallelism=new.params.parallelism,
            pepper_id=pepper.id,
            totp_seed=seal_seed(pepper, new.id, new.totp_seed),
            totp_step=0,
            created_at=now,
        )
    )
    for member in new.memberships:
        wrapping = password_keys(pepper, member.id.bytes, new.stretched)
        daily = wrap_daily(wrapping, member.id.bytes, new.params, member.daily_private, floor)
        connection.execute(
            insert(membership).values(
                org_id=org_id,
                id=member.id,
                account_id=new.id,
                role=member.position.role,
                professions=",".join(sorted(member.position.professions)),
                active=True,
                daily_key=Sealed(daily),
                signing_key=Sealed(wrap_signing(wrapping, member.id.bytes, new.params, member.signing)),
                created_at=now,
            )
        )


def active_members(connection: Connection, org_id: UUID, members: Collection[UUID]) -> set[UUID]:
    """Those of `members` that are active in the organisation."""
    rows = connection.execute(
        select(membership.c.id).where(
            membership.c.org_id == org_id, membership.c.id.in_(members), membership.c.active
        )
    )
    return set(rows.scalars())


def _prepare_membership(position: Position) -> NewMembership:
    member_id, daily, signing = new_id(), new_key_pair(), SigningKey.new()
    body = MemberBody(
        member=member_id.bytes,
        role=position.role,
        professions=tuple(sorted(position.professions)),
        daily_public=daily.public,
        signing_public=signing.public,
    )
    return NewMembership(member_id, position, daily.private, signing, body)
