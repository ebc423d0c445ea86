"""What of an organisation's cases can be verified without a key: the form of their keys, and their versions."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from casework.cases.tables import case_file, case_group
from casework.shreds import PSEUDONYM, half_purpose
from crypto.dek import require_dek_row
from crypto.errors import CryptoError
from policies.vocabulary import Group


@dataclass(frozen=True, slots=True)
class Soundness:
    """Of `cases`, how many lack a group's row, have a malformed key, or a half that is not in the shred store.

    `with_old_half`: of how many an earlier half is still there, that a renewal was to destroy.
    """

    cases: int
    incomplete: int
    malformed: int
    without_half: int
    with_old_half: int


def inspect_cases(connection: Connection, org_id: UUID, halves: AbstractSet[tuple[UUID, str]]) -> Soundness:
    """Look at every case of the organisation; `halves` are those of its shred store."""
    cases = set(connection.execute(select(case_file.c.id).where(case_file.c.org_id == org_id)).scalars())
    groups: dict[UUID, set[str]] = {case: set() for case in cases}
    malformed: set[UUID] = set()
    needed = {case: {PSEUDONYM} for case in cases}
    rows = connection.execute(
        select(case_group.c.case_id, case_group.c.compartment, case_group.c.dek, case_group.c.half).where(
            case_group.c.org_id == org_id
        )
    )
    for case, compartment, dek, half in rows:
        groups[case].add(compartment)
        needed[case].add(half_purpose(compartment, half))
        try:
            require_dek_row(dek.blob)
        except CryptoError:
            malformed.add(case)
    every = {str(group) for group in Group}
    return Soundness(
        cases=len(cases),
        incomplete=sum(found != every for found in groups.values()),
        malformed=len(malformed),
        without_half=sum(
            any((case, purpose) not in halves for purpose in purposes) for case, purposes in needed.items()
        ),
        with_old_half=sum(
            any((case, purpose) in halves for purpose in purposes)
            for case, purposes in renewed_halves(connection, org_id).items()
        ),
    )


def renewed_halves(connection: Connection, org_id: UUID) -> dict[UUID, set[str]]:
    """Of each case whose keys were renewed, under which purposes the halves from before are to be destroyed."""
    query = select(case_group.c.case_id, case_group.c.compartment, case_group.c.half).where(
        case_group.c.org_id == org_id, case_group.c.half > 1
    )
    found: dict[UUID, set[str]] = {}
    for case_id, compartment, half in connection.execute(query):
        older = {half_purpose(compartment, number) for number in range(1, half)}
        found.setdefault(case_id, set()).update(older)
    return found


def pseudonym_parts(connection: Connection, org_id: UUID) -> dict[UUID, bytes]:
    """Of each case, the half of its person's pseudonym that lies beside it."""
    query = select(case_file.c.id, case_file.c.pseudonym_part).where(case_file.c.org_id == org_id)
    return {case_id: bytes(part) for case_id, part in connection.execute(query)}


def stored_versions(connection: Connection, org_id: UUID) -> Iterator[tuple[UUID, UUID, int]]:
    """(case, row, version) of every case and every group as they stand now."""
    for query in (
        select(case_file.c.id, case_file.c.id, case_file.c.version).where(case_file.c.org_id == org_id),
        select(case_group.c.case_id, case_group.c.id, case_group.c.version).where(
            case_group.c.org_id == org_id
        ),
    ):
        yield from connection.execute(query)
