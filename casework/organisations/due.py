"""Which of an organisation's keys are due to be renewed: the signed directory tells it, no list kept by hand."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, func, select

from casework.identity.members import accounts_of_members
from casework.organisations.holders import is_entitled
from casework.organisations.tables import drop_key
from crypto.directory import Directory
from policies.engine import Engine

DROP_KEY_AGE = timedelta(days=31)


class Reason(StrEnum):
    """Why a compartment's keys are due; what weighs most comes first."""

    REMOVED = "removed"
    """A member who was removed, or whose role no longer gives it, knew its KEK."""
    NOT_ENTITLED = "not_entitled"
    """A member to whom the policies no longer give it knows its KEK."""
    ORDERED = "ordered"
    """A custodian ordered it."""
    UNFINISHED = "unfinished"
    """A rotation was begun and is not at its end."""
    DROP_KEY = "drop_key"
    """Its drop key is a month old."""


RENEWS_THE_KEK = frozenset({Reason.REMOVED, Reason.NOT_ENTITLED, Reason.ORDERED})


@dataclass(frozen=True, slots=True)
class Due:
    """A compartment, why its keys are due, and the numbers of these keys."""

    compartment: str
    reason: Reason
    kek_no: int
    drop_no: int


def find_due(
    connection: Connection, directory: Directory, engine: Engine, org_id: UUID, now: datetime
) -> tuple[Due, ...]:
    """What is due, a compartment at most once."""
    active = {member.bytes for member in accounts_of_members(connection, org_id)}
    made = made_at(connection, org_id)
    return tuple(_due(directory, engine, active, made, now))


def made_at(connection: Connection, org_id: UUID) -> dict[str, datetime]:
    """When each compartment's newest drop key was made."""
    query = select(drop_key.c.compartment, func.max(drop_key.c.made_at)).where(drop_key.c.org_id == org_id)
    return {row[0]: row[1] for row in connection.execute(query.group_by(drop_key.c.compartment))}


def with_order(found: Iterable[Due], directory: Directory, compartments: Iterable[str]) -> tuple[Due, ...]:
    """What is due by itself, and what is ordered; of an unfinished rotation the order is to finish it."""
    by_itself = {due.compartment: due for due in found}
    for compartment in compartments:
        if compartment not in by_itself or by_itself[compartment].reason is Reason.DROP_KEY:
            by_itself[compartment] = _of(directory, compartment, Reason.ORDERED)
    return tuple(by_itself.values())


def _due(
    directory: Directory,
    engine: Engine,
    active: Collection[bytes],
    made: Mapping[str, datetime],
    now: datetime,
) -> Iterator[Due]:
    for compartment, keys in directory.compartments.items():
        if (compartment, keys.kek_no) in directory.exposed:
            yield _of(directory, compartment, Reason.REMOVED)
        elif any(_is_not_entitled(directory, engine, member, compartment) for member in active):
            yield _of(directory, compartment, Reason.NOT_ENTITLED)
        elif directory.retiring(compartment):
            yield _of(directory, compartment, Reason.UNFINISHED)
        elif now >= made[compartment] + DROP_KEY_AGE:
            yield _of(directory, compartment, Reason.DROP_KEY)


def _of(directory: Directory, compartment: str, reason: Reason) -> Due:
    keys = directory.compartments[compartment]
    return Due(compartment, reason, keys.kek_no, keys.drop.number)


def _is_not_entitled(directory: Directory, engine: Engine, member: bytes, compartment: str) -> bool:
    return directory.holds(member, compartment) and not is_entitled(directory, engine, member, compartment)
