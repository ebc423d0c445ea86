"""What lies under a compartment's keys: moved from one KEK to the next in batches, looked for before a key goes.

A key row changes hands here without its case being opened: no frame, no shred part and no content is touched.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    bindparam,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from audit.log import details_begin_with
from casework.alerts import AlertKind, alert
from casework.cases.tables import case_group
from casework.column_types import SEALED_TO, Id, Sealed, SealedBytes
from casework.database import metadata
from casework.journal import JOURNAL
from casework.statements import HotStatement
from crypto.dek import adopt_dek, dek_row_is_dropped, dek_row_key_number, key_row_headers, rewrap_dek
from crypto.drop import DROPPED, DropPrivate, drop_headers
from crypto.errors import CryptoError
from crypto.kek import Kek

log = structlog.get_logger(__name__)

# Key rows to a batch: some ten milliseconds, so that whoever else writes waits no longer than that.
BATCH = 500

_KEY_ROW = type_coerce(case_group.c.dek, LargeBinary)
# Only over the very row that was read: a holder may have taken it over, or the case may be gone.
_STORE = HotStatement(
    update(case_group)
    .where(
        case_group.c.org_id == bindparam("org", type_=Id),
        case_group.c.case_id == bindparam("case", type_=Id),
        case_group.c.compartment == bindparam("group"),
        case_group.c.dek == bindparam("old", type_=SealedBytes),
    )
    .values(dek=bindparam("new", type_=SealedBytes))
)


@dataclass(frozen=True, slots=True)
class CompartmentKeys:
    """What a holder has of one compartment: its current KEK, the older ones, and its drop keys, by number."""

    org_id: UUID
    current: Kek
    older: Mapping[int, Kek] = field(repr=False)
    drops: Mapping[int, DropPrivate] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """How many key rows were moved, and the last case looked at; None where there was none any more."""

    moved: int
    last: UUID | None


def rewrap_batch(connection: Connection, keys: CompartmentKeys, after: UUID | None) -> Batch:
    """Move the next key rows under the current KEK, in the order of their cases.

    Rows that wait at a drop key are adopted. One that does not open is left and raises the alarm: it keeps its key.
    """
    rows = _stale_rows(connection, keys, after)
    moved = []
    for row in rows:
        try:
            new = _moved(keys, row)
        except CryptoError as error:
            alert(AlertKind.SEALED_DATA_DAMAGED, case=str(row.case_id), error=type(error).__name__)
            continue
        place = {"org": keys.org_id, "case": row.case_id, "group": keys.current.group}
        moved.append(place | {"old": Sealed(bytes(row.dek)), "new": Sealed(new)})
    if moved:
        _STORE.run_each(connection, moved)
    return Batch(len(moved), rows[-1].case_id if rows else None)


def count_stale(connection: Connection, org_id: UUID, compartment: str, older: Collection[int]) -> int:
    """How many of a compartment's key rows are under one of the older KEKs, or wait at a drop key."""
    return _count(connection, org_id, compartment, _is_stale(older))


def count_under(connection: Connection, org_id: UUID, compartment: str, older: Collection[int]) -> int:
    """How many of a compartment's key rows are under one of the older KEKs."""
    return _count(connection, org_id, compartment, _begins_with(case_group.c.dek, _headers(older)))


def drop_key_is_needed(connection: Connection, org_id: UUID, compartment: str, number: int) -> bool:
    """Whether anything is still sealed to this drop key: a record, a key row, a handoff part, a journal's detail.

    Looks into every sealed column there is. Where a table does not say the compartment of its rows, what is sealed
    to any compartment's key of this number counts, but for a column of which it is always the same.
    """
    headers = drop_headers(number)
    if compartment == JOURNAL and details_begin_with(connection, org_id.bytes, headers):
        return True
    for table in metadata.sorted_tables:
        sealed = [
            column
            for column in table.c
            if isinstance(column.type, SealedBytes) and column.info.get(SEALED_TO, compartment) == compartment
        ]
        if not sealed or "org_id" not in table.c:
            continue
        here = [table.c.org_id == org_id]
        if "compartment" in table.c:
            here.append(table.c.compartment == compartment)
        query = select(exists().where(*here, or_(*(_begins_with(column, headers) for column in sealed))))
        if connection.execute(query).scalar_one():
            return True
    return False


def _stale_rows(connection: Connection, keys: CompartmentKeys, after: UUID | None) -> Sequence[Row[Any]]:
    query = select(case_group.c.case_id, _KEY_ROW.label("dek"), case_group.c.dek_generation).where(
        case_group.c.org_id == keys.org_id,
        case_group.c.compartment == keys.current.group,
        _is_stale(keys.older),
    )
    if after is not None:
        query = query.where(case_group.c.case_id > after)
    return connection.execute(query.order_by(case_group.c.case_id).limit(BATCH)).all()


def _moved(keys: CompartmentKeys, row: Row[Any]) -> bytes:
    dek, case, generation = bytes(row.dek), row.case_id.bytes, row.dek_generation
    number = dek_row_key_number(dek)
    if dek_row_is_dropped(dek):
        return adopt_dek(keys.drops[number], keys.current, case, generation, dek)
    return rewrap_dek(keys.older[number], keys.current, case, generation, dek)


def _count(connection: Connection, org_id: UUID, compartment: str, condition: ColumnElement[bool]) -> int:
    here = (case_group.c.org_id == org_id, case_group.c.compartment == compartment, condition)
    return int(connection.execute(select(func.count()).select_from(case_group).where(*here)).scalar_one())


def _is_stale(older: Collection[int]) -> ColumnElement[bool]:
    is_dropped = func.substr(_KEY_ROW, 1, 1) == literal(DROPPED, LargeBinary)
    return or_(is_dropped, _begins_with(case_group.c.dek, _headers(older)))


def _headers(numbers: Collection[int]) -> list[bytes]:
    return [header for number in numbers for header in key_row_headers(number)]


def _begins_with(column: ColumnElement[Any], headers: Sequence[bytes]) -> ColumnElement[bool]:
    head = func.substr(type_coerce(column, LargeBinary), 1, 6)
    return or_(false(), *(head == literal(header, LargeBinary) for header in headers))
