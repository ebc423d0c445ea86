"""What goes with a case: first its rows, in the transaction that says so; then its halves in the shred store."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, insert, select, update

from casework.cases.erasing import erase_case, existing_cases, find_erasable
from casework.consents.erasing import erase_consents
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.drafts.erasing import drafts_of
from casework.follow_ups.erasing import follow_ups_of
from casework.handoffs.erasing import Told, erase_handoffs, erase_sides
from casework.identity import idempotency
from casework.journal import Deed, Who
from casework.rights.schemas import Destroyed
from casework.rights.states import State
from casework.rights.tables import erasure, erasure_owner


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted, in numbers (the halves are still to go), and which partners are to be told."""

    destroyed: Destroyed
    told: tuple[Told, ...]


def erase_rows(unit: UnitOfWork, org_id: UUID, case_id: UUID, received: Collection[UUID]) -> Gone | None:
    """Delete every row of a case, and this side of the handoffs it was handed over by or `received` by.

    Returns None where there is no such case. What names no person stays: the neutral rows of handoffs, the
    journal, and what partners hold.
    """
    connection = unit.connection
    case = find_erasable(connection, org_id, case_id)
    if case is None:
        return None
    follow_ups, drafts = follow_ups_of(connection, org_id, case_id), drafts_of(connection, org_id, case_id)
    # Before the handoffs that they hang on.
    consents = erase_consents(connection, org_id, case_id)
    handoffs = erase_handoffs(unit, org_id, case_id)
    parts = handoffs.parts + erase_sides(connection, org_id, received)
    idempotency.forget(
        connection, org_id, case.ids | follow_ups | drafts | consents | handoffs.ids | set(received)
    )
    erase_case(connection, org_id, case_id)
    destroyed = Destroyed(
        groups=case.groups,
        follow_ups=len(follow_ups),
        drafts=len(drafts),
        consents=len(consents),
        handoffs=len(handoffs.ids) + len(received),
        unopened_parts=parts,
        assignments=case.assignments,
        halves=0,
    )
    return Gone(destroyed, handoffs.told)


def leave_owners(connection: Connection, org_id: UUID, erasure_id: UUID, owners: Collection[UUID]) -> None:
    """Remember, in the transaction that erases the rows, whose halves are still to be destroyed."""
    connection.execute(
        insert(erasure_owner),
        [{"org_id": org_id, "erasure_id": erasure_id, "owner_id": owner} for owner in sorted(owners)],
    )


async def finish_erasures(deployment: Deployment) -> None:
    """Complete what a kill left half done: rows that are gone and whose halves are still there."""
    for org_id in tuple(deployment.slugs):
        for erasure_id in await deployment.database.snapshot(partial(_unfinished, org_id=org_id), org_id):
            await finish(deployment, org_id, erasure_id)


async def finish(deployment: Deployment, org_id: UUID, erasure_id: UUID) -> None:
    """Destroy the halves of one erasure whose rows are gone, and say so. Doing it again changes nothing."""
    await deployment.database.unit(
        partial(_finish, deployment=deployment, org_id=org_id, erasure_id=erasure_id)
    )


def replay(unit: UnitOfWork, org_id: UUID, erased: Collection[UUID]) -> int:
    """Erase again, in a restored database, what was erased since it was copied; returns how many cases.

    `erased` is the shred store's list: ids of cases, and of handoffs that cases came by.
    """
    unit.enter_organisation(org_id)
    # No case has the id of a handoff, and no handoff that of a case.
    cases = existing_cases(unit.connection, org_id) & set(erased)
    erase_sides(unit.connection, org_id, set(erased) - cases)
    for case_id in sorted(cases):
        erase_rows(unit, org_id, case_id, ())
        _forget_case(unit, org_id, case_id)
    return len(cases)


def _unfinished(connection: Connection, org_id: UUID) -> list[UUID]:
    query = select(erasure.c.id).where(erasure.c.org_id == org_id, erasure.c.state == State.ERASED)
    return list(connection.execute(query.order_by(erasure.c.id)).scalars())


def _finish(unit: UnitOfWork, deployment: Deployment, org_id: UUID, erasure_id: UUID) -> None:
    unit.enter_organisation(org_id)
    connection = unit.connection
    query = select(erasure.c.case_id).where(
        erasure.c.org_id == org_id, erasure.c.id == erasure_id, erasure.c.state == State.ERASED
    )
    # Locked: of two processes that finish it, the second finds it complete.
    found = connection.execute(query.with_for_update()).one_or_none()
    if found is None:
        return
    these = erasure_owner.c.org_id == org_id, erasure_owner.c.erasure_id == erasure_id
    owners = set(connection.execute(select(erasure_owner.c.owner_id).where(*these)).scalars())
    # After the commit that erased the rows, and before the one that forgets whose halves they are.
    halves = deployment.shreds.erase(org_id, owners, unit.now)
    _forget_case(unit, org_id, found.case_id)
    deed = Deed("erasure.complete", count=halves)
    deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), Who(uuid4()), deed)


def _forget_case(unit: UnitOfWork, org_id: UUID, case_id: UUID) -> None:
    """Complete the requests about a case that is gone; none of them says any more which it was."""
    of_case = erasure.c.org_id == org_id, erasure.c.case_id == case_id
    ids = unit.connection.execute(select(erasure.c.id).where(*of_case)).scalars().all()
    unit.connection.execute(
        delete(erasure_owner).where(erasure_owner.c.org_id == org_id, erasure_owner.c.erasure_id.in_(ids))
    )
    unit.connection.execute(
        update(erasure)
        .where(*of_case, erasure.c.state != State.REFUSED)
        .values(state=State.COMPLETE, completed_at=unit.now)
    )
    unit.connection.execute(update(erasure).where(*of_case).values(case_id=None, motive=None))
