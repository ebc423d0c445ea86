"""What the keys of a restricted case need beside the KEK: the part that its named members hold.

Which half of a key stands where in the shred store, and what is laid over it, is known here and in
`casework.rekeying`. An ordinary case never comes here but for its numbers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, delete, insert, select

from casework.act import Act
from casework.alerts import AlertKind, alert
from casework.cases.tables import named_recovery, named_seal
from casework.column_types import Sealed
from casework.shreds import ShredStore, half_purpose
from crypto.directory import Directory
from crypto.errors import CryptoError
from crypto.restriction import Restricting, blind_half, open_named_part, restriction_of
from crypto.secret import Secret
from policies.vocabulary import Group

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Numbered:
    """Which half of its key of a group a case needs, and whether a named part is laid over it."""

    case: UUID
    half: int
    restricted: bool


def named_part(act: Act, case_id: UUID) -> Secret | None:
    """The part of a restricted case's keys that was sealed to the asker; None where she is not named.

    Raises:
        GrantRefused, SealBroken: a seal stands there that no entry of the directory certifies, or another's.

    """
    sealed = act.unit.connection.execute(
        select(named_seal.c.sealed).where(
            named_seal.c.org_id == act.org_id,
            named_seal.c.case_id == case_id,
            named_seal.c.member_id == act.member_id,
        )
    ).scalar_one_or_none()
    if sealed is None:
        return None
    return _open(act, _directory(act), case_id, sealed.blob)


def named_parts(act: Act) -> dict[UUID, Secret]:
    """The parts of every restricted case that the asker is named for; one that does not open raises the alarm."""
    rows = act.unit.connection.execute(
        select(named_seal.c.case_id, named_seal.c.sealed).where(
            named_seal.c.org_id == act.org_id, named_seal.c.member_id == act.member_id
        )
    ).all()
    parts: dict[UUID, Secret] = {}
    for row in rows:
        try:
            part = _open(act, _directory(act), row.case_id, row.sealed.blob)
        except CryptoError as error:
            alert(
                AlertKind.SEALED_DATA_DAMAGED,
                organisation=act.identity.slug,
                case=str(row.case_id),
                error=type(error).__name__,
            )
            continue
        if part is not None:
            parts[row.case_id] = part
    return parts


def halves_of(
    act: Act, case_id: UUID, restricted: bool, halves: Mapping[Group, bytes]
) -> Mapping[Group, bytes]:
    """A case's halves as its keys need them: none where the case is restricted and the asker not named for it."""
    if not restricted:
        return halves
    part = named_part(act, case_id)
    return {group: blind_half(half, part) for group, half in halves.items()} if part is not None else {}


def renewed_halves(
    org_id: UUID, shreds: ShredStore, parts: Mapping[UUID, Secret], group: str, rows: Sequence[Numbered]
) -> dict[UUID, bytes]:
    """The halves of cases whose number is not the first, as their keys need them.

    What the named parts do not reach, and what was erased, is absent.
    """
    purposes = {half_purpose(group, row.half) for row in rows}
    found = shreds.of(org_id, {row.case for row in rows}, purposes)
    halves = {}
    for row in rows:
        half = found.get((row.case, half_purpose(group, row.half)))
        part = parts.get(row.case)
        if half is not None and not row.restricted:
            halves[row.case] = half
        elif half is not None and part is not None:
            halves[row.case] = blind_half(half, part)
    return halves


def lay_open(act: Act, rows: Sequence[Any], shreds: dict[tuple[UUID, str], bytes]) -> frozenset[UUID]:
    """Put into `shreds` the halves of identities whose keys were renewed; returns the cases closed to the asker.

    A row has id, half and restricted.
    """
    parts = named_parts(act) if any(row.restricted for row in rows) else {}
    numbered = [Numbered(row.id, row.half, bool(row.restricted)) for row in rows]
    halves = renewed_halves(act.org_id, act.deployment.shreds, parts, Group.IDENTITY, numbered)
    shreds |= {(case, Group.IDENTITY): half for case, half in halves.items()}
    return frozenset(row.id for row in rows if row.restricted and row.id not in parts)


def has_restricted_cases(act: Act) -> bool:
    """Whether any case of the organisation is restricted."""
    one = select(named_recovery.c.case_id).where(named_recovery.c.org_id == act.org_id).limit(1)
    return act.unit.connection.execute(one).first() is not None


def who_is_named(directory: Directory, case_id: UUID) -> Collection[UUID]:
    """Whom the directory names for a case and who still has the keys under which she was named."""
    restriction = restriction_of(directory, case_id.bytes)
    if restriction is None:
        return ()
    return [
        UUID(bytes=member)
        for member, seal in sorted(restriction.named.items())
        if member in directory.members and directory.members[member].fingerprint == seal.member_key_fp
    ]


def store_seals(connection: Connection, org_id: UUID, case_id: UUID, made: Restricting) -> None:
    """Put a case's seals in the place of those that were."""
    forget_seals(connection, org_id, case_id)
    own = {"org_id": org_id, "case_id": case_id}
    connection.execute(
        insert(named_seal),
        [
            {**own, "member_id": UUID(bytes=member), "sealed": Sealed(sealed)}
            for member, sealed in made.seals.items()
        ],
    )
    connection.execute(insert(named_recovery).values(**own, sealed=Sealed(made.recovery)))


def forget_seals(connection: Connection, org_id: UUID, case_id: UUID) -> None:
    for table in (named_seal, named_recovery):
        connection.execute(delete(table).where(table.c.org_id == org_id, table.c.case_id == case_id))


def _directory(act: Act) -> Directory:
    # Fresh: who was named or taken away at another process is known here at once.
    return act.deployment.directories.fresh(act.unit, act.org_id)


def _open(act: Act, directory: Directory, case_id: UUID, sealed: bytes) -> Secret | None:
    keys = act.session.keys
    restriction = restriction_of(directory, case_id.bytes)
    named = restriction.named.get(keys.member) if restriction is not None else None
    certified = directory.members.get(keys.member)
    if named is not None and certified is not None and certified.fingerprint != named.member_key_fp:
        # Her keys were made anew since: she waits for a named colleague.
        return None
    return open_named_part(directory, case_id.bytes, sealed, keys.member, keys.daily_private)
