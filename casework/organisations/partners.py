"""Other organisations, as this one knows them: a root it compared once, and the signed chain that leads from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from casework.errors import bad_field
from casework.organisations.tables import key_directory, partner
from crypto.directory import Directory, Floor, verify_directory
from crypto.directory_entries import DirectoryEntry


def encode_chain(entries: list[DirectoryEntry]) -> bytes:
    """A directory's entries as one value: what a card shows and a packet carries."""
    return msgspec.msgpack.encode([entry.to_bytes() for entry in entries])


def decode_chain(chain: bytes) -> list[DirectoryEntry]:
    return [DirectoryEntry.from_bytes(raw) for raw in msgspec.msgpack.decode(chain, type=list[bytes])]


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


def find_partner(connection: Connection, org_id: UUID, slug: str, now: datetime) -> Partner:
    """The partner of this slug.

    Raises:
        BadInput: there is none, or its card is out of date.
        DirectoryRefused: the stored chain does not lead to the compared root, or was rolled back.

    """
    row = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.slug == slug)
    ).one_or_none()
    if row is None:
        raise bad_field("to", "unknown_partner")
    if now >= row.valid_until:
        raise bad_field("to", "card_expired")
    return _verified(row, bytes(row.chain))


def own_chain(connection: Connection, org_id: UUID) -> bytes:
    """This organisation's directory as a packet carries it."""
    rows = connection.execute(
        select(key_directory.c.entry).where(key_directory.c.org_id == org_id).order_by(key_directory.c.epoch)
    )
    return msgspec.msgpack.encode([bytes(entry) for entry in rows.scalars()])


def partner_slugs(connection: Connection, org_id: UUID) -> dict[UUID, str]:
    rows = connection.execute(select(partner.c.partner_id, partner.c.slug).where(partner.c.org_id == org_id))
    return {row[0]: row[1] for row in rows}


def verify_sender(connection: Connection, org_id: UUID, sender_id: UUID, chain: bytes) -> Directory:
    """The sender's directory as a packet carries it, held against the root and the state seen before.

    A newer chain than the one stored is remembered.

    Raises:
        BadInput: this organisation has compared no card of the sender.
        DirectoryRefused: another root, a broken chain, or an older state than already seen.

    """
    row = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.partner_id == sender_id)
    ).one_or_none()
    if row is None:
        raise bad_field("from", "unknown_partner")
    verified = _verified(row, chain)
    if verified.directory.epoch > row.epoch:
        connection.execute(
            update(partner)
            .where(partner.c.org_id == org_id, partner.c.partner_id == sender_id)
            .values(epoch=verified.directory.epoch, head=verified.directory.head, chain=chain)
        )
    return verified.directory


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


def _verified(row: Row[Any], chain: bytes) -> Partner:
    floor = Floor(row.epoch, bytes(row.head))
    directory = verify_directory(
        row.partner_id.bytes, decode_chain(chain), bytes(row.root_fingerprint), floor
    )
    return Partner(row.partner_id, row.slug, row.name, directory)
