"""How often one may try: counters in the database, under keyed hashes that name nobody (decision 0008).

A try is held against its counters under their locks before it is judged: of many at once none slips through. What
a counter refuses is added up in its row, and the sweep tells the journal in one entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.entry import Outcome
from audit.tables import DEPLOYMENT_LOG
from casework.database import Database, UnitOfWork
from casework.errors import TooManyRequests
from casework.identity.tables import attempt
from casework.journal import Deed, Who
from crypto.pepper import Pepper

if TYPE_CHECKING:
    from casework.act import Act
    from casework.deployment import Deployment

T = TypeVar("T")
log = structlog.get_logger(__name__)

# What a refusal by a counter is called in the journal.
REASON: Final = TooManyRequests.code
# How many rows one sweep tells, and deletes, at most.
BATCH: Final = 500
_KEY: Final = b"csm/limit/v1"
_SUBJECT: Final = b"csm/limit-subject/v1"
# Beyond that many doublings every wait is longer than the longest.
_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rule: `most` tries, then a wait. `name` is stored; `action` is what the journal calls the try.

    Without `wait`, tries count together for one `window` from the first, and the wait lasts until its end. With
    `wait`, each try beyond doubles it up to `longest`, and all is forgotten a `window` after the last one.
    """

    name: str
    action: str
    most: int
    window: timedelta
    wait: timedelta | None = None
    longest: timedelta = timedelta.max

    def window_ends(self, current: datetime | None, now: datetime) -> datetime:
        """When what was counted is forgotten, if a try is counted now; `current` is None for the first."""
        return now + self.window if current is None or self.wait is not None else current

    def blocked_until(self, tries: int, now: datetime, window_ends: datetime) -> datetime | None:
        """Until when nothing more is let through after `tries`, the last of them now."""
        if tries < self.most:
            return None
        if self.wait is None:
            return window_ends
        return now + min(self.wait * (1 << min(tries - self.most, _DOUBLINGS)), self.longest)


def _growing(name: str, action: str) -> Limit:
    """Five tries, then waits of 2, 4, 8 … 120 minutes: 21 tries in 24 hours (CNIL, délibération 2022-100)."""
    day, first, longest = timedelta(hours=24), timedelta(minutes=2), timedelta(hours=2)
    return Limit(name=name, action=action, most=5, window=day, wait=first, longest=longest)


# For one login from one address; then, far higher, for what others can fill to keep somebody out.
SIGN_IN: Final = _growing("sign_in", "session.create")
SIGN_IN_LOGIN: Final = Limit(
    name="sign_in.login", action="session.create", most=60, window=timedelta(hours=1)
)
SIGN_IN_SOURCE: Final = Limit(
    name="sign_in.source", action="session.create", most=100, window=timedelta(minutes=15)
)
# Whoever comes this far knows the password.
FACTOR: Final = _growing("factor", "session.second_factor")
FACTOR_ACCOUNT: Final = Limit(
    name="factor.account", action="session.second_factor", most=50, window=timedelta(hours=24)
)
STEP_UP: Final = _growing("step_up", "session.step_up")
# By custodians: who unlocks could be who guesses.
UNLOCK: Final = Limit(name="unlock", action="member.unlock", most=3, window=timedelta(hours=24))
NOT_FOUND: Final = Limit(name="not_found", action="case.open", most=100, window=timedelta(minutes=10))
SEARCH: Final = Limit(name="search", action="case.search", most=60, window=timedelta(minutes=5))
_LIMITS: Final = {
    limit.name: limit
    for limit in (
        SIGN_IN,
        SIGN_IN_LOGIN,
        SIGN_IN_SOURCE,
        FACTOR,
        FACTOR_ACCOUNT,
        STEP_UP,
        UNLOCK,
        NOT_FOUND,
        SEARCH,
    )
}
# What no custodian sets back: with a colleague's password and these gone she would guess the rest online.
_NOT_BY_COLLEAGUES: Final = (FACTOR_ACCOUNT.name, UNLOCK.name)


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one rule. `subject` finds it when a login is unlocked; `org_id` names the log that is told."""

    limit: Limit
    key: bytes
    subject: bytes | None
    org_id: UUID | None
    member_id: UUID | None


def counters_of_sign_in(
    pepper: Pepper, login: str, source: str | None, org_id: UUID | None
) -> tuple[Counter, ...]:
    """What a password is held against; of a login that nobody has (`org_id` None) exactly the same."""
    subject, address = subject_of(pepper, login), (source or "").encode()
    return (
        Counter(SIGN_IN, _key(pepper, SIGN_IN, login.encode(), address), subject, org_id, None),
        Counter(SIGN_IN_LOGIN, _key(pepper, SIGN_IN_LOGIN, login.encode()), subject, org_id, None),
        # Of many organisations' logins: the deployment's own log is told.
        Counter(SIGN_IN_SOURCE, _key(pepper, SIGN_IN_SOURCE, address), None, None, None),
    )


def counters_of_factor(pepper: Pepper, login: str, source: str | None, org_id: UUID) -> tuple[Counter, ...]:
    """What a code is held against, whichever session it is given to."""
    subject, address = subject_of(pepper, login), (source or "").encode()
    return (
        Counter(FACTOR, _key(pepper, FACTOR, login.encode(), address), subject, org_id, None),
        Counter(FACTOR_ACCOUNT, _key(pepper, FACTOR_ACCOUNT, login.encode()), subject, org_id, None),
    )


def counter_of_step_up(pepper: Pepper, login: str, org_id: UUID, member_id: UUID) -> Counter:
    key = _key(pepper, STEP_UP, member_id.bytes)
    return Counter(STEP_UP, key, subject_of(pepper, login), org_id, member_id)


def subject_of(pepper: Pepper, login: str) -> bytes:
    """By what every counter of a login is found that unlocking sets back."""
    return pepper.hmac(_SUBJECT, login.encode())


def require_room(unit: UnitOfWork, counters: Sequence[Counter]) -> None:
    """Refuse early and at no cost what is blocked now; takes no lock, so `Held` asks again.

    Raises:
        TooManyRequests: one of the counters blocks.

    """
    keys = [counter.key for counter in counters]
    _refuse_blocked(unit.connection.execute(select(attempt).where(attempt.c.key.in_(keys))).all(), unit.now)


class Held:
    """A try that is held against its counters: they are locked until the unit ends.

    Raises:
        TooManyRequests: one of the counters blocks; whatever the try is worth, it is not judged.

    """

    def __init__(self, unit: UnitOfWork, counters: Sequence[Counter]) -> None:
        self._unit = unit
        # In one order everywhere: two tries that share counters wait for each other and never in a circle.
        self._counters = {found.key: found for found in sorted(counters, key=lambda found: found.key)}
        rows = _lock(unit, list(self._counters.values()))
        _refuse_blocked(rows, unit.now)
        self._rows = {bytes(row.key): row for row in rows}

    def count(self) -> None:
        """Count the try."""
        for key, counter in self._counters.items():
            row, now = self._rows[key], self._unit.now
            is_first = row.tries == 0 or row.forget_at <= now
            tries = 1 if is_first else row.tries + 1
            ends = counter.limit.window_ends(None if is_first else row.forget_at, now)
            blocked = counter.limit.blocked_until(tries, now, ends)
            self._write(key, tries=tries, forget_at=ends, blocked_until=blocked)
            if blocked is not None:
                log.warning("limit_reached", limit=counter.limit.name)

    def clear(self) -> None:
        """Forget what was counted by the rules whose wait grows: she has proved who she is."""
        for key, counter in self._counters.items():
            if counter.limit.wait is not None:
                self._write(key, tries=0, blocked_until=None)

    def _write(self, key: bytes, **values: Any) -> None:
        self._unit.connection.execute(update(attempt).where(attempt.c.key == key).values(values))


def limit(act: "Act", rule: Limit) -> None:
    """Count one use of something by the member, in her own unit of work.

    Raises:
        TooManyRequests: she has used it too often; `casework.routing` counts the refusal.

    """
    Held(act.unit, [_counter_of_member(act.deployment.pepper, rule, act.org_id, act.member_id)]).count()


def count_not_found(unit: UnitOfWork, pepper: Pepper, org_id: UUID, member_id: UUID) -> None:
    """Count one answer of a member that nothing was found.

    Raises:
        TooManyRequests: there were too many.

    """
    Held(unit, [_counter_of_member(pepper, NOT_FOUND, org_id, member_id)]).count()


async def within_limits(database: Database, work: Callable[[UnitOfWork], T]) -> T:
    """Run a unit of work; what a counter refuses is rolled back and then counted, in a unit of its own."""
    try:
        return await database.unit(work)
    except TooManyRequests as refused:
        key = refused.counter
        try:
            await database.unit(lambda unit: _count_refusal(unit, key))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the refusal stands
            log.error("refusal_not_counted", error=type(error).__name__)
        raise


def unlock(deployment: "Deployment", unit: UnitOfWork, login: str) -> None:
    """Forget every try to sign in as `login`; what was refused until now is told to the journal."""
    _forget(deployment, unit, attempt.c.subject == subject_of(deployment.pepper, login))


def unlock_by_colleague(deployment: "Deployment", unit: UnitOfWork, login: str, org_id: UUID) -> None:
    """As `unlock`, but for the codes that an account has in a day, and three times a day at most.

    Raises:
        TooManyRequests: it was unlocked that often already, by whichever colleague.

    """
    subject = subject_of(deployment.pepper, login)
    key = _key(deployment.pepper, UNLOCK, login.encode())
    Held(unit, [Counter(UNLOCK, key, subject, org_id, None)]).count()
    _forget(deployment, unit, and_(attempt.c.subject == subject, attempt.c.name.not_in(_NOT_BY_COLLEAGUES)))


def _forget(deployment: "Deployment", unit: UnitOfWork, this: ColumnElement[bool]) -> None:
    # In the order of `Held`: whoever is guessing at this moment locks the same rows.
    locking = select(attempt).where(this).order_by(attempt.c.key).with_for_update()
    for row in unit.connection.execute(locking).all():
        _tell(deployment, unit, row)
    unit.connection.execute(delete(attempt).where(this))


def tell_and_forget(deployment: "Deployment", unit: UnitOfWork) -> None:
    """Tell the journal what was refused by blocks that are over, one entry each; delete what is forgotten."""
    is_over = or_(attempt.c.blocked_until.is_(None), attempt.c.blocked_until <= unit.now)
    # An organisation founded after this process began is told by the next one.
    logs = [DEPLOYMENT_LOG, *(org_id.bytes for org_id in deployment.slugs)]
    untold = (
        select(attempt)
        .where(attempt.c.refused > 0, is_over, attempt.c.told_to.in_(logs))
        .limit(BATCH)
        # Of several processes each tells its own rows.
        .with_for_update(skip_locked=True)
    )
    for row in unit.connection.execute(untold).all():
        _tell(deployment, unit, row)
        unit.connection.execute(update(attempt).where(attempt.c.key == row.key).values(refused=0))
    forgotten = (
        select(attempt.c.key)
        .where(attempt.c.forget_at <= unit.now, attempt.c.refused == 0)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    unit.connection.execute(delete(attempt).where(attempt.c.key.in_(forgotten)))


def _key(pepper: Pepper, rule: Limit, *parts: bytes) -> bytes:
    return pepper.hmac(_KEY, rule.name.encode(), *parts)


def _counter_of_member(pepper: Pepper, rule: Limit, org_id: UUID, member_id: UUID) -> Counter:
    return Counter(rule, _key(pepper, rule, member_id.bytes), None, org_id, member_id)


def _lock(unit: UnitOfWork, counters: Sequence[Counter]) -> Sequence[Row[Any]]:
    """The rows of the counters, made where they are not there, all locked."""
    upsert = postgresql.insert if unit.connection.dialect.name == "postgresql" else sqlite.insert
    rows = [
        {
            "key": counter.key,
            "subject": counter.subject,
            "name": counter.limit.name,
            "told_to": counter.org_id.bytes if counter.org_id is not None else DEPLOYMENT_LOG,
            "member_id": counter.member_id,
            "tries": 0,
            "refused": 0,
            "blocked_until": None,
            "forget_at": unit.now + counter.limit.window,
        }
        for counter in counters
    ]
    statement = upsert(attempt).values(rows)
    # An update that changes nothing: it locks a row that is there, and gives it back as a new one is given.
    locking = statement.on_conflict_do_update(index_elements=[attempt.c.key], set_={"tries": attempt.c.tries})
    return unit.connection.execute(locking.returning(*attempt.c)).all()


def _refuse_blocked(rows: Sequence[Row[Any]], now: datetime) -> None:
    blocking = [row for row in rows if row.blocked_until is not None and row.blocked_until > now]
    if blocking:
        longest = max(blocking, key=lambda row: row.blocked_until)
        raise TooManyRequests(ceil((longest.blocked_until - now).total_seconds()), bytes(longest.key))


def _count_refusal(unit: UnitOfWork, key: bytes) -> None:
    unit.connection.execute(update(attempt).where(attempt.c.key == key).values(refused=attempt.c.refused + 1))


def _tell(deployment: "Deployment", unit: UnitOfWork, row: Row[Any]) -> None:
    if not row.refused:
        return
    told_to = bytes(row.told_to)
    org_id = UUID(bytes=told_to) if told_to != DEPLOYMENT_LOG else None
    deployment.journal.record(
        unit,
        (org_id, deployment.slugs[org_id]) if org_id is not None else None,
        Who(uuid4(), member=row.member_id),
        Deed(_LIMITS[row.name].action, outcome=Outcome.DENIED, reason=REASON, count=row.refused),
    )
