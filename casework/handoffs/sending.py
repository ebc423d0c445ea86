"""Sending: the frozen content, sealed group by group to the receiver's published keys."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from casework.access import Access, OpenedCase
from casework.act import Act
from casework.columns import Column
from casework.consents.service import Consent, consent_of
from casework.errors import NotNow
from casework.follow_ups.service import versions_now
from casework.handoffs.both_sides import find, make_move, record_both, seal_to_partner
from casework.handoffs.drafting import FrozenGroup, SealedHeader, frozen_groups
from casework.handoffs.envelopes import Handoff, consent_facts, not_now, require, require_readable
from casework.handoffs.moves import Delivery, Move, Part
from casework.handoffs.packet import EMPTY, Header, digest_of, encode_part
from casework.handoffs.schemas import Sent
from casework.handoffs.states import Side
from casework.journal import Deed, Touched
from casework.organisations.partners import Partner, find_partner, own_chain
from crypto.handoff import PartAddress, new_salt, seal_part
from crypto.signing import SigningKey
from policies.vocabulary import Action, Group, Stage


def send(act: Act, handoff_id: UUID) -> Sent:
    """Seal the frozen content to the receiver's keys and put it on her side.

    The sources are read again: what moved since the draft needs a new preview and a new consent.

    Raises:
        NotNow: no consent, another state, or a source that moved.
        Forbidden: no step-up, or the policies refuse.

    """
    found = find(act, handoff_id, Action.HANDOFF_SEND)
    require_readable(act, found, Action.HANDOFF_SEND)
    given = consent_of(act, handoff_id)
    if found.side is not Side.SENDER or found.case_id is None or found.stage is not Stage.CONSENTED:
        needed = found.side is Side.SENDER and found.stage is Stage.DRAFT
        raise _not_now(found, "consent_needed" if needed else "wrong_state")
    if given is None or not given.is_live(act.unit.now):
        raise _not_now(found, "consent_not_live", "L’accord a été retiré ou a expiré.")
    signing = act.require_signing_key(Action.HANDOFF_SEND)
    groups = frozenset(found.header.groups) if found.header is not None else frozenset()
    policies = require(act, found, Action.HANDOFF_SEND, consent_facts(act, found, given, groups))
    opened = Access(act).open_case(found.case_id, action="handoff.prepare")
    header, frozen = _frozen(act, opened, found)
    _require_sources_unmoved(act, opened, found, frozen)
    partner = find_partner(
        act.unit.connection, act.deployment.directories, act.org_id, found.partner_slug, act.unit.now
    )
    content = Header(found.row.kind, header.service, header.purpose, found.row.urgency)
    parts = _seal_parts(act, found, given, partner, content, frozen, signing)
    delivery = Delivery(
        consent_id=given.id,
        signer_id=act.member_id,
        envelope=seal_to_partner(partner, Column.HANDOFF_ENVELOPE, handoff_id, msgspec.json.encode(header)),
        chain=own_chain(act.unit.connection, act.org_id),
        parts=parts,
    )
    make_move(act, found, Action.HANDOFF_SEND, Move(Stage.SENT, delivery=delivery))
    record_both(
        act,
        found,
        Deed(
            "handoff.send",
            policies=policies,
            consent=given.id,
            handoff=handoff_id,
            touched=(Touched(opened.loaded.pseudonym, ((handoff_id.bytes, 1),)),),
            detail={"groups": sorted(header.groups)},
        ),
        "handoff.arrive",
    )
    return Sent(Stage.SENT)


def review_sending(act: Act, handoff_id: UUID) -> Sent:
    """What `send` answered, rebuilt for a replay."""
    found = find(act, handoff_id, Action.HANDOFF_SEND)
    require(act, found, Action.HANDOFF_READ)
    act.record(Deed("handoff.read", handoff=handoff_id))
    return Sent(found.stage)


def _frozen(act: Act, opened: OpenedCase, found: Handoff) -> tuple[SealedHeader, dict[Group, FrozenGroup]]:
    """The header and every chosen group; whoever sends must be able to read all that she sends.

    Raises:
        NotNow: a group that the sender may not read, or a draft that is not what its digest says.

    """
    header = found.header
    frozen = frozen_groups(act, opened, found.id)
    if header is None or set(header.groups) != set(frozen):
        raise _not_now(found, "not_readable", "Vous ne pouvez pas lire tout ce qui serait transmis.")
    content = Header(found.row.kind, header.service, header.purpose, found.row.urgency)
    salted = {group: (part.salt, part.manifest) for group, part in frozen.items()}
    if digest_of(content, act.org_id, found.row.partner_id, salted)[0] != bytes(found.row.content_digest):
        raise _not_now(found, "digest_mismatch", "Le contenu n’est plus celui de l’aperçu.")
    return header, frozen


def _not_now(found: Handoff, code: str, title: str | None = None) -> NotNow:
    return not_now(found, Action.HANDOFF_SEND, code, title)


def _require_sources_unmoved(
    act: Act, opened: OpenedCase, found: Handoff, frozen: Mapping[Group, FrozenGroup]
) -> None:
    """Compare every version that was read for the draft with the one that stands now.

    Raises:
        NotNow: one moved since: the person consented to something else than what would be sent.

    """
    follow_ups = {UUID(source) for part in frozen.values() for source in part.sources}
    now = versions_now(act, sorted(follow_ups))
    for group, part in frozen.items():
        moved = [source for source, version in part.sources.items() if now.get(UUID(source)) != version]
        if moved or opened.version_of(group) != part.version:
            raise _not_now(
                found, "source_changed", "Le dossier a changé depuis l’aperçu : faites-en un nouveau."
            )


def _seal_parts(
    act: Act,
    found: Handoff,
    given: Consent,
    partner: Partner,
    content: Header,
    frozen: Mapping[Group, FrozenGroup],
    signing: SigningKey,
) -> tuple[Part, ...]:
    """A part for every group that somebody there holds; empty ones too, so that no row tells what is sent."""
    salted = {group: (part.salt, part.manifest) for group, part in frozen.items()}
    _, macs = digest_of(content, act.org_id, partner.id, salted)
    parts = []
    for group in Group:
        if not partner.takes(group):
            continue
        compartment = partner.directory.compartments[group]
        address = PartAddress(
            handoff=found.id.bytes,
            sender_org=act.org_id.bytes,
            receiver_org=partner.id.bytes,
            group=group,
            consent=given.id.bytes,
            content_digest=given.content_digest,
            expiry=int(given.expires_at.timestamp()),
        )
        salt, manifest = salted.get(group, (new_salt(), EMPTY))
        payload = encode_part(content, macs, manifest)
        sealed = seal_part(address, compartment.drop, payload, salt, signing)
        parts.append(Part(group, compartment.drop.number, sealed))
    return tuple(parts)
