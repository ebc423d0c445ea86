"""The gateway of a search: sealed identities of every case that the asker may list, opened to be compared.

A search opens thousands of records and shows a few. That is done between two units of work, outside both: the
first decides and takes the session's keys, the second decides again about what matched, journals it and opens it
anew. Nothing that was opened in between leaves the process but the ids of the cases that matched.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Integer, LargeBinary, Row, Select, and_, bindparam, select, type_coerce

from casework.act import Act
from casework.alerts import AlertKind, alert
from casework.cases.tables import case_file, case_group
from casework.column_types import Id, raw_id
from casework.columns import Column
from casework.conflicts import has_declared
from casework.errors import NotNow
from casework.facts import MEMBER, NOW, case_facts, matches_any
from casework.restrictions import Numbered, named_parts, renewed_halves
from casework.shreds import PSEUDONYM, ShredStore
from casework.statements import HotStatement
from crypto.dek import key_row_headers
from crypto.drop import is_drop_envelope
from crypto.errors import CryptoError
from crypto.header import HEADER_SIZE
from crypto.journal import pseudonym
from crypto.kek import Kek
from crypto.opener import FrameReader
from crypto.secret import Secret
from policies.engine import Decision
from policies.filters import Cube, minimise
from policies.vocabulary import READ, Action, Group

log = structlog.get_logger(__name__)

# Beyond it a search would take seconds: an index of sealed match tokens is for that.
MOST_CANDIDATES = 20_000
# From so many owners on, one read of a whole purpose is quicker than naming them.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Searcher:
    """Who searches, for use outside a unit of work: the states of a case that she may read, and her keys."""

    org_id: UUID
    member_id: UUID
    now: datetime
    decision: Decision
    states: Mapping[Group, frozenset[int]]
    keks: Mapping[Group, Mapping[int, Kek]] = field(repr=False)
    # Who declared a conflict of interest is not shown what nobody compared yet.
    compared_alone: bool
    # Of each restricted case that she is named for.
    named: Mapping[UUID, Secret] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidates:
    """One group of many cases as it is stored, and the halves of their keys.

    A row is (case_id, row, version, dek, dek_generation, frame, half, restricted).
    """

    group: Group
    rows: Sequence[Row[Any]] = ()
    halves: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    damaged: set[bytes] = field(default_factory=set, repr=False)


def searcher_of(act: Act, groups: Sequence[Group]) -> Searcher:
    """Decide that the member may search, and what of each group she may read among the cases she may list.

    Raises:
        Forbidden: the policies do not let her search.

    """
    decision = act.require_org(Action.CASE_SEARCH)
    listed = act.engine.allowed_states(act.asker, Action.CASE_LIST, act.context)
    return Searcher(
        act.org_id,
        act.member_id,
        act.unit.now,
        decision,
        {group: listed & act.engine.allowed_states(act.asker, READ[group], act.context) for group in groups},
        {group: act.keyring.newest_keks_of(group) for group in groups},
        has_declared(act),
        named_parts(act),
    )


def read_candidates(
    connection: Connection,
    shreds: ShredStore,
    searcher: Searcher,
    group: Group,
    among: Sequence[UUID] | None = None,
) -> Candidates:
    """What is stored of a group in the cases that the searcher may list and read it of; `among`: of these alone.

    What still waits for its group's first holder (at the drop key, or in a handoff) is not there to be found.

    Raises:
        NotNow: there are more than may be opened for one search.

    """
    cubes = _cubes(searcher.states[group])
    if not cubes or not searcher.keks[group]:
        return Candidates(group)
    values = {
        "org": searcher.org_id,
        "member": searcher.member_id,
        "now": searcher.now,
        "group": group,
        "limit": MOST_CANDIDATES + 1,
    }
    if among is None:
        rows = _every(cubes, connection.dialect.name, searcher.compared_alone).rows(connection, values)
    else:
        chosen = _stored(cubes, connection.dialect.name, searcher.compared_alone).where(
            case_file.c.id.in_(among)
        )
        rows = list(connection.execute(chosen, values).all())
    if len(rows) > MOST_CANDIDATES:
        title = "Trop de dossiers pour une recherche par nom."
        raise NotNow(Action.CASE_SEARCH, "too_many_candidates", title, tried={})
    return Candidates(group, rows, _halves(shreds, searcher, group, rows))


def open_candidates(
    searcher: Searcher, candidates: Candidates, only: Container[bytes] | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Each candidate's case and record that the searcher's keys open; `only`: of these cases alone.

    One damaged record must not hide the others: it raises the alarm and is noted in `candidates.damaged`.
    """
    readers: dict[bytes, FrameReader] = {}
    for kek in searcher.keks[candidates.group].values():
        reader = FrameReader(kek, *Column.CASE_GROUP_FRAME.value)
        readers |= dict.fromkeys(key_row_headers(kek.number), reader)
    for case, row, version, dek, generation, frame, _, _ in candidates.rows:  # type: ignore[misc]
        half = candidates.halves.get(case)
        # A key row left at the drop key has the header of none of them.
        found = readers.get(dek[:HEADER_SIZE])
        if (
            half is None
            or found is None
            or is_drop_envelope(frame)
            or (only is not None and case not in only)
        ):
            continue
        try:
            record = found.open(case, generation, dek, half, row, version, frame)
        except CryptoError as error:
            alert(AlertKind.SEALED_DATA_DAMAGED, case=str(UUID(bytes=case)), error=type(error).__name__)
            candidates.damaged.add(case)
            continue
        yield case, record


def pseudonyms(act: Act, cases: Sequence[UUID]) -> dict[UUID, bytes]:
    """The names under which the journal knows these cases' persons; what was erased has none."""
    rows = act.unit.connection.execute(
        select(case_file.c.id, case_file.c.pseudonym_part).where(
            case_file.c.org_id == act.org_id, case_file.c.id.in_(cases)
        )
    ).all()
    halves = act.deployment.shreds.of(act.org_id, cases, (PSEUDONYM,))
    return {
        row.id: pseudonym(bytes(row.pseudonym_part), halves[row.id, PSEUDONYM])
        for row in rows
        if (row.id, PSEUDONYM) in halves
    }


def every_pseudonym(act: Act) -> dict[UUID, bytes]:
    """As `pseudonyms`, of every case of the organisation: two reads, however many there are."""
    query = select(case_file.c.id, case_file.c.pseudonym_part).where(case_file.c.org_id == act.org_id)
    halves = act.deployment.shreds.all_of(act.org_id, PSEUDONYM)
    return {
        case_id: pseudonym(bytes(part), halves[case_id.bytes])
        for case_id, part in act.unit.connection.execute(query)
        if case_id.bytes in halves
    }


def _halves(
    shreds: ShredStore, searcher: Searcher, group: Group, rows: Sequence[Row[Any]]
) -> dict[bytes, bytes]:
    halves = _first_halves(shreds, searcher.org_id, group, rows)
    renewed = [Numbered(UUID(bytes=row.case_id), row.half, row.restricted) for row in rows if row.half != 1]
    if renewed:
        found = renewed_halves(searcher.org_id, shreds, searcher.named, group, renewed)
        halves |= {case.bytes: half for case, half in found.items()}
    return halves


def _first_halves(
    shreds: ShredStore, org_id: UUID, group: Group, rows: Sequence[Row[Any]]
) -> dict[bytes, bytes]:
    if len(rows) > _MANY:
        return shreds.all_of(org_id, group)
    owners = [UUID(bytes=row.case_id) for row in rows]
    return {owner.bytes: half for (owner, _), half in shreds.of(org_id, owners, (group,)).items()}


@lru_cache(maxsize=256)
def _every(cubes: tuple[Cube, ...], dialect: str, compared_alone: bool) -> HotStatement:
    return HotStatement(_stored(cubes, dialect, compared_alone))


def _stored(cubes: tuple[Cube, ...], dialect: str, compared_alone: bool) -> Select[Any]:
    """A group of every case in one of the cubes. Values: org, member, now, group, limit."""
    every = (
        select(
            raw_id(case_group.c.case_id, dialect).label("case_id"),
            raw_id(case_group.c.id, dialect).label("row"),
            case_group.c.version,
            # The driver's own bytes: thousands of rows go no further than to crypto.
            type_coerce(case_group.c.dek, LargeBinary).label("dek"),
            case_group.c.dek_generation,
            type_coerce(case_group.c.frame, LargeBinary).label("frame"),
            case_group.c.half,
            case_file.c.restricted,
        )
        .join_from(
            case_file,
            case_group,
            and_(case_group.c.org_id == case_file.c.org_id, case_group.c.case_id == case_file.c.id),
        )
        .where(
            case_file.c.org_id == bindparam("org", type_=Id),
            matches_any(cubes, case_facts(MEMBER, NOW)),
            case_group.c.compartment == bindparam("group", type_=case_group.c.compartment.type),
            case_group.c.frame.is_not(None),
        )
        .limit(bindparam("limit", type_=Integer))
    )
    return every.where(case_group.c.compared == case_group.c.version) if compared_alone else every


@lru_cache(maxsize=256)
def _cubes(states: frozenset[int]) -> tuple[Cube, ...]:
    return minimise(states)
