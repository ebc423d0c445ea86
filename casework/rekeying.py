"""Renews the keys of one case: new halves in the shred store, new keys where the old open, records sealed anew.

Nothing is shown to anybody: what is opened here is sealed again in the same breath. The shred store commits first;
once the database has committed too, every half that is no longer needed is destroyed.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Table, and_, select, update

from casework.act import Act
from casework.cases.tables import case_group, member_note
from casework.column_types import Sealed
from casework.columns import Column
from casework.consents.tables import consent
from casework.copying import destroying
from casework.deployment import Deployment
from casework.follow_ups.tables import follow_up, follow_up_frame
from casework.handoffs.tables import handoff_manifest, handoff_side
from casework.journal import Deed, Touched
from casework.loaded_case import LEGAL_NAME, LoadedCase
from casework.packets import open_envelope
from casework.shreds import half_purpose
from crypto.dek import CaseKey, new_dek
from crypto.drop import is_drop_envelope
from crypto.frame import seal_frame
from crypto.opener import open_frame
from crypto.place import Place
from crypto.restriction import blind_half
from crypto.secret import Secret
from policies.vocabulary import Group

log = structlog.get_logger(__name__)

# The action under which each renewal that an ordinary act brings about, or that was asked for, is journaled.
RENEWAL = "case.renew_keys"


@dataclass(frozen=True, slots=True)
class _Record:
    """A sealed value under a case's key: its place, what stands there, and which row to write."""

    place: Place
    sealed: Sealed
    table: Table
    this: ColumnElement[bool]
    column: str = "frame"


def renew(
    act: Act, loaded: LoadedCase, keys: Mapping[Group, CaseKey | None], named_part: Secret | None
) -> frozenset[Group]:
    """Give these groups of a locked case new halves, over which `named_part` is laid where there is one.

    A group whose key is given, and whose current KEK is held, gets a new key too, and its records are sealed anew:
    these are returned. Of the others the half alone is put under another number, by which the next holder who opens
    or changes the case knows that their key is to be renewed (`renew_rest`).

    Raises:
        SealBroken: a record of the case does not open where it stands.

    """
    halves: dict[Group, bytes] = {}
    fresh: dict[Group, tuple[CaseKey, bytes]] = {}
    for group, key in keys.items():
        kek = act.keyring.current_kek(group) if key is not None else None
        if kek is None:
            halves[group] = loaded.shreds[group]
        else:
            dek = new_dek(kek, loaded.id.bytes, loaded.groups[group].half + 1)
            fresh[group], halves[group] = (dek.key, dek.row), dek.shred_part
    numbers = {group: row.half + (group in halves) for group, row in loaded.groups.items()}
    purposes = {group: half_purpose(group, number) for group, number in numbers.items()}
    # Only what is older than these: whoever renews the case next may have put hers there by then.
    older = {half_purpose(group, old) for group, number in numbers.items() for old in range(1, number)}
    unneeded = older & act.deployment.shreds.purposes_of(act.org_id, loaded.id)
    # The shred store commits first: a key without its half must never exist.
    act.deployment.shreds.renew(
        act.org_id,
        loaded.id,
        {
            purposes[group]: half if named_part is None else blind_half(half, named_part)
            for group, half in halves.items()
        },
    )
    for group in halves:
        values: dict[str, Any] = {"half": numbers[group]}
        old = keys[group]
        if group in fresh and old is not None:
            key, row = fresh[group]
            values |= {"dek": Sealed(row), "dek_generation": key.generation}
            for record in _records(act, loaded, group):
                _reseal(act, record, old, key)
        act.unit.connection.execute(
            update(case_group)
            .where(case_group.c.org_id == act.org_id, case_group.c.id == loaded.groups[group].id)
            .values(values)
        )
    act.unit.on_commit(partial(_destroy, act.deployment, act.org_id, loaded.id, unneeded))
    return frozenset(fresh)


def renew_rest(
    act: Act, loaded: LoadedCase, keys: Mapping[Group, CaseKey], named_part: Secret | None
) -> None:
    """Renew, of a locked case, the keys that whoever renewed the others could not open; and journal it."""
    # Under an older KEK nothing is sealed any more: such a key waits for a holder of the newest.
    held = {group: key for group, key in keys.items() if act.keyring.current_kek(group) is not None}
    if not held:
        return
    renew(act, loaded, held, named_part)
    touched = (Touched(loaded.pseudonym, ()),)
    act.record(Deed(RENEWAL, touched=touched, count=len(held), detail={"groups": sorted(held)}))


def _destroy(deployment: Deployment, org_id: UUID, case_id: UUID, unneeded: AbstractSet[str]) -> None:
    """Destroy the halves that nothing needs any more; but a backup may be copying the database that does.

    What fails here, or waits for a backup, is done by a later sweep.
    """
    try:
        with destroying(deployment.settings.state_dir) as no_backup_runs:
            if no_backup_runs:
                deployment.shreds.destroy(org_id, case_id, unneeded)
    except Exception as error:  # noqa: BLE001 - the renewal is committed: its answer stands
        log.error("halves_not_destroyed", case=str(case_id), error=type(error).__name__)


def _reseal(act: Act, record: _Record, old: CaseKey, new: CaseKey) -> None:
    blob = record.sealed.blob
    if is_drop_envelope(blob):
        plaintext = open_envelope(act, old.group, record.place, record.sealed)
    else:
        plaintext = open_frame(old, record.place, blob)
    frame = Sealed(seal_frame(new, record.place, plaintext))
    act.unit.connection.execute(update(record.table).where(record.this).values({record.column: frame}))


def _records(act: Act, loaded: LoadedCase, group: Group) -> Iterator[_Record]:
    """Everything that is sealed under a case's key of a group."""
    row, org = loaded.groups[group], act.org_id
    this = and_(case_group.c.org_id == org, case_group.c.id == row.id)
    if row.frame is not None:
        yield _Record(Column.CASE_GROUP_FRAME.place(org, row.id, row.version), row.frame, case_group, this)
    if row.legal_name is not None:
        place = Column.CASE_LEGAL_NAME.place(org, row.id, row.version)
        yield _Record(place, row.legal_name, case_group, this, LEGAL_NAME)
    yield from _follow_ups(act, loaded.id, group)
    table = handoff_manifest
    sides = select(handoff_side.c.id).where(handoff_side.c.org_id == org, handoff_side.c.case_id == loaded.id)
    of_case = and_(table.c.handoff_id.in_(sides), table.c.compartment == group)
    yield from _first_versions(act, table, Column.HANDOFF_MANIFEST, table.c.handoff_id, of_case)
    table = member_note
    of_case = and_(table.c.case_id == loaded.id, table.c.compartment == group)
    yield from _first_versions(act, table, Column.MEMBER_NOTE, table.c.id, of_case)
    if group is Group.INTAKE:
        table = consent
        of_case = table.c.case_id == loaded.id
        yield from _first_versions(act, table, Column.CONSENT_FRAME, table.c.id, of_case)


def _follow_ups(act: Act, case_id: UUID, group: Group) -> Iterator[_Record]:
    table, org = follow_up_frame, act.org_id
    of_case = select(follow_up.c.id).where(follow_up.c.org_id == org, follow_up.c.case_id == case_id)
    query = select(table).where(
        table.c.org_id == org, table.c.compartment == group, table.c.follow_up_id.in_(of_case)
    )
    for row in act.unit.connection.execute(query).all():
        this = and_(
            table.c.org_id == org,
            table.c.follow_up_id == row.follow_up_id,
            table.c.version == row.version,
            table.c.compartment == group,
        )
        place = Column.FOLLOW_UP_FRAME.place(org, row.follow_up_id, row.version)
        yield _Record(place, row.frame, table, this)


def _first_versions(
    act: Act, table: Table, column: Column, key: ColumnElement[UUID], of_case: ColumnElement[bool]
) -> Iterator[_Record]:
    """The rows of a table that has one version of each, at most one of them to a group."""
    query = select(key.label("row"), table.c.frame).where(table.c.org_id == act.org_id, of_case)
    for row in act.unit.connection.execute(query).all():
        this = and_(table.c.org_id == act.org_id, key == row.row, of_case)
        yield _Record(column.place(act.org_id, row.row, 1), row.frame, table, this)
