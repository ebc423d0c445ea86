"""What goes with a case: first its rows, in the transaction that says so; then its halves in the shred store."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, update

from audit.entry import Outcome
from casework.alerts import AlertKind, alert
from casework.cases.erasing import erase_case, existing_cases, find_erasable
from casework.consents.erasing import erase_consents
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.drafts.erasing import drafts_of
from casework.follow_ups.erasing import follow_ups_of
from casework.handoffs.erasing import Told, erase_handoffs, erase_sides, existing_sides
from casework.identity import idempotency
from casework.journal import Deed, Who
from casework.rights.schemas import Destroyed
from casework.rights.states import State
from casework.rights.tables import erasure, erasure_owner
from crypto.erasure import Approval, Preparation, erased_mark, is_erased, require_proof
from crypto.errors import ProofRefused
from crypto.pepper import Pepper, Peppers
from crypto.widths import ID_SIZE

log = structlog.get_logger(__name__)


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
        connection,
        org_id,
        case.ids | case.notes | follow_ups | drafts | consents | handoffs.ids | set(received),
    )
    erase_case(connection, org_id, case_id)
    destroyed = Destroyed(
        groups=case.groups,
        follow_ups=len(follow_ups),
        notes=len(case.notes),
        drafts=len(drafts),
        consents=len(consents),
        handoffs=len(handoffs.ids) + len(received),
        unopened_parts=parts,
        assignments=case.assignments,
        halves=0,
    )
    return Gone(destroyed, handoffs.told)


def approval_of(org_id: UUID, erasure_id: UUID, case_id: UUID | None, owners: Collection[UUID]) -> Approval:
    """What an approval's proof is over."""
    return Approval(org_id.bytes, erasure_id.bytes, _raw(case_id), [owner.bytes for owner in owners])


def preparation_of(row: Row[Any]) -> Preparation:
    """What the proof of a prepared request is over: everything that its approval goes by."""
    return Preparation(
        row.org_id.bytes,
        row.id.bytes,
        _raw(row.case_id),
        row.prepared_by.bytes,
        row.basis,
        row.motive.blob if row.motive is not None else b"",
    )


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


def replay(unit: UnitOfWork, org_id: UUID, peppers: Peppers, marks: Collection[bytes]) -> int:
    """Erase again, in a restored database, what was erased since it was copied; returns how many cases.

    `marks` is the shred store's list: of cases, and of handoffs that cases came by. What was not made under one of
    these peppers is of nobody.
    """
    unit.enter_organisation(org_id)
    connection = unit.connection
    erased = partial(is_erased, peppers, org_id.bytes, marks=marks)
    erase_sides(connection, org_id, {one for one in existing_sides(connection, org_id) if erased(one.bytes)})
    cases = [one for one in sorted(existing_cases(connection, org_id)) if erased(one.bytes)]
    for case_id in cases:
        erase_rows(unit, org_id, case_id, ())
        _forget_case(unit, org_id, case_id)
    return len(cases)


def renew_proofs(connection: Connection, peppers: Peppers, coming: Pepper, org_id: UUID) -> None:
    """Make anew, under the pepper that is to come, the proofs of what waits; a false one stays false."""
    query = select(erasure).where(erasure.c.org_id == org_id, erasure.c.proof.is_not(None))
    for row in connection.execute(query.with_for_update()).all():
        said: Preparation | Approval
        if row.state == State.PREPARED:
            said = preparation_of(row)
        else:
            said = approval_of(org_id, row.id, row.case_id, _owners_of(connection, org_id, row.id))
        with suppress(ProofRefused):
            require_proof(peppers, said, row.proof)
            this = erasure.c.org_id == org_id, erasure.c.id == row.id
            connection.execute(update(erasure).where(*this).values(proof=said.proof(coming)))


def _unfinished(connection: Connection, org_id: UUID) -> list[UUID]:
    query = select(erasure.c.id).where(erasure.c.org_id == org_id, erasure.c.state == State.ERASED)
    return list(connection.execute(query.order_by(erasure.c.id)).scalars())


def _finish(unit: UnitOfWork, deployment: Deployment, org_id: UUID, erasure_id: UUID) -> None:
    unit.enter_organisation(org_id)
    connection = unit.connection
    query = select(erasure.c.case_id, erasure.c.proof).where(
        erasure.c.org_id == org_id, erasure.c.id == erasure_id, erasure.c.state == State.ERASED
    )
    # Locked: of two processes that finish it, the second finds it complete.
    found = connection.execute(query.with_for_update()).one_or_none()
    if found is None:
        return
    owners = _owners_of(connection, org_id, erasure_id)
    fault = _fault(
        connection, deployment.peppers, approval_of(org_id, erasure_id, found.case_id, owners), found.proof
    )
    if fault is not None:
        _raise_alarm(unit, deployment, org_id, erasure_id, fault)
        return
    # After the commit that erased the rows, and before the one that forgets whose halves they are.
    marks = {owner: erased_mark(deployment.pepper, org_id.bytes, owner.bytes) for owner in owners}
    halves = deployment.shreds.erase(org_id, marks, unit.now)
    _forget_case(unit, org_id, found.case_id)
    deed = Deed("erasure.complete", count=halves)
    deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), Who(uuid4()), deed)


def _raw(case_id: UUID | None) -> bytes:
    # No case has this id: where somebody took the case from a row, its proof fails.
    return case_id.bytes if case_id is not None else bytes(ID_SIZE)


def _owners_of(connection: Connection, org_id: UUID, erasure_id: UUID) -> set[UUID]:
    these = erasure_owner.c.org_id == org_id, erasure_owner.c.erasure_id == erasure_id
    return set(connection.execute(select(erasure_owner.c.owner_id).where(*these)).scalars())


def _fault(connection: Connection, peppers: Peppers, approval: Approval, proof: bytes | None) -> str | None:
    """Why nothing may be destroyed for a request that the database calls erased, by a code; None where it may."""
    try:
        require_proof(peppers, approval, proof)
    except ProofRefused:
        return "not_approved"
    alive = existing_cases(connection, UUID(bytes=approval.org))
    return "case_exists" if any(UUID(bytes=owner) in alive for owner in approval.owners) else None


def _raise_alarm(
    unit: UnitOfWork, deployment: Deployment, org_id: UUID, erasure_id: UUID, fault: str
) -> None:
    """Somebody writes to the database beside the service. Each sweep logs it, and the first one journals it."""
    alert(
        AlertKind.ERASURE_FORGED, organisation=deployment.slugs[org_id], request=str(erasure_id), fault=fault
    )
    if (org_id, erasure_id) in deployment.forged_erasures:
        return
    deed = Deed("erasure.complete", outcome=Outcome.FAILED, reason=fault)
    deployment.journal.record(unit, (org_id, deployment.slugs[org_id]), Who(uuid4()), deed)
    unit.on_commit(partial(deployment.forged_erasures.add, (org_id, erasure_id)))


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
    unit.connection.execute(update(erasure).where(*of_case).values(case_id=None, motive=None, proof=None))
