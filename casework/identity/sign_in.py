"""Signing in: password, then second factor, then (for sensitive acts) the password once more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Row, and_, func, select, update

from audit.entry import AuthLevel, Outcome
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import Busy, Conflict, NotSignedIn, OnLeave, Problem, SignInRefused
from casework.identity import limits, sessions
from casework.identity.absence import end_of_session, is_away
from casework.identity.limits import Counter, Held, require_room, within_limits
from casework.identity.members import LOGIN_FORM
from casework.identity.sessions import PendingSession, SignedIn, Token
from casework.identity.tables import account, membership
from casework.identity.totp import accepted_step
from casework.identity.wrapping import (
    Stretched,
    daily_of,
    is_right,
    note_floor,
    params_of,
    rewrap,
    signing_of,
)
from casework.journal import Deed, Who
from casework.keyring import open_grants
from casework.turns import Turns
from crypto.errors import PasswordRefused
from crypto.password import stretch
from crypto.secret import Secret
from crypto.session import SessionKeys, new_token, open_pending, seal_pending, seal_session, seal_step_up

T = TypeVar("T")
A = TypeVar("A")

# What an unknown login is stretched with, so that it costs what a known one costs.
_NO_SALT = bytes(16)


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that waits for its second factor. The token leaves the service here and nowhere else."""

    token: Secret
    expires_at: datetime


async def sign_in(deployment: Deployment, who: Who, login: str, password: str, role: str | None) -> Begun:
    """Check a password and begin a session.

    Raises:
        SignInRefused: unknown login, wrong password or inactive account: one answer, one cost, journaled.
        TooManyRequests: too often wrong, for this login or from this address; nothing was stretched.
        Busy: too many wait to sign in; nothing was judged, counted or journaled.

    """

    def look(unit: UnitOfWork) -> tuple[Row[Any] | None, tuple[Counter, ...]]:
        found = find_account(unit, login)
        org_id = found.org_id if found is not None else None
        counters = limits.counters_of_sign_in(deployment.pepper, login, who.source, org_id)
        require_room(unit, counters)
        return found, counters

    found, counters = await within_limits(deployment.database, look)

    def begin(unit: UnitOfWork, tried: _Tried | None) -> Begun | None:
        held = Held(unit, counters)
        now = find_account(unit, login)
        if found is not None and now is not None and now.kdf_salt != found.kdf_salt:
            # Stretched under what another sign-in has just renewed, or under a password of before: ask again.
            raise Busy
        if now is None or tried is None or not is_right(deployment.peppers, now, tried.stretched):
            held.count()
            refuse(deployment, unit, now, who, "session.create")
            return None
        held.clear()
        unit.enter_organisation(now.org_id)
        if tried.renewed is not None:
            rewrap(unit.connection, deployment.peppers, now, tried.stretched, tried.renewed)
        secret = new_token()
        token = Token.of(deployment.pepper, secret)
        stretched = tried.renewed.secret if tried.renewed is not None else tried.stretched
        sealed = seal_pending(token.key, token.id, now.id.bytes, stretched)
        expires_at = end_of_session(now, unit.now)
        sessions.begin(unit.connection, token, now, sealed, role, unit.now, expires_at)
        record(deployment, unit, now.org_id, who, Deed("session.create"), AuthLevel.PASSWORD)
        return Begun(secret, expires_at)

    begun = await judge(
        deployment,
        deployment.password_turns,
        lambda: _try(deployment, found, password),
        counters,
        begin,
    )
    if begun is None:
        raise SignInRefused
    return begun


async def give_second_factor(
    deployment: Deployment, who: Who, token: Token, code: str, role: str | None
) -> None:
    """Complete a session with a TOTP code (RFC 6238), and open the keys of the chosen membership.

    Raises:
        SignInRefused: wrong or replayed code, or a role that is not hers; journaled.
        OnLeave: both factors are hers, and she is on leave; journaled.
        TooManyRequests: too many wrong codes for this account, in whatever sessions; the code is not looked at.
        Conflict: several roles and none named, and `extra` lists them; the code is not consumed. Or the session
            is complete.
        NotSignedIn: no such session, or the password is another one since.

    """

    def complete(unit: UnitOfWork) -> Problem | None:
        pending = sessions.find(unit, token)
        if isinstance(pending, SignedIn):
            raise Conflict("session_complete", "Cette session est déjà ouverte.")
        found = account_of(unit.connection, pending)
        held = Held(
            unit, limits.counters_of_factor(deployment.pepper, found.login, who.source, pending.org_id)
        )
        step = accepted_step(deployment.peppers, found.id, found.totp_seed, code, found.totp_step, unit.now)
        if step is None:
            held.count()
            refuse(deployment, unit, found, who, "session.second_factor")
            return SignInRefused()
        stretched = open_pending(token.key, token.id, found.id.bytes, pending.sealed)
        if not is_right(deployment.peppers, found, stretched):
            raise NotSignedIn
        chosen = _choose_membership(unit.connection, pending, role or pending.role)
        if chosen is None:
            held.count()
            refuse(deployment, unit, found, who, "session.second_factor", "role")
            return SignInRefused()
        # Compare and set: two requests with one code cannot both pass.
        consumed = unit.connection.execute(
            update(account)
            .where(account.c.org_id == pending.org_id, account.c.id == found.id, account.c.totp_step < step)
            .values(totp_step=step)
            .returning(account.c.away_since, account.c.away_until)
        ).one_or_none()
        if consumed is None:
            held.count()
            refuse(deployment, unit, found, who, "session.second_factor")
            return SignInRefused()
        held.clear()
        if is_away(consumed, unit.now):
            refuse(deployment, unit, found, who, "session.second_factor", OnLeave.code)
            return OnLeave()
        keys = _open_membership(deployment, unit, found, chosen, stretched)
        expires_at = min(pending.expires_at, end_of_session(consumed, unit.now))
        sealed = seal_session(token.key, token.id, keys)
        sessions.complete(unit.connection, token, chosen.id, sealed, expires_at)
        signed_in = Who(who.request, who.source, chosen.id, chosen.role, AuthLevel.MFA)
        deployment.journal.record(
            unit,
            (pending.org_id, deployment.slugs[pending.org_id]),
            signed_in,
            Deed("session.second_factor"),
        )
        return None

    refused = await within_limits(deployment.database, complete)
    if refused is not None:
        raise refused


async def step_up(deployment: Deployment, who: Who, token: Token, password: str) -> None:
    """Prove the password again: for five minutes the session holds the member's signing key.

    Raises:
        SignInRefused: wrong password, journaled.
        TooManyRequests: too often wrong, by this member; nothing was stretched.
        Busy: too many wait for the same; nothing was judged, counted or journaled.
        NotSignedIn: no complete session.

    """

    def load(unit: UnitOfWork) -> tuple[SignedIn, Row[Any], tuple[Counter, ...]]:
        signed_in = sessions.find(unit, token)
        if not isinstance(signed_in, SignedIn):
            raise NotSignedIn
        counters = (
            limits.counter_of_step_up(
                deployment.pepper, signed_in.login, signed_in.org_id, signed_in.member_id
            ),
        )
        require_room(unit, counters)
        return signed_in, account_of(unit.connection, signed_in), counters

    signed_in, found, counters = await within_limits(deployment.database, load)

    def lift(unit: UnitOfWork, stretched: Secret | None) -> bool:
        current = sessions.find(unit, token)
        if not isinstance(current, SignedIn) or current.member_id != signed_in.member_id:
            raise NotSignedIn
        member = Who(who.request, who.source, current.member_id, current.role, AuthLevel.MFA)
        held = Held(unit, counters)
        now = account_of(unit.connection, current)
        if stretched is None or not is_right(deployment.peppers, now, stretched):
            held.count()
            refuse(deployment, unit, now, member, "session.step_up")
            return False
        held.clear()
        row = unit.connection.execute(
            select(membership).where(
                membership.c.org_id == current.org_id, membership.c.id == current.member_id
            )
        ).one()
        signing = signing_of(deployment.peppers, now, row, stretched)
        until = unit.now + sessions.STEP_UP
        sealed = seal_step_up(token.key, token.id, signing.seed, int(until.timestamp()))
        sessions.record_step_up(unit.connection, token, sealed, until)
        record(deployment, unit, current.org_id, member, Deed("session.step_up"), AuthLevel.STEP_UP)
        return True

    attempt = partial(stretch, password, found.kdf_salt, params_of(found))
    if not await judge(deployment, deployment.step_up_turns, attempt, counters, lift):
        raise SignInRefused


async def sign_out(deployment: Deployment, who: Who, token: Token) -> None:
    """End the session, whatever its stage."""

    def end(unit: UnitOfWork) -> None:
        found = sessions.find(unit, token)
        sessions.end(unit.connection, token)
        member = (
            Who(who.request, who.source, found.member_id, found.role, AuthLevel.MFA)
            if isinstance(found, SignedIn)
            else who
        )
        record(deployment, unit, found.org_id, member, Deed("session.end"), member.auth)

    await deployment.database.unit(end)


async def judge(
    deployment: Deployment,
    turns: Turns,
    attempt: Callable[[], A],
    counters: Sequence[Counter],
    judging: Callable[[UnitOfWork, A | None], T],
) -> T:
    """Stretch what `attempt` stretches and judge it; None is given for what could never have been set.

    Both happen in one turn, and whoever waited for it asks for room again: past a limit nothing is stretched.
    """
    async with turns:
        await within_limits(deployment.database, lambda unit: require_room(unit, counters))
        try:
            tried = await asyncio.to_thread(attempt)
        except PasswordRefused:
            tried = None
        return await within_limits(deployment.database, lambda unit: judging(unit, tried))


@dataclass(frozen=True, slots=True)
class _Tried:
    """A password as it was tried and, where it is right and stands under less than it should, as it will stand."""

    stretched: Secret
    renewed: Stretched | None


def _try(deployment: Deployment, found: Row[Any] | None, password: str) -> _Tried:
    if found is None:
        return _Tried(stretch(password, _NO_SALT, deployment.kdf_params), None)
    stored, peppers = params_of(found), deployment.peppers
    stretched = stretch(password, found.kdf_salt, stored)
    wanted = stored.raised_to(deployment.kdf_params)
    if not is_right(peppers, found, stretched):
        return _Tried(stretched, None)
    if wanted != stored:
        return _Tried(stretched, Stretched.of(password, wanted))
    is_behind = found.pepper_id != peppers.current.id or found.outer_pepper_id is not None
    return _Tried(stretched, Stretched(found.kdf_salt, stored, stretched) if is_behind else None)


def find_account(unit: UnitOfWork, login: str) -> Row[Any] | None:
    """The account of a login; from here on the unit is inside its organisation."""
    # A password is sometimes typed into the field of the login: a database's log may show what is looked for.
    if not LOGIN_FORM.fullmatch(login):
        login = ""
    if unit.connection.dialect.name == "postgresql":
        unit.connection.execute(select(func.find_login(login)))
    return unit.connection.execute(select(account).where(account.c.login == login)).one_or_none()


def account_of(connection: Connection, of: PendingSession | SignedIn) -> Row[Any]:
    found = connection.execute(
        select(account).where(account.c.org_id == of.org_id, account.c.id == of.account_id)
    ).one()
    if not found.active:
        raise NotSignedIn
    return found


def _choose_membership(connection: Connection, pending: PendingSession, role: str | None) -> Row[Any] | None:
    rows = connection.execute(
        select(membership)
        .where(
            and_(
                membership.c.org_id == pending.org_id,
                membership.c.account_id == pending.account_id,
                membership.c.active,
            )
        )
        .order_by(membership.c.role)
    ).all()
    chosen = [row for row in rows if role is None or row.role == role]
    if len(chosen) > 1:
        raise Conflict("role_needed", "Choisissez votre rôle.", extra={"roles": [row.role for row in chosen]})
    return chosen[0] if chosen else None


def _open_membership(
    deployment: Deployment, unit: UnitOfWork, found: Row[Any], chosen: Row[Any], stretched: Secret
) -> SessionKeys:
    """Open the daily key, hold the directory against the floor it carries, and open every standing grant."""
    daily, floor = daily_of(deployment.peppers, found, chosen, stretched)
    directory = deployment.directories.fresh(unit, found.org_id)
    directory.require_floor(floor)
    if directory.epoch > floor.epoch:
        note_floor(unit.connection, deployment.peppers, found, chosen.id, stretched, daily, directory.floor)
    without_keks = SessionKeys(found.org_id.bytes, chosen.id.bytes, daily, ())
    keks = open_grants(unit.connection, directory, without_keks)
    return SessionKeys(found.org_id.bytes, chosen.id.bytes, daily, keks)


def refuse(
    deployment: Deployment,
    unit: UnitOfWork,
    found: Row[Any] | None,
    who: Who,
    action: str,
    reason: str = "credentials",
) -> None:
    """Journal a refusal: in the organisation's log where the login is known, else in the deployment's own."""
    deed = Deed(action, outcome=Outcome.DENIED, reason=reason)
    if found is None:
        deployment.journal.record(unit, None, who, deed)
    else:
        unit.enter_organisation(found.org_id)
        deployment.journal.record(unit, (found.org_id, deployment.slugs[found.org_id]), who, deed)


def record(
    deployment: Deployment, unit: UnitOfWork, org_id: UUID, who: Who, deed: Deed, auth: AuthLevel
) -> None:
    as_proved = Who(who.request, who.source, who.member, who.role, auth, who.purpose)
    deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), as_proved, deed)
