"""Other organisations, as this one knows them: a root it compared once, and the signed chain that leads from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Integer, LargeBinary, Row, column, func, insert, select, update

from casework.errors import bad_field
from casework.keyring import Directories
from casework.organisations.tables import key_directory, partner
from crypto.directory import Directory, Floor, verify_directory
from crypto.directory_entries import DirectoryEntry
from crypto.errors import DirectoryFault, DirectoryRefused
from policies.sources import NotAnOrganisation, require_slug


def encode_chain(entries: list[DirectoryEntry]) -> bytes:
    """A directory's entries as one value: what a card shows and a packet carries."""
    return msgspec.msgpack.encode([entry.to_bytes() for entry in entries])


def decode_chain(chain: bytes) -> list[DirectoryEntry]:
    """Raises DirectoryRefused for bytes that are no chain."""
    try:
        entries = msgspec.msgpack.decode(chain, type=list[bytes])
    except msgspec.MsgspecError:
        raise DirectoryRefused(DirectoryFault.MALFORMED) from None
    return [DirectoryEntry.from_bytes(raw) for raw in entries]


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner organisation whose chain was verified down to the root that this organisation compared."""

    id: UUID
    slug: str
    name: str
    directory: Directory

    def takes(self, group: str) -> bool:
        """Whether somebody there holds the group: what is sealed to no one would be lost."""
        return any(self.directory.holds(member, group) for member in self.directory.members)


def find_partner(
    connection: Connection, directories: Directories, org_id: UUID, slug: str, now: datetime
) -> Partner:
    """The partner of this slug.

    Raises:
        BadInput: there is none, or its card is out of date.
        DirectoryRefused: the stored chain does not lead to the compared root, or was rolled back.

    """
    try:
        # What is no slug may be anything: a database's log may show what is looked for.
        require_slug(slug)
    except NotAnOrganisation:
        raise bad_field("to", "unknown_partner") from None
    row = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.slug == slug)
    ).one_or_none()
    if row is None:
        raise bad_field("to", "unknown_partner")
    if now >= row.valid_until:
        raise bad_field("to", "card_expired")
    return _newest(connection, directories, row)


def partner_of(connection: Connection, directories: Directories, org_id: UUID, partner_id: UUID) -> Partner:
    """A partner whose handoff this organisation holds; its card may have run out.

    Raises:
        DirectoryRefused: no such partner, or its stored chain is not its own.

    """
    row = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.partner_id == partner_id)
    ).one_or_none()
    if row is None:
        raise DirectoryRefused(DirectoryFault.NO_ROOT)
    return _newest(connection, directories, row)


def own_chain(connection: Connection, org_id: UUID) -> bytes:
    """This organisation's directory as a packet carries it."""
    rows = connection.execute(
        select(key_directory.c.entry).where(key_directory.c.org_id == org_id).order_by(key_directory.c.epoch)
    )
    return msgspec.msgpack.encode([bytes(entry) for entry in rows.scalars()])


def partner_slugs(connection: Connection, org_id: UUID) -> dict[UUID, str]:
    rows = connection.execute(select(partner.c.partner_id, partner.c.slug).where(partner.c.org_id == org_id))
    return {row[0]: row[1] for row in rows}


def signing_key_of(
    connection: Connection,
    directories: Directories,
    org_id: UUID,
    sender_id: UUID,
    chain: bytes,
    signer_id: UUID,
) -> bytes:
    """The public signing key of a packet's signer, as the chain that the packet carries certifies it.

    A newer chain than the one stored is remembered. An older one is good where the stored one continues it (a
    later packet may have been opened first) and the signer's key still stands in the newest.

    Raises:
        DirectoryRefused: an unknown sender or signer, another root, a broken chain, or another history.

    """
    row = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.partner_id == sender_id)
    ).one_or_none()
    if row is None:
        raise DirectoryRefused(DirectoryFault.NO_ROOT)
    carried = verify_directory(sender_id.bytes, decode_chain(chain), directories.root(sender_id), None)
    newest = carried
    if chain != bytes(row.chain):
        known = _verified(directories, row, bytes(row.chain)).directory
        if carried.epoch <= known.epoch:
            known.require_floor(carried.floor)
            newest = known
        else:
            carried.require_floor(known.floor)
            _remember_chain(connection, row, chain, carried)
    keys = [directory.members.get(signer_id.bytes) for directory in (carried, newest)]
    if None in keys or keys[0] != keys[1]:
        raise DirectoryRefused(DirectoryFault.UNKNOWN_SIGNER)
    return newest.members[signer_id.bytes].signing_public


def _remember_chain(connection: Connection, row: Row[Any], chain: bytes, directory: Directory) -> None:
    connection.execute(
        update(partner)
        .where(partner.c.org_id == row.org_id, partner.c.partner_id == row.partner_id)
        .values(epoch=directory.epoch, head=directory.head, chain=chain)
    )


def remember_partner(
    connection: Connection,
    org_id: UUID,
    *,
    partner_id: UUID,
    slug: str,
    name: str,
    root_fingerprint: bytes,
    chain: bytes,
    valid_until: datetime,
) -> None:
    """Store a card whose root fingerprint was compared out of band.

    Raises:
        DirectoryRefused: the chain does not lead to that root.

    """
    directory = verify_directory(partner_id.bytes, decode_chain(chain), root_fingerprint, None)
    connection.execute(
        insert(partner).values(
            org_id=org_id,
            partner_id=partner_id,
            slug=slug,
            name=name,
            root_fingerprint=root_fingerprint,
            epoch=directory.epoch,
            head=directory.head,
            chain=chain,
            valid_until=valid_until,
        )
    )


def _newest(connection: Connection, directories: Directories, row: Row[Any]) -> Partner:
    """The partner with what its directory says now: to a drop key that it has destroyed nothing must be sealed.

    What is newer than the stored chain continues it, or is refused; then it is remembered. What is older than what
    the partner's own members saw committed was put back, and is refused as it is there.
    """
    # First the floor: what it names was committed before, so this unit must find it.
    floor = directories.floor(row.partner_id)
    if connection.dialect.name == "postgresql":
        columns = (column("epoch", Integer), column("entry", LargeBinary))
        found = func.partner_entries(row.partner_id).table_valued(*columns)
        later = select(found.c.entry).order_by(found.c.epoch)
    else:
        newer = (key_directory.c.org_id == row.partner_id, key_directory.c.epoch > row.epoch)
        later = select(key_directory.c.entry).where(*newer).order_by(key_directory.c.epoch)
    entries = [DirectoryEntry.from_bytes(bytes(entry)) for entry in connection.execute(later).scalars()]
    chain = bytes(row.chain)
    if entries:
        chain = encode_chain([*decode_chain(chain), *entries])
    partner = _verified(directories, row, chain)
    partner.directory.require_floor(floor)
    if entries:
        _remember_chain(connection, row, chain, partner.directory)
    return partner


def _verified(directories: Directories, row: Row[Any], chain: bytes) -> Partner:
    # The root is the one remembered outside the database: a row that names another redirects nothing.
    floor = Floor(row.epoch, bytes(row.head))
    directory = verify_directory(
        row.partner_id.bytes, decode_chain(chain), directories.root(row.partner_id), floor
    )
    return Partner(row.partner_id, row.slug, row.name, directory)
