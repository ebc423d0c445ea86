"""Maps rows to crypto: verified directories, and the keys that one session holds.

Nothing here decides what may be read. A key that is not in the keyring cannot be conjured by any policy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Connection, bindparam, func, select

from casework.alerts import AlertKind, alert
from casework.anchors import AnchorMissing, Anchors
from casework.database import UnitOfWork
from casework.organisations.tables import drop_key, key_directory, key_grant
from casework.statements import run_hot
from crypto.dek import CaseKey, adopt_dek, dek_row_key_number, unwrap_dek
from crypto.directory import Directory, Floor, verify_directory
from crypto.directory_entries import DirectoryEntry
from crypto.drop import DropPrivate, DropPublic, unwrap_drop_private
from crypto.errors import DirectoryFault, DirectoryRefused
from crypto.grant import open_grant
from crypto.kek import Kek
from crypto.session import SessionKeys

log = structlog.get_logger(__name__)

_LOCK = bindparam("lock", type_=BigInteger)
_SHARED = select(func.pg_advisory_xact_lock_shared(_LOCK).label("locked"))
_EXCLUSIVE = select(func.pg_advisory_xact_lock(_LOCK).label("locked"))


def lock_keys(connection: Connection, org_id: UUID, *, shared: bool) -> None:
    """Hold an organisation's KEKs as they are until the unit ends: shared to use them, alone to change them.

    On SQLite one unit writes at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(sha256(b"csm/keys-lock" + org_id.bytes).digest()[:8], signed=True)
        run_hot(connection, _SHARED if shared else _EXCLUSIVE, {"lock": number})


class Directories:
    """Each organisation's verified key directory, verified once and extended by what is new.

    What a unit finds is remembered, here and in the state directory, once it is durably committed: it may be an
    entry of the unit itself, or on SQLite of another of the same commit. A floor raised for a commit that failed
    would lock the organisation out.
    """

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._known: dict[UUID, Directory] = {}
        # What was verified last, committed or not: a verification is true of the entries and of no database.
        self._verified: dict[UUID, Directory] = {}

    def root(self, org_id: UUID) -> bytes:
        """The fingerprint of an organisation's root, from outside the database.

        Raises:
            AnchorMissing: the state directory does not know the organisation.

        """
        return self._anchors.root(org_id)

    def floor(self, org_id: UUID) -> Floor:
        """The newest state of an organisation's directory that some process of the machine saw committed.

        Raises:
            AnchorMissing: the state directory does not know the organisation.

        """
        return self._anchors.floor(org_id)

    def known(self, unit: UnitOfWork, org_id: UUID) -> Directory:
        """The directory as this process last saw it, unless some process of the machine has seen a newer one.

        Raises:
            AnchorMissing, DirectoryRefused: as `fresh`.

        """
        known = self._known.get(org_id)
        if known is not None and known.contains(self._anchors.floor(org_id)):
            return known
        return self.fresh(unit, org_id)

    def fresh(self, unit: UnitOfWork, org_id: UUID) -> Directory:
        """The directory with every entry of the database, verified back to the root.

        Raises:
            AnchorMissing: the state directory does not know the organisation.
            DirectoryRefused: an entry is not entitled, or the database was rolled back.

        """
        # First the floor: what it names was committed before, so this unit must find it.
        floor = self._anchors.floor(org_id)
        known = self._known.get(org_id)
        # The last one that is known too: its row must still be there.
        query = (
            select(key_directory.c.entry)
            .where(key_directory.c.org_id == org_id, key_directory.c.epoch >= (known.epoch if known else 1))
            .order_by(key_directory.c.epoch)
        )
        # All rows before the first check: a refusal halfway would leave the writer's cursor open.
        rows = unit.connection.execute(query).scalars().all()
        entries = [DirectoryEntry.from_bytes(bytes(row)) for row in rows]
        directory = self._verify(org_id, known, entries)
        directory.require_floor(floor)
        if directory is not known:
            self.remember(unit, directory)
        return directory

    def remember(self, unit: UnitOfWork, directory: Directory) -> None:
        """Know a directory that the unit has read, or has appended to, once it is durably committed."""
        unit.on_commit(partial(self._remember, directory), about=("directory", directory.org))

    def drop(self, unit: UnitOfWork, org_id: UUID, compartment: str) -> DropPublic:
        """The certified public drop key of a compartment: whoever writes without reading seals to it."""
        return self.known(unit, org_id).compartments[compartment].drop

    def _verify(self, org_id: UUID, known: Directory | None, entries: Sequence[DirectoryEntry]) -> Directory:
        heads = tuple(entry.hash for entry in entries)
        if known is not None:
            if heads[:1] != (known.head,):
                raise DirectoryRefused(DirectoryFault.ROLLED_BACK)
            if len(heads) == 1:
                return known
            heads = (*known.heads, *heads[1:])
        verified = self._verified.get(org_id)
        if verified is not None and verified.heads == heads:
            return verified
        if known is None:
            directory = verify_directory(org_id.bytes, entries, self._anchors.root(org_id), None)
        else:
            directory = known.extend(entries[1:])
        self._verified[org_id] = directory
        return directory

    def _remember(self, directory: Directory) -> None:
        org_id = UUID(bytes=directory.org)
        known = self._known.get(org_id)
        if known is not None and known.epoch >= directory.epoch:
            return
        try:
            self._anchors.raise_floor(org_id, directory.floor)
        except (OSError, AnchorMissing) as error:
            # It is committed and cannot be undone. What is not known here the next unit reads, and tries again.
            alert(AlertKind.FLOOR_NOT_RAISED, org=str(org_id), error=type(error).__name__)
            return
        self._known[org_id] = directory


def open_grants(connection: Connection, directory: Directory, keys: SessionKeys) -> tuple[Kek, ...]:
    """Every KEK that the member's standing grants give her and `keys` does not hold yet.

    Raises:
        GrantRefused: a row of the database is not what the directory certifies.

    """
    member = UUID(bytes=keys.member)
    rows = connection.execute(
        select(key_grant.c.epoch, key_grant.c.compartment, key_grant.c.kek_no, key_grant.c.sealed)
        .where(key_grant.c.org_id == UUID(bytes=keys.org), key_grant.c.member_id == member)
        .order_by(key_grant.c.epoch)
    ).all()
    standing = {grant.epoch for grant in directory.grants_of(keys.member)}
    held = {(kek.group, kek.number) for kek in keys.keks}
    return tuple(
        open_grant(directory, row.epoch, row.sealed.blob, keys.member, keys.daily_private)
        for row in rows
        if row.epoch in standing and (row.compartment, row.kek_no) not in held
    )


class Keyring:
    """The keys of one session, for the length of one unit of work.

    `keep` is called with the session's keys where grants made since it began were opened, so that they are opened
    once a session and not once a request.
    """

    def __init__(
        self,
        unit: UnitOfWork,
        directories: Directories,
        keys: SessionKeys,
        keep: Callable[[SessionKeys], None] | None = None,
    ) -> None:
        self._unit = unit
        self._directories = directories
        self._keys = keys
        self._keep = keep
        self._org_id = UUID(bytes=keys.org)
        self._keks: dict[str, dict[int, Kek]] = {}
        self._drops: dict[tuple[str, int], DropPrivate] = {}
        self._locked: Directory | None = None
        self._is_newest = False
        self._minimum = directories.known(unit, self._org_id).case_minimum
        self._add(keys.keks)

    def current_kek(self, compartment: str) -> Kek | None:
        """The KEK under which a new key is wrapped, or None where the session does not hold it.

        It is the database's current one, and stays so until the unit ends: under a KEK that was rotated meanwhile,
        at another process perhaps, the new key would be lost with it.
        """
        if self._locked is None:
            lock_keys(self._unit.connection, self._org_id, shared=True)
            self._locked = self._directories.fresh(self._unit, self._org_id)
        return self.kek(compartment, self._locked.compartments[compartment].kek_no)

    def holds(self, compartment: str) -> bool:
        return bool(self._of(compartment))

    def kek(self, compartment: str, number: int) -> Kek | None:
        """The KEK of this number, or None where the session does not hold it."""
        held = self._keks.get(compartment)
        found = held.get(number) if held is not None else None
        if found is not None or self._is_newest:
            return found
        return self.newest_keks_of(compartment).get(number)

    def newest_keks_of(self, compartment: str) -> Mapping[int, Kek]:
        """Every KEK held of a compartment by its number, whatever was granted since the session began included."""
        if not self._is_newest:
            self._is_newest = True
            self._open_anew(self._directories.fresh(self._unit, self._org_id))
        return self._keks.get(compartment, {})

    def case_key(
        self, compartment: str, case: UUID, generation: int, row: bytes, shred: bytes
    ) -> CaseKey | None:
        """The key of one case and group, or None where the session holds no key for the compartment.

        Raises:
            SealBroken: the row belongs to another case, group or organisation, or was altered.

        """
        kek = self.kek(compartment, dek_row_key_number(row))
        return unwrap_dek(kek, case.bytes, generation, row, shred) if kek is not None else None

    def adopt(self, compartment: str, case: UUID, generation: int, dropped: bytes) -> bytes | None:
        """A key row that was sealed to the drop key, now under the KEK; None where that is not held."""
        kek, drop = self.current_kek(compartment), self.drop_private(compartment, dek_row_key_number(dropped))
        if kek is None or drop is None:
            return None
        return adopt_dek(drop, kek, case.bytes, generation, dropped)

    def drop_private(self, compartment: str, number: int) -> DropPrivate | None:
        """The private half of a compartment's drop key, or None where the session may not have it."""
        known = self._drops.get((compartment, number))
        if known is not None:
            return known
        row = self._unit.connection.execute(
            select(drop_key.c.kek_no, drop_key.c.public, drop_key.c.private).where(
                drop_key.c.org_id == self._org_id,
                drop_key.c.compartment == compartment,
                drop_key.c.number == number,
            )
        ).one_or_none()
        kek = self.kek(compartment, row.kek_no) if row is not None else None
        if row is None or kek is None:
            return None
        opened = unwrap_drop_private(kek, number, bytes(row.public), row.private.blob)
        self._drops[compartment, number] = opened
        return opened

    def _of(self, compartment: str) -> Mapping[int, Kek]:
        """What is held of a compartment; on the first miss, grants made since sign-in are opened too."""
        return self._keks.get(compartment) or self.newest_keks_of(compartment)

    def _open_anew(self, directory: Directory) -> None:
        """Open what was granted since the session's keys were sealed; what was retired is kept no longer."""
        self._minimum = directory.case_minimum
        found = open_grants(self._unit.connection, directory, self._keys)
        if not found:
            return
        self._add(found)
        if self._keep is not None:
            live = tuple(
                kek for kek in (*self._keys.keks, *found) if (kek.group, kek.number) in directory.kids
            )
            self._keep(replace(self._keys, keks=live))

    def _add(self, keks: tuple[Kek, ...]) -> None:
        for kek in keks:
            held = kek if kek.minimum == self._minimum else replace(kek, minimum=self._minimum)
            self._keks.setdefault(kek.group, {})[kek.number] = held
