"""A new pepper: the outer layers at once, the inner ones when each member signs in."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, func, or_, select

from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.identity.renewals import drop_all
from casework.identity.tables import account, session
from casework.identity.wrapping import seal_outer
from casework.journal import Deed, Who
from crypto.pepper import FileKeyProvider, Pepper, Peppers

ACTION = "pepper.rotate"


@dataclass(frozen=True, slots=True)
class Rotated:
    """How many accounts were sealed under the new pepper, and how many wait for their owner to sign in."""

    sealed: int
    waiting: int


Renew = Callable[[Connection, Peppers, Pepper, UUID], None]


async def rotate_pepper(deployment: Deployment, provider: FileKeyProvider, renew: Renew) -> Rotated:
    """Put a new pepper in force. The service must not be running: it would go on with the one before.

    `renew` makes under the new one, for each organisation, what later slices keep under a pepper.

    Everything in the database happens in one transaction, and the files change after it: killed at any moment,
    the same command goes on from there. Sessions and renewals that wait end.

    Raises:
        PepperRefused: a pepper cannot be read, or one that something stands under is not there.

    """
    coming = provider.begin_rotation()
    peppers = provider.peppers()

    def work(unit: UnitOfWork) -> Rotated:
        sealed = waiting = 0
        for org_id in deployment.slugs:
            unit.enter_organisation(org_id)
            renew(unit.connection, peppers, coming, org_id)
            count = _seal_organisation(unit.connection, peppers, coming, org_id)
            if count:
                _record(deployment, unit, org_id, count)
            sealed += count
            waiting += waiting_for_sign_in(unit.connection, org_id, coming.id)
        if sealed:
            deployment.journal.record(unit, None, Who(uuid4()), Deed(ACTION, reason="operator", count=sealed))
        return Rotated(sealed, waiting)

    rotated = await deployment.database.unit(work)
    provider.end_rotation()
    return rotated


def waiting_for_sign_in(connection: Connection, org_id: UUID, current: bytes) -> int:
    """How many active accounts of an organisation still need another pepper than the one in force."""
    is_behind = or_(account.c.pepper_id != current, account.c.outer_pepper_id.is_not(None))
    query = select(func.count()).where(account.c.org_id == org_id, account.c.active, is_behind)
    return int(connection.execute(query).scalar_one())


def _seal_organisation(connection: Connection, peppers: Peppers, coming: Pepper, org_id: UUID) -> int:
    rows = connection.execute(
        select(account).where(account.c.org_id == org_id).order_by(account.c.id).with_for_update()
    ).all()
    behind = [row for row in rows if coming.id not in {row.pepper_id, row.outer_pepper_id}]
    for row in behind:
        seal_outer(connection, peppers, coming, row)
    connection.execute(delete(session).where(session.c.org_id == org_id))
    drop_all(connection, org_id)
    return len(behind)


def _record(deployment: Deployment, unit: UnitOfWork, org_id: UUID, count: int) -> None:
    org = (org_id, deployment.slugs[org_id])
    deployment.journal.record(unit, org, Who(uuid4()), Deed(ACTION, reason="operator", count=count))
