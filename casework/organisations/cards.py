"""Cards: what an organisation hands to another, so that the other can verify whatever it signs.

A card is public and proves nothing by itself: it counts once its root's fingerprint was compared by other means
(by telephone, on paper) with the one that the organisation was given at its founding.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, update

from casework.organisations.partners import decode_chain, own_chain, remember_partner
from casework.organisations.tables import organisation, partner
from crypto.directory import Floor, verify_directory
from crypto.errors import DirectoryFault, DirectoryRefused


class CardFault(StrEnum):
    """Why a card is refused."""

    MALFORMED = "malformed"
    OTHER_ROOT = "other_root"
    OTHER_ORGANISATION = "other_organisation"
    OWN = "own"
    ROLLED_BACK = "rolled_back"


class CardRefused(Exception):
    """The card is not stored; `fault` says why."""

    def __init__(self, fault: CardFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The organisation's id, the names it goes by, and its signed directory (base64 in JSON)."""

    id: UUID
    slug: str
    name: str
    chain: bytes
    v: int = 1

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @staticmethod
    def from_json(raw: bytes) -> "Card":
        """Read a card's form; its chain is not verified by this.

        Raises:
            CardRefused: not a card of version 1.

        """
        try:
            card = msgspec.json.decode(raw, type=Card)
        except (ValueError, RecursionError):
            raise CardRefused(CardFault.MALFORMED) from None
        if card.v != 1:
            raise CardRefused(CardFault.MALFORMED)
        return card


def own_card(connection: Connection, org_id: UUID) -> Card:
    """The card of an organisation of this deployment."""
    found = connection.execute(
        select(organisation.c.slug, organisation.c.name).where(organisation.c.id == org_id)
    ).one()
    return Card(id=org_id, slug=found.slug, name=found.name, chain=own_chain(connection, org_id))


def accept_card(
    connection: Connection, org_id: UUID, card: Card, root_fingerprint: bytes, valid_until: datetime
) -> None:
    """Store another organisation's card, or renew one, after its root was compared.

    Raises:
        CardRefused: the card's chain does not lead to that root, or is older than the one accepted before; or
            the card gives to an organisation of this deployment another one's slug.

    """
    if card.id == org_id:
        raise CardRefused(CardFault.OWN)
    _require_own_name(connection, card)
    known = connection.execute(
        select(partner).where(partner.c.org_id == org_id, partner.c.partner_id == card.id)
    ).one_or_none()
    floor = Floor(known.epoch, bytes(known.head)) if known is not None else None
    try:
        directory = verify_directory(card.id.bytes, decode_chain(card.chain), root_fingerprint, floor)
    except DirectoryRefused as error:
        raise CardRefused(_FAULTS.get(error.fault, CardFault.MALFORMED)) from None
    if known is None:
        remember_partner(
            connection,
            org_id,
            partner_id=card.id,
            slug=card.slug,
            name=card.name,
            root_fingerprint=root_fingerprint,
            chain=card.chain,
            valid_until=valid_until,
        )
        return
    if bytes(known.root_fingerprint) != root_fingerprint:
        raise CardRefused(CardFault.OTHER_ROOT)
    if known.slug != card.slug:
        raise CardRefused(CardFault.OTHER_ORGANISATION)
    connection.execute(
        update(partner)
        .where(partner.c.org_id == org_id, partner.c.partner_id == card.id)
        .values(
            name=card.name,
            epoch=directory.epoch,
            head=directory.head,
            chain=card.chain,
            valid_until=valid_until,
        )
    )


_FAULTS = {
    DirectoryFault.WRONG_ROOT: CardFault.OTHER_ROOT,
    DirectoryFault.WRONG_ORGANISATION: CardFault.OTHER_ROOT,
    DirectoryFault.ROLLED_BACK: CardFault.ROLLED_BACK,
}


def _require_own_name(connection: Connection, card: Card) -> None:
    """The slug is not signed: of an organisation of this deployment it must be the one that it has here."""
    rows = connection.execute(
        select(organisation.c.id, organisation.c.slug).where(
            (organisation.c.id == card.id) | (organisation.c.slug == card.slug)
        )
    )
    if any((found.id, found.slug) != (card.id, card.slug) for found in rows):
        raise CardRefused(CardFault.OTHER_ORGANISATION)
