"""Halves that nothing needs: of a case that failed to be opened, or from before a renewal that a kill cut short."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from audit.incarnation import restored_at
from casework.cases.erasing import existing_cases
from casework.cases.soundness import renewed_halves
from casework.copying import destroying
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.ids import made_at
from casework.shreds import COPIES_KEPT, PSEUDONYM, ShredStore

# No unit of work runs as long: what is younger may be a case that is being opened.
SAFE_AGE: Final = timedelta(days=1)
_VERSION: Final = 7


class SweepRefused(Exception):
    """The database was restored lately: the halves of what it lost may still open a newer copy of it."""


async def sweep_orphans(deployment: Deployment, *, is_dry_run: bool) -> int:
    """Destroy the halves of cases that the database does not have; returns of how many cases.

    A command and no timer, for it trusts the database that it is given: no other one may have these cases.

    Raises:
        SweepRefused: the database was restored less than thirty days ago.

    """
    now = deployment.clock.now()
    restored = restored_at(deployment.journal.origin(None))
    if restored is not None and restored > now - COPIES_KEPT:
        raise SweepRefused
    found = 0
    for org_id in tuple(deployment.slugs):
        look = partial(_orphans, shreds=deployment.shreds, org_id=org_id, before=now - SAFE_AGE)
        orphans = await deployment.database.snapshot(look, org_id)
        if not is_dry_run:
            await deployment.database.unit(partial(_discard, deployment.shreds, org_id, orphans))
        found += len(orphans)
    return found


async def destroy_old_halves(deployment: Deployment) -> None:
    """Destroy what a kill or a backup kept a renewal from destroying: the halves under numbers that are over.

    Numbers only grow: what was over when the database was read is over for good.
    """
    for org_id in tuple(deployment.slugs):
        renewed = await deployment.database.snapshot(partial(renewed_halves, org_id=org_id), org_id)
        if renewed:
            await deployment.database.unit(partial(_destroy_old, deployment, org_id, renewed))


def _destroy_old(
    deployment: Deployment, org_id: UUID, renewed: Mapping[UUID, AbstractSet[str]], _unit: UnitOfWork
) -> None:
    shreds = deployment.shreds
    with destroying(deployment.settings.state_dir) as no_backup_runs:
        found = shreds.purposes_of_each(org_id, sorted(renewed)) if no_backup_runs else {}
        for case_id, purposes in found.items():
            if left := purposes & renewed[case_id]:
                shreds.destroy(org_id, case_id, left)


def _discard(shreds: ShredStore, org_id: UUID, owners: Sequence[UUID], _unit: UnitOfWork) -> None:
    """In a unit of its own, for the store is used on a unit's thread or in its greenlet."""
    shreds.discard(org_id, owners)


def _orphans(connection: Connection, shreds: ShredStore, org_id: UUID, before: datetime) -> list[UUID]:
    # The store first: a case whose halves are seen here, and that was committed meanwhile, is seen below.
    cases = {owner for owner, purpose in shreds.owned(org_id) if purpose == PSEUDONYM}
    gone = cases - existing_cases(connection, org_id)
    return sorted(owner for owner in gone if _made_at(owner) < before)


def _made_at(case_id: UUID) -> datetime:
    """When a case's id was made, a UUIDv7. Of any other, now: it is left alone."""
    if case_id.version != _VERSION:
        return datetime.max.replace(tzinfo=UTC)
    return made_at(case_id)
