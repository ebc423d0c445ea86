"""Consent, cancellation, withdrawal, and the two boxes."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from casework.access import Access
from casework.act import Act
from casework.consents.schemas import ConsentRecorded, NewConsent, Withdrawal, Withdrawn
from casework.consents.service import consent_of, find_consent, record_consent, withdraw_consent
from casework.errors import Conflict
from casework.handoffs.both_sides import find, make_move, record_both
from casework.handoffs.drafting import frozen_groups, view_draft, without_legal_name
from casework.handoffs.envelopes import (
    Handoff,
    as_listed,
    facts_of,
    not_now,
    require,
    require_readable,
    require_stage,
)
from casework.handoffs.moves import Move, apply_move
from casework.handoffs.schemas import Draft, EnvelopePage, Moved
from casework.handoffs.states import OFFERED, WITHOUT_OUTCOME, Side
from casework.handoffs.tables import handoff_side
from casework.journal import Deed
from casework.organisations.partners import partner_slugs
from policies.vocabulary import Action, Stage

BOX_LIMIT = 200


def give_consent(act: Act, handoff_id: UUID, new: NewConsent) -> ConsentRecorded:
    """Record the person's consent to exactly the drafted content.

    Raises:
        NotNow: another digest than the draft's, or not a draft any more.

    """
    found = find(act, handoff_id, Action.CONSENT_RECORD)
    if found.side is not Side.SENDER or found.case_id is None:
        require_readable(act, found, Action.CONSENT_RECORD)
        raise not_now(found, Action.CONSENT_RECORD, "wrong_state", "Ce relais n’attend pas d’accord.")
    change = Access(act).change_case(found.case_id, [Action.CONSENT_RECORD])
    if bytes.fromhex(new.content_digest) != bytes(found.row.content_digest):
        title = "L’accord ne porte pas sur ce contenu. Relisez l’aperçu."
        raise not_now(found, Action.CONSENT_RECORD, "digest_mismatch", title)
    given = record_consent(act, change, handoff_id, new)
    make_move(act, found, Action.CONSENT_RECORD, Move(Stage.CONSENTED, consent_expires_at=given.expires_at))
    return ConsentRecorded(given.id, Stage.CONSENTED, given.expires_at)


def cancel(act: Act, handoff_id: UUID) -> Moved:
    """Take a handoff back before anyone has taken it on."""
    found = find(act, handoff_id, Action.HANDOFF_CANCEL)
    if found.side is Side.SENDER:
        require_stage(act, found, Action.HANDOFF_CANCEL, Stage.CANCELLED)
    policies = require(act, found, Action.HANDOFF_CANCEL)
    make_move(act, found, Action.HANDOFF_CANCEL, Move(Stage.CANCELLED))
    deed = Deed("handoff.cancel", policies=policies, handoff=handoff_id)
    record_both(act, found, deed, "handoff.cancelled" if found.row.sent_at is not None else None)
    return Moved(Stage.CANCELLED)


def withdraw(act: Act, consent_id: UUID, withdrawal: Withdrawal) -> Withdrawn:
    """Withdraw a consent at any moment: parts not opened yet are destroyed, the receiver is told."""
    given = find_consent(act, consent_id)
    # Lock the handoff before the case, in the order of an acceptance that closes it: else they deadlock.
    apply_move(act.unit, act.org_id, given.handoff_id, Move(None))
    change = withdraw_consent(act, given, withdrawal.means)
    moved = apply_move(act.unit, act.org_id, given.handoff_id, Move(Stage.WITHDRAWN))
    if moved is None or not moved.moved:
        return Withdrawn(["already_ended"])
    found = find(act, given.handoff_id, Action.CONSENT_WITHDRAW)
    was_sent = found.row.sent_at is not None
    deed = Deed("handoff.withdraw", policies=change.policies, consent=given.id, handoff=found.id)
    record_both(act, found, deed, "handoff.withdrawn" if was_sent else None)
    if not was_sent:
        return Withdrawn(["nothing_was_sent"])
    if moved.was in OFFERED:
        return Withdrawn(["unopened_parts_destroyed", "receiver_told"])
    return Withdrawn(["unopened_parts_destroyed", "receiver_told", "what_was_read_cannot_be_unread"])


def review_withdrawal(act: Act, consent_id: UUID) -> Withdrawn:
    """What a replayed withdrawal answers: it was carried out before, and is journaled again as a reading."""
    given = find_consent(act, consent_id)
    Access(act).open_case(given.case_id, action="consent.read", contents=False)
    return Withdrawn(["already_ended"])


def list_envelopes(act: Act, side: Side, state: Stage | None, *, without_outcome: bool) -> EnvelopePage:
    """The envelopes of one box that this member may see; no content."""
    query = select(handoff_side).where(handoff_side.c.org_id == act.org_id, handoff_side.c.side == side)
    if state is not None:
        query = query.where(handoff_side.c.state == state)
    order = handoff_side.c.created_at.desc()
    if without_outcome:
        # The one that has waited longest must not fall off the end.
        query = query.where(handoff_side.c.state.in_(WITHOUT_OUTCOME))
        order = handoff_side.c.sent_at.asc()
    shown = list(islice(_readable(act, query.order_by(order, handoff_side.c.id)), BOX_LIMIT))
    act.unit.touched()
    act.record(Deed("handoff.list", count=len(shown)))
    return EnvelopePage([found.envelope() for found in shown])


def _readable(act: Act, query: Select[Any]) -> Iterator[Handoff]:
    """Those that this member may read: what others may read must not keep hers off the end of the list."""
    partners = partner_slugs(act.unit.connection, act.org_id)
    for first in count(0, BOX_LIMIT):
        rows = act.unit.connection.execute(query.limit(BOX_LIMIT).offset(first)).all()
        for row in rows:
            found = as_listed(act, row, partners)
            if act.decide_handoff(Action.HANDOFF_READ, facts_of(act, found, None)).allowed:
                yield found
        if len(rows) < BOX_LIMIT:
            return


def review_draft(act: Act, handoff_id: UUID) -> Draft:
    """The preview of a handoff again, as far as this session may read it."""
    found = find(act, handoff_id, Action.HANDOFF_DRAFT)
    require(act, found, Action.HANDOFF_READ)
    if found.case_id is None or found.side is not Side.SENDER:
        raise Conflict("wrong_state")
    opened = Access(act).open_case(
        found.case_id, action="handoff.preview", contents=False, also=lambda: [(handoff_id, 1)]
    )
    frozen = frozen_groups(act, opened, handoff_id)
    if not act.decide_case(Action.CASE_READ_LEGAL_NAME, opened.loaded.facts).allowed:
        frozen = {group: without_legal_name(part) for group, part in frozen.items()}
    return view_draft(handoff_id, found.stage, bytes(found.row.content_digest), frozen)


def review_consent(act: Act, handoff_id: UUID) -> ConsentRecorded:
    """What `give_consent` answered, rebuilt for a replay."""
    found = find(act, handoff_id, Action.CONSENT_RECORD)
    given = consent_of(act, handoff_id)
    if found.case_id is None or given is None:
        raise Conflict("wrong_state")
    Access(act).open_case(found.case_id, action="handoff.preview", contents=False)
    return ConsentRecorded(given.id, found.stage, given.expires_at)


def review_state(act: Act, handoff_id: UUID) -> Moved:
    """Where a handoff stands, for a replay."""
    found = find(act, handoff_id, Action.HANDOFF_READ)
    require(act, found, Action.HANDOFF_READ)
    act.record(Deed("handoff.read", handoff=handoff_id))
    return Moved(found.stage)
