"""Accounts and memberships: made once, with keys that only password and pepper together open."""

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from casework.column_types import Sealed
from casework.identity.absence import Leave, leave_of
from casework.identity.strength import require_strong
from casework.identity.tables import account, membership
from casework.identity.totp import new_seed, seal_seed
from casework.identity.wrapping import Stretched, daily_of, is_right, proof, signing_of
from casework.ids import new_id
from crypto.directory import Floor
from crypto.directory_entries import MemberBody
from crypto.errors import PasswordRefused
from crypto.hpke import new_key_pair
from crypto.password import KdfParams, password_keys, wrap_daily, wrap_signing
from crypto.pepper import Pepper, Peppers
from crypto.secret import Secret
from crypto.signing import SigningKey
from policies.vocabulary import Profession, Role

# What a login may be made of; nobody has one of another form.
LOGIN_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
# Without those that are mistaken for one another when a password is copied from paper.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
_PARTS, _PART = 5, 4


@dataclass(frozen=True, slots=True)
class Position:
    """A role, and the professions it is held with."""

    role: Role
    professions: frozenset[Profession] = frozenset()


class SecrecyBasis(StrEnum):
    """On what a person's professional secrecy rests (Code pénal 226-13): it is hers, not her association's."""

    PROFESSION = "profession"
    MISSION = "mission"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Colleague:
    """A membership as the others of the organisation may know it."""

    id: UUID
    login: str
    position: Position
    active: bool
    secrecy_basis: SecrecyBasis | None
    leave: Leave | None


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
    password: Stretched
    totp_seed: str = field(repr=False)
    memberships: tuple[NewMembership, ...]
    secrecy_basis: SecrecyBasis | None = None


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """An active account as its row has it, with the rows of its active memberships; the keys are wrapped."""

    row: Row[Any]
    memberships: tuple[Row[Any], ...]


@dataclass(frozen=True, slots=True)
class ClosedAccount:
    """An account that was just closed, with every membership it had."""

    id: UUID
    members: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class UnlockedMember:
    """A membership whose keys were opened by its password; `floor` is the directory state it has seen."""

    id: UUID
    position: Position
    daily_private: Secret = field(repr=False)
    signing: SigningKey = field(repr=False)
    floor: Floor


def initial_password() -> str:
    """A random password of 99 bits in five parts, to be copied from paper."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(_PART)) for _ in range(_PARTS))


def prepare_account(
    login: str,
    password: str,
    positions: Sequence[Position],
    params: KdfParams,
    secrecy_basis: SecrecyBasis | None = None,
) -> NewAccount:
    """Make the keys of an account and of each of its memberships. Blocks for one Argon2id stretch.

    Raises:
        PasswordTooWeak: see `casework.identity.strength`.

    """
    require_strong(password, [login])
    return NewAccount(
        id=new_id(),
        login=login,
        password=Stretched.of(password, params),
        totp_seed=new_seed(),
        memberships=tuple(_prepare_membership(position) for position in positions),
        secrecy_basis=secrecy_basis,
    )


def store_account(
    connection: Connection, pepper: Pepper, org_id: UUID, new: NewAccount, floor: Floor, now: datetime
) -> None:
    """Insert an account and its memberships: their keys under the password, each daily key with its floor."""
    connection.execute(
        insert(account).values(
            org_id=org_id,
            id=new.id,
            login=new.login,
            active=True,
            **proof(pepper, new.id, new.password),
            totp_seed=seal_seed(pepper, new.id, new.totp_seed),
            totp_step=0,
            created_at=now,
            secrecy_basis=new.secrecy_basis,
        )
    )
    for member in new.memberships:
        wrapping = password_keys(pepper, member.id.bytes, new.password.secret)
        params = new.password.params
        daily = wrap_daily(wrapping, member.id.bytes, params, member.daily_private, floor)
        connection.execute(
            insert(membership).values(
                org_id=org_id,
                id=member.id,
                account_id=new.id,
                role=member.position.role,
                professions=",".join(sorted(member.position.professions)),
                active=True,
                daily_key=Sealed(daily),
                signing_key=Sealed(wrap_signing(wrapping, member.id.bytes, params, member.signing)),
                created_at=now,
            )
        )


def login_is_taken(connection: Connection, login: str) -> bool:
    """Whether any organisation has an account of this login.

    On PostgreSQL the transaction is then inside that organisation: enter one's own again.
    """
    if connection.dialect.name == "postgresql":
        return connection.execute(select(func.find_login(login))).scalar_one() is not None
    return connection.execute(select(account.c.id).where(account.c.login == login)).first() is not None


def locked_account(connection: Connection, org_id: UUID, login: str) -> LockedAccount | None:
    """The organisation's active account of this login, its keys still wrapped."""
    found = connection.execute(
        select(account).where(account.c.org_id == org_id, account.c.login == login, account.c.active)
    ).one_or_none()
    if found is None:
        return None
    rows = connection.execute(
        select(membership).where(
            and_(membership.c.org_id == org_id, membership.c.account_id == found.id, membership.c.active)
        )
    ).all()
    return LockedAccount(found, tuple(rows))


def unlock(peppers: Peppers, locked: LockedAccount, stretched: Secret) -> tuple[UnlockedMember, ...]:
    """Open the keys of an account's memberships with its stretched password.

    Raises:
        PasswordRefused: not the password of this account.
        SealBroken: a wrapped key was altered.

    """
    if not is_right(peppers, locked.row, stretched):
        raise PasswordRefused("not the password")
    unlocked = []
    for member in locked.memberships:
        daily, floor = daily_of(peppers, locked.row, member, stretched)
        signing = signing_of(peppers, locked.row, member, stretched)
        unlocked.append(UnlockedMember(member.id, _position(member), daily, signing, floor))
    return tuple(unlocked)


def close_account(connection: Connection, org_id: UUID, login: str) -> ClosedAccount | None:
    """Close the organisation's active account of this login, and its memberships; None where there is none."""
    found = connection.execute(
        update(account)
        .where(account.c.org_id == org_id, account.c.login == login, account.c.active)
        .values(active=False)
        .returning(account.c.id)
    ).scalar_one_or_none()
    if found is None:
        return None
    rows = connection.execute(
        update(membership)
        .where(membership.c.org_id == org_id, membership.c.account_id == found)
        .values(active=False)
        .returning(membership.c.id)
    )
    return ClosedAccount(found, tuple(rows.scalars()))


def accounts_of_members(connection: Connection, org_id: UUID) -> dict[UUID, UUID]:
    """The account behind each active membership: two memberships of one person are one holder."""
    rows = connection.execute(
        select(membership.c.id, membership.c.account_id)
        .join_from(
            membership,
            account,
            and_(account.c.org_id == membership.c.org_id, account.c.id == membership.c.account_id),
        )
        .where(membership.c.org_id == org_id, membership.c.active, account.c.active)
    )
    return {row.id: row.account_id for row in rows}


def persons_behind(connection: Connection, org_id: UUID, members: Collection[UUID]) -> set[UUID]:
    """The active accounts behind those of `members` that are active: where two people are wanted, two of these."""
    accounts = accounts_of_members(connection, org_id)
    return {accounts[member] for member in members if member in accounts}


def persons_of(connection: Connection, org_id: UUID, members: Collection[UUID]) -> set[UUID]:
    """The accounts behind `members`, those that ended included."""
    rows = connection.execute(
        select(membership.c.account_id).where(membership.c.org_id == org_id, membership.c.id.in_(members))
    )
    return set(rows.scalars())


def active_members(connection: Connection, org_id: UUID, members: Collection[UUID]) -> set[UUID]:
    """Those of `members` that are active in the organisation."""
    rows = connection.execute(
        select(membership.c.id).where(
            membership.c.org_id == org_id, membership.c.id.in_(members), membership.c.active
        )
    )
    return set(rows.scalars())


def account_of_member(connection: Connection, org_id: UUID, member: UUID) -> Row[Any] | None:
    """The active account of an active member of the organisation."""
    return connection.execute(
        select(account)
        .join_from(
            account,
            membership,
            and_(account.c.org_id == membership.c.org_id, account.c.id == membership.c.account_id),
        )
        .where(
            membership.c.org_id == org_id, membership.c.id == member, membership.c.active, account.c.active
        )
    ).one_or_none()


def active_memberships(connection: Connection, org_id: UUID, account_id: UUID) -> tuple[UUID, ...]:
    """The active memberships of an account."""
    rows = connection.execute(
        select(membership.c.id)
        .where(membership.c.org_id == org_id, membership.c.account_id == account_id, membership.c.active)
        .order_by(membership.c.id)
    )
    return tuple(rows.scalars())


def active_positions(connection: Connection, org_id: UUID, account_id: UUID) -> dict[UUID, Position]:
    """The position of each active membership of an account."""
    rows = connection.execute(
        select(membership.c.id)
        .add_columns(membership.c.role, membership.c.professions)
        .where(membership.c.org_id == org_id, membership.c.account_id == account_id, membership.c.active)
    )
    return {row.id: _position(row) for row in rows}


def set_position(connection: Connection, org_id: UUID, member: UUID, position: Position) -> None:
    """Have the tables say what the directory certifies of a membership."""
    connection.execute(
        update(membership)
        .where(membership.c.org_id == org_id, membership.c.id == member)
        .values(role=position.role, professions=",".join(sorted(position.professions)))
    )


def set_secrecy_basis(connection: Connection, org_id: UUID, account_id: UUID, basis: SecrecyBasis) -> None:
    connection.execute(
        update(account)
        .where(account.c.org_id == org_id, account.c.id == account_id)
        .values(secrecy_basis=basis)
    )


def is_member(connection: Connection, org_id: UUID, member: UUID) -> bool:
    """Whether the organisation has, or had, this member."""
    query = select(membership.c.id).where(membership.c.org_id == org_id, membership.c.id == member)
    return connection.execute(query).first() is not None


def memberships_of(connection: Connection, org_id: UUID, account_id: UUID) -> set[UUID]:
    """Every membership that a person has, or had, in an organisation: whatever her role, she is one person."""
    query = select(membership.c.id).where(
        membership.c.org_id == org_id, membership.c.account_id == account_id
    )
    return set(connection.execute(query).scalars())


def role_of(connection: Connection, org_id: UUID, member: UUID) -> str:
    """The role of a member that the organisation has, or had."""
    query = select(membership.c.role).where(membership.c.org_id == org_id, membership.c.id == member)
    return str(connection.execute(query).scalar_one())


def members_of_roles(connection: Connection, org_id: UUID, roles: Collection[Role]) -> dict[UUID, Role]:
    """Every membership with one of these roles, those that ended included, and its role."""
    query = select(membership.c.id, membership.c.role).where(
        membership.c.org_id == org_id, membership.c.role.in_(sorted(roles))
    )
    return {member: Role(role) for member, role in connection.execute(query)}


def colleagues(connection: Connection, org_id: UUID) -> list[Colleague]:
    """Every membership of the organisation by login, those that ended included."""
    rows = connection.execute(
        select(membership.c.id, membership.c.role, membership.c.professions, account.c.login)
        .add_columns(account.c.secrecy_basis, account.c.away_since, account.c.away_until)
        .add_columns((membership.c.active & account.c.active).label("active"))
        .join_from(
            membership,
            account,
            and_(account.c.org_id == membership.c.org_id, account.c.id == membership.c.account_id),
        )
        .where(membership.c.org_id == org_id)
        .order_by(account.c.login, membership.c.role)
    )
    return [
        Colleague(
            row.id,
            row.login,
            _position(row),
            bool(row.active),
            SecrecyBasis(row.secrecy_basis) if row.secrecy_basis is not None else None,
            leave_of(row),
        )
        for row in rows
    ]


def _position(row: Row[Any]) -> Position:
    words = filter(None, row.professions.split(","))
    return Position(Role(row.role), frozenset(Profession(word) for word in words))


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


def pepper_ids(connection: Connection) -> set[bytes]:
    """The ids of the peppers under which active accounts are sealed, in either layer."""
    rows = connection.execute(
        select(account.c.pepper_id, account.c.outer_pepper_id).where(account.c.active).distinct()
    )
    return {bytes(found) for row in rows for found in row if found is not None}
