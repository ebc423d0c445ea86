"""Sessions: rows that a token finds, and keys that only token and pepper together open."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    and_,
    bindparam,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from audit.entry import AuthLevel
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.errors import NotSignedIn
from casework.identity.tables import account, membership, session
from casework.statements import HotStatement
from crypto.errors import StepUpExpired
from crypto.pepper import Pepper
from crypto.secret import Secret
from crypto.session import SessionKeys, open_session, open_step_up, seal_session, session_id, session_key
from crypto.signing import SigningKey

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=10)
STEP_UP = timedelta(minutes=5)
# A session's last sign of life is written at most this often.
TOUCH_EVERY = timedelta(minutes=1)
# How many rows one sweep deletes at most.
SWEPT = 500

_SESSION_ID = bindparam("session_id", type_=LargeBinary)
# A session with its account and, once it is complete, its membership.
_FOUND: tuple[ColumnElement[Any], ...] = (
    session.c.org_id,
    session.c.account_id,
    session.c.member_id,
    session.c.role.label("wanted_role"),
    session.c["keys"],
    session.c.step_up_keys,
    session.c.seen_at,
    session.c.expires_at,
    account.c.login,
    membership.c.role,
    membership.c.professions,
    and_(account.c.active, func.coalesce(membership.c.active, true())).label("active"),
)
_FIND_SQLITE = HotStatement(
    select(*_FOUND)
    .join_from(
        session,
        account,
        and_(account.c.org_id == session.c.org_id, account.c.id == session.c.account_id),
        isouter=True,
    )
    .join(
        membership,
        and_(membership.c.org_id == session.c.org_id, membership.c.id == session.c.member_id),
        isouter=True,
    )
    .where(session.c.id == _SESSION_ID)
)
# The function also sets the organisation for the transaction: one round trip for all of it.
_FIND_POSTGRESQL = HotStatement(
    select(
        *func.find_session(_SESSION_ID).table_valued(*(column(str(one.key), one.type) for one in _FOUND)).c
    )
)


@dataclass(frozen=True, slots=True)
class Token:
    """A presented token: the row it names and the key that opens the row's blobs."""

    id: bytes
    key: Secret

    @classmethod
    def of(cls, pepper: Pepper, secret: Secret) -> "Token":
        return cls(session_id(secret), session_key(pepper, secret))


@dataclass(frozen=True, slots=True)
class PendingSession:
    """Password given, second factor not: it opens nothing."""

    token: Token
    org_id: UUID
    account_id: UUID
    role: str | None
    sealed: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A complete session: one membership, its keys, and when it last proved its password."""

    token: Token
    org_id: UUID
    account_id: UUID
    member_id: UUID
    login: str
    role: str
    professions: tuple[str, ...]
    active: bool
    keys: SessionKeys
    step_up: Sealed | None
    expires_at: datetime

    def auth_level(self, now: datetime) -> AuthLevel:
        return AuthLevel.STEP_UP if self.signing_key(now) is not None else AuthLevel.MFA

    def signing_key(self, now: datetime) -> SigningKey | None:
        """The member's signing key during a step-up, else None."""
        if self.step_up is None:
            return None
        try:
            return open_step_up(self.token.key, self.token.id, self.step_up.blob, int(now.timestamp()))
        except StepUpExpired:
            return None


def begin(
    connection: Connection,
    token: Token,
    found: Row[Any],
    sealed: bytes,
    role: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Insert a session of an account that waits for its second factor."""
    connection.execute(
        insert(session).values(
            id=token.id,
            org_id=found.org_id,
            account_id=found.id,
            member_id=None,
            role=role,
            keys=Sealed(sealed),
            created_at=now,
            seen_at=now,
            expires_at=expires_at,
        )
    )


def find(unit: UnitOfWork, token: Token) -> PendingSession | SignedIn:
    """The session of a token; from here on the unit is inside its organisation.

    Raises:
        NotSignedIn: unknown, idle for 30 minutes, 10 hours old, or of an account or member no longer active.

    """
    row = _find_row(unit.connection, token.id)
    if row is None or unit.now >= row.expires_at or unit.now >= row.seen_at + IDLE:
        raise NotSignedIn
    if unit.now >= row.seen_at + TOUCH_EVERY:
        unit.connection.execute(update(session).where(session.c.id == token.id).values(seen_at=unit.now))
    if row.member_id is None:
        return PendingSession(
            token, row.org_id, row.account_id, row.wanted_role, row.keys.blob, row.expires_at
        )
    keys = open_session(token.key, token.id, row.keys.blob)
    # The row is the database's to change; what it was sealed for is not.
    if not row.active or (keys.org, keys.member) != (row.org_id.bytes, row.member_id.bytes):
        raise NotSignedIn
    return SignedIn(
        token=token,
        org_id=row.org_id,
        account_id=row.account_id,
        member_id=row.member_id,
        login=row.login,
        role=row.role,
        professions=tuple(filter(None, row.professions.split(","))),
        active=True,
        keys=keys,
        step_up=row.step_up_keys,
        expires_at=row.expires_at,
    )


def complete(
    connection: Connection, token: Token, member_id: UUID, sealed_keys: bytes, expires_at: datetime
) -> None:
    """Turn a pending session into a signed-in one."""
    connection.execute(
        update(session)
        .where(session.c.id == token.id)
        .values(member_id=member_id, keys=Sealed(sealed_keys), expires_at=expires_at)
    )


def keep_keys(connection: Connection, token: Token, keys: SessionKeys) -> None:
    """Seal a complete session's keys anew: it holds others than when it began."""
    sealed = Sealed(seal_session(token.key, token.id, keys))
    connection.execute(update(session).where(session.c.id == token.id).values(keys=sealed))


def record_step_up(connection: Connection, token: Token, sealed: bytes, until: datetime) -> None:
    connection.execute(
        update(session)
        .where(session.c.id == token.id)
        .values(step_up_keys=Sealed(sealed), step_up_until=until)
    )


def end(connection: Connection, token: Token) -> None:
    connection.execute(delete(session).where(session.c.id == token.id))


def end_others(connection: Connection, kept: SignedIn) -> None:
    """End every other session of the same account, those that wait for their second factor included."""
    of_hers = and_(session.c.org_id == kept.org_id, session.c.account_id == kept.account_id)
    connection.execute(delete(session).where(of_hers, session.c.id != kept.token.id))


def end_all(connection: Connection, org_id: UUID, account_id: UUID) -> int:
    """End every session of an account, whatever its stage; returns how many there were."""
    of_account = (session.c.org_id == org_id, session.c.account_id == account_id)
    return connection.execute(delete(session).where(*of_account)).rowcount


def end_by(connection: Connection, org_id: UUID, account_id: UUID, moment: datetime) -> None:
    """Have every session of an account end at a moment, whatever its stage; those that end before stay so."""
    later = (session.c.org_id == org_id, session.c.account_id == account_id, session.c.expires_at > moment)
    connection.execute(update(session).where(*later).values(expires_at=moment))


def forget_expired(unit: UnitOfWork, org_id: UUID) -> None:
    """Delete an organisation's sessions that are over, a batch of them."""
    unit.enter_organisation(org_id)
    is_over = or_(session.c.expires_at <= unit.now, session.c.seen_at <= unit.now - IDLE)
    over = select(session.c.id).where(session.c.org_id == org_id, is_over).limit(SWEPT)
    unit.connection.execute(delete(session).where(session.c.id.in_(over)))


def forget_step_ups(unit: UnitOfWork, org_id: UUID) -> None:
    """Delete the signing keys of step-ups that are over: a thief with the pepper and the cookie finds none."""
    unit.enter_organisation(org_id)
    unit.connection.execute(
        update(session)
        .where(session.c.org_id == org_id, session.c.step_up_until <= unit.now)
        .values(step_up_keys=None, step_up_until=None)
    )


def _find_row(connection: Connection, session_id: bytes) -> Any | None:
    query = _FIND_POSTGRESQL if connection.dialect.name == "postgresql" else _FIND_SQLITE
    return query.row(connection, {"session_id": session_id})
