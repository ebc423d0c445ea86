"""Renewals: new keys or a new second factor, which count for nothing until a colleague has heard eight words.

A renewal is begun by a custodian, taken up by the member herself with a secret that was handed to her in person,
and confirmed by somebody else who asked her for the words (`casework.organisations.renewing`). Nothing is sent.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update

from audit.entry import AuthLevel
from casework.column_types import Sealed
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import NotSignedIn, SignInRefused
from casework.identity import limits, sessions
from casework.identity.limits import Counter, Held, require_room, within_limits
from casework.identity.members import active_memberships, initial_password
from casework.identity.sessions import SignedIn, Token
from casework.identity.sign_in import account_of, find_account, judge, record, refuse
from casework.identity.strength import require_strong
from casework.identity.tables import account, membership, renewal, renewed_key
from casework.identity.totp import new_seed, open_new_seed, seal_new_seed, seal_seed
from casework.identity.wrapping import Stretched, is_right, params_of, proof
from casework.ids import new_id
from casework.journal import Deed, Who
from crypto.directory_rules import member_key_fingerprint
from crypto.hpke import KeyPair, new_key_pair
from crypto.password import DEFAULT_PARAMS, KdfParams, password_keys, stretch, wrap_daily, wrap_signing
from crypto.pepper import Pepper
from crypto.secret import Secret
from crypto.signing import SigningKey
from crypto.words import verification_words

LASTS: Final = timedelta(days=7)
TAKE_UP: Final = "renewal.take_up"
ROTATE: Final = "renewal.rotate"
_SECRET: Final = b"csm/renewal-secret/v1"
_NOBODY: Final = UUID(int=0)


class Kind(StrEnum):
    """What is renewed."""

    RESET = "reset"
    """New keys under a new password: the old one is lost."""
    FACTOR = "factor"
    """A new second factor: the keys stay."""
    ROTATION = "rotation"
    """New keys under the same password, begun by the member herself."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The secret leaves the service here and nowhere else."""

    id: UUID
    secret: Secret
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What the member is shown, once: her words, and the seed where she has a new one."""

    words: tuple[str, ...]
    totp_seed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Fresh keys of one membership."""

    member: UUID
    daily: KeyPair
    signing: SigningKey

    def fingerprint(self, org_id: UUID) -> bytes:
        return member_key_fingerprint(org_id.bytes, self.member.bytes, self.daily.public, self.signing.public)


def begin(unit: UnitOfWork, pepper: Pepper, org_id: UUID, account_id: UUID, kind: Kind, by: UUID) -> Begun:
    """Begin a renewal of an account; an earlier one that is still open ends."""
    secret = Secret(initial_password().encode())
    renewal_id, expires_at = new_id(), unit.now + LASTS
    drop(unit.connection, org_id, account_id)
    unit.connection.execute(
        insert(renewal).values(
            org_id=org_id,
            id=renewal_id,
            account_id=account_id,
            kind=kind,
            started_by=by,
            secret_hash=_hash(pepper, account_id, secret),
            created_at=unit.now,
            expires_at=expires_at,
        )
    )
    return Begun(renewal_id, secret, expires_at)


def open_renewal(unit: UnitOfWork, org_id: UUID, account_id: UUID) -> Row[Any] | None:
    """The account's renewal that has not expired."""
    return unit.connection.execute(
        select(renewal).where(
            renewal.c.org_id == org_id,
            renewal.c.account_id == account_id,
            renewal.c.expires_at > unit.now,
        )
    ).one_or_none()


def drop(connection: Connection, org_id: UUID, account_id: UUID) -> None:
    """End an account's renewal, if there is one; what it had prepared is gone."""
    connection.execute(delete(renewal).where(renewal.c.org_id == org_id, renewal.c.account_id == account_id))


def drop_all(connection: Connection, org_id: UUID) -> None:
    """End every renewal of an organisation that waits."""
    connection.execute(delete(renewal).where(renewal.c.org_id == org_id))


def new_keys_of(connection: Connection, found: Row[Any]) -> Sequence[Row[Any]]:
    """The keys that a renewal has prepared, one row for each membership."""
    return connection.execute(
        select(renewed_key).where(renewed_key.c.org_id == found.org_id, renewed_key.c.renewal_id == found.id)
    ).all()


def factor_context(renewal_id: UUID, seed: str) -> bytes:
    """What the words of a new second factor are bound to beside her keys: words heard before are worth nothing."""
    return renewal_id.bytes + sha256(seed.encode("ascii")).digest()


def seed_of(deployment: Deployment, found: Row[Any]) -> str:
    """The seed that a renewal has prepared."""
    return open_new_seed(deployment.peppers, found.id, found.totp_seed)


def install_keys(connection: Connection, found: Row[Any], keys: Sequence[Row[Any]]) -> None:
    """Put a renewal's new password and these keys in the place of the account's; every session of hers ends."""
    for new in keys:
        connection.execute(
            update(membership)
            .where(membership.c.org_id == found.org_id, membership.c.id == new.member_id)
            .values(daily_key=new.daily_key, signing_key=new.signing_key)
        )
    columns = ("auth_hash", "kdf_salt", "kdf_memory_kib", "kdf_time", "kdf_parallelism", "pepper_id")
    values = {name: found._mapping[name] for name in columns}  # noqa: SLF001 - SQLAlchemy's public name for it
    _install(connection, found, {**values, "outer_pepper_id": None})


def install_factor(deployment: Deployment, connection: Connection, found: Row[Any]) -> None:
    """Put the new seed of a renewal in the place of the account's, sealed as such; every session of hers ends."""
    sealed = seal_seed(deployment.pepper, found.account_id, seed_of(deployment, found))
    _install(connection, found, {"totp_seed": sealed, "totp_step": 0})


def _install(connection: Connection, found: Row[Any], values: dict[str, Any]) -> None:
    connection.execute(
        update(account)
        .where(account.c.org_id == found.org_id, account.c.id == found.account_id)
        .values(**values)
    )
    drop(connection, found.org_id, found.account_id)
    sessions.end_all(connection, found.org_id, found.account_id)


async def take_up_keys(deployment: Deployment, who: Who, login: str, secret: str, password: str) -> TakenUp:
    """Make new keys under a new password, with the secret that was handed over. They wait for a colleague.

    Raises:
        PasswordTooWeak: the new password breaks a rule; nothing was tried.
        SignInRefused: unknown login, no renewal of keys, wrong, used or expired secret: one answer, journaled.
        TooManyRequests, Busy: as `casework.identity.sign_in.sign_in`.

    """
    await asyncio.to_thread(require_strong, password, [login])
    looked = await _look(deployment, who, login)

    def prepare() -> _Prepared:
        return _prepare(
            looked.org_id, looked.owner, looked.members, Stretched.of(password, deployment.kdf_params)
        )

    def store(unit: UnitOfWork, tried: _Prepared | None) -> TakenUp | None:
        held = Held(unit, looked.counters)
        hers = _taken(deployment, unit, who, _Claim(login, secret, Kind.RESET))
        if tried is None or hers is None:
            held.count()
            return None
        held.clear()
        _keep(deployment, unit, hers, tried)
        record(deployment, unit, hers.org_id, who, Deed(TAKE_UP), AuthLevel.NONE)
        return TakenUp(tried.words, None)

    return _given(await judge(deployment, deployment.password_turns, prepare, looked.counters, store))


async def take_up_factor(deployment: Deployment, who: Who, login: str, secret: str, password: str) -> TakenUp:
    """Make a new second factor, with the secret that was handed over and her password. It waits for a colleague.

    Raises:
        SignInRefused: unknown login, no renewal of the factor, wrong password, wrong, used or expired secret: one
            answer, journaled.
        TooManyRequests, Busy: as `casework.identity.sign_in.sign_in`.

    """
    looked = await _look(deployment, who, login)

    def prepare() -> tuple[Secret, str, tuple[str, ...]]:
        seed = new_seed()
        context = factor_context(looked.renewal_id, seed)
        words = verification_words(looked.org_id.bytes, looked.owner.bytes, looked.certified, context)
        return stretch(password, looked.salt, looked.params), seed, words

    def store(unit: UnitOfWork, tried: tuple[Secret, str, tuple[str, ...]] | None) -> TakenUp | None:
        held = Held(unit, looked.counters)
        stretched = tried[0] if tried is not None else None
        hers = _taken(deployment, unit, who, _Claim(login, secret, Kind.FACTOR, stretched))
        if tried is None or hers is None:
            held.count()
            return None
        held.clear()
        _, seed, words = tried
        unit.connection.execute(
            update(renewal)
            .where(renewal.c.org_id == hers.org_id, renewal.c.id == hers.id)
            .values(totp_seed=seal_new_seed(deployment.pepper, hers.id, seed))
        )
        record(deployment, unit, hers.org_id, who, Deed(TAKE_UP), AuthLevel.PASSWORD)
        return TakenUp(words, seed)

    return _given(await judge(deployment, deployment.password_turns, prepare, looked.counters, store))


async def rotate_keys(deployment: Deployment, who: Who, token: Token, password: str) -> TakenUp:
    """Make new keys of her own under the same password. They wait for the custodian, then for colleagues.

    Raises:
        SignInRefused: not her password; journaled.
        TooManyRequests, Busy, NotSignedIn: as `casework.identity.passwords.change_password`.

    """

    def find(unit: UnitOfWork) -> SignedIn:
        found = sessions.find(unit, token)
        if not isinstance(found, SignedIn):
            raise NotSignedIn
        return found

    asker = await deployment.database.unit(find)
    counters = (limits.counter_of_step_up(deployment.pepper, asker.login, asker.org_id, asker.member_id),)

    def look(unit: UnitOfWork) -> tuple[Row[Any], tuple[UUID, ...]]:
        require_room(unit, counters)
        found = account_of(unit.connection, find(unit))
        return found, active_memberships(unit.connection, found.org_id, found.id)

    found, members = await within_limits(deployment.database, look)

    def prepare() -> tuple[Secret, _Prepared]:
        params = params_of(found).raised_to(deployment.kdf_params)
        stretched = Stretched.of(password, params)
        return (
            stretch(password, found.kdf_salt, params_of(found)),
            _prepare(found.org_id, found.id, members, stretched),
        )

    def store(unit: UnitOfWork, tried: tuple[Secret, _Prepared] | None) -> TakenUp | None:
        current = find(unit)
        member = Who(who.request, who.source, current.member_id, current.role, AuthLevel.MFA)
        held = Held(unit, counters)
        now = account_of(unit.connection, current)
        if tried is None or not is_right(deployment.peppers, now, tried[0]):
            held.count()
            refuse(deployment, unit, now, member, ROTATE)
            return None
        held.clear()
        begin(unit, deployment.pepper, now.org_id, now.id, Kind.ROTATION, current.member_id)
        hers = open_renewal(unit, now.org_id, now.id)
        assert hers is not None
        _keep(deployment, unit, hers, tried[1])
        record(deployment, unit, now.org_id, member, Deed(ROTATE), AuthLevel.STEP_UP)
        return TakenUp(tried[1].words, None)

    return _given(await judge(deployment, deployment.step_up_turns, prepare, counters, store))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """New keys of every membership, the password that will wrap them, and the words over them."""

    stretched: Stretched
    keys: tuple[NewKeys, ...]
    words: tuple[str, ...]


def _prepare(org_id: UUID, owner: UUID, members: Sequence[UUID], stretched: Stretched) -> _Prepared:
    keys = tuple(NewKeys(member, new_key_pair(), SigningKey.new()) for member in members)
    fingerprints = [one.fingerprint(org_id) for one in keys]
    return _Prepared(stretched, keys, verification_words(org_id.bytes, owner.bytes, fingerprints))


def _keep(deployment: Deployment, unit: UnitOfWork, hers: Row[Any], new: _Prepared) -> None:
    """Keep new keys, wrapped, in a renewal: they are nobody's until they are confirmed."""
    stretched = new.stretched
    pepper = deployment.pepper
    floor = deployment.directories.fresh(unit, hers.org_id).floor
    for one in new.keys:
        keys = password_keys(pepper, one.member.bytes, stretched.secret)
        daily = wrap_daily(keys, one.member.bytes, stretched.params, one.daily.private, floor)
        unit.connection.execute(
            insert(renewed_key).values(
                org_id=hers.org_id,
                renewal_id=hers.id,
                member_id=one.member,
                daily_public=one.daily.public,
                signing_public=one.signing.public,
                daily_key=Sealed(daily),
                signing_key=Sealed(wrap_signing(keys, one.member.bytes, stretched.params, one.signing)),
            )
        )
    values = proof(pepper, hers.account_id, stretched)
    values.pop("outer_pepper_id")
    unit.connection.execute(
        update(renewal)
        .where(renewal.c.org_id == hers.org_id, renewal.c.id == hers.id)
        .values(**values, taken_up_at=unit.now)
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of a login before anything is judged; of nobody something of the same cost."""

    counters: tuple[Counter, ...]
    org_id: UUID = _NOBODY
    owner: UUID = _NOBODY
    members: tuple[UUID, ...] = ()
    renewal_id: UUID = _NOBODY
    certified: tuple[bytes, ...] = ()
    salt: bytes = bytes(16)
    params: KdfParams = DEFAULT_PARAMS


async def _look(deployment: Deployment, who: Who, login: str) -> _Looked:
    def look(unit: UnitOfWork) -> _Looked:
        found = find_account(unit, login)
        org_id = found.org_id if found is not None else None
        counters = limits.counters_of_sign_in(deployment.pepper, login, who.source, org_id)
        require_room(unit, counters)
        if found is None:
            return _Looked(counters, params=deployment.kdf_params)
        members, hers = (
            active_memberships(unit.connection, found.org_id, found.id),
            open_renewal(unit, found.org_id, found.id),
        )
        certified = deployment.directories.fresh(unit, found.org_id).members
        return _Looked(
            counters=counters,
            org_id=found.org_id,
            owner=found.id,
            members=members,
            renewal_id=hers.id if hers is not None else _NOBODY,
            certified=tuple(certified[one.bytes].fingerprint for one in members if one.bytes in certified),
            salt=found.kdf_salt,
            params=params_of(found),
        )

    return await within_limits(deployment.database, look)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What somebody gives who says that a renewal is hers."""

    login: str
    secret: str = field(repr=False)
    kind: Kind
    stretched: Secret | None = field(default=None, repr=False)


def _taken(deployment: Deployment, unit: UnitOfWork, who: Who, claim: _Claim) -> Row[Any] | None:
    """The renewal that is taken up, now and once; None where there is none, and the journal says so."""
    found = find_account(unit, claim.login)
    hers = open_renewal(unit, found.org_id, found.id) if found is not None else None
    if found is not None and hers is not None and _is_claimed(deployment, found, hers, claim):
        # Compare and set: of two requests with one secret one takes it up.
        taken = unit.connection.execute(
            update(renewal)
            .where(
                renewal.c.org_id == found.org_id,
                renewal.c.id == hers.id,
                renewal.c.taken_up_at.is_(None),
            )
            .values(taken_up_at=unit.now)
        )
        if taken.rowcount == 1:
            return hers
    refuse(deployment, unit, found, who, TAKE_UP)
    return None


def _is_claimed(deployment: Deployment, found: Row[Any], hers: Row[Any], claim: _Claim) -> bool:
    # As it was typed from paper: case and the blanks around it do not count.
    typed = Secret(claim.secret.strip().lower().encode("utf-8", "replace"))
    if not compare_digest(bytes(hers.secret_hash), _hash(deployment.pepper, found.id, typed)):
        return False
    if not found.active or hers.kind != claim.kind:
        return False
    if claim.kind is not Kind.FACTOR:
        return True
    return claim.stretched is not None and is_right(deployment.peppers, found, claim.stretched)


def _given(taken: TakenUp | None) -> TakenUp:
    if taken is None:
        raise SignInRefused
    return taken


def _hash(pepper: Pepper, account_id: UUID, secret: Secret) -> bytes:
    return pepper.hmac(_SECRET, account_id.bytes, secret.reveal())
