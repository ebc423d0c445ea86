"""Receiving: to acknowledge, ask, take responsibility without a key, refuse with a code, say what became of it.

What goes back to the sender is a code; a note stays with the receiver.
"""

from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import select

from casework.act import Act
from casework.cases.service import assign_members, insert_case, require_members
from casework.columns import Column
from casework.errors import Conflict, NotFound
from casework.handoffs.both_sides import (
    find,
    keep,
    make_move,
    record_both,
    seal_to_own,
    seal_to_partner,
)
from casework.handoffs.envelopes import Handoff, not_now, require, require_readable, require_stage
from casework.handoffs.moves import Move, apply_move
from casework.handoffs.moves import Moved as Locked
from casework.handoffs.schemas import Acceptance, Accepted, Asked, Moved, Outcome, Refusal
from casework.handoffs.states import OFFERED, Side
from casework.handoffs.tables import handoff_part
from casework.ids import new_id
from casework.journal import Deed, Touched
from casework.organisations.partners import partner_of
from policies.facts import ConsentFacts
from policies.vocabulary import Action, Group, Stage


def acknowledge(act: Act, handoff_id: UUID) -> Moved:
    """Say that it arrived and will be answered. Whoever may refuse it may say so."""
    return _answer(act, handoff_id, Stage.RECEIVED, "handoff.acknowledge", "handoff.acknowledged", None)


def ask(act: Act, handoff_id: UUID, asked: Asked) -> Moved:
    """Ask the sender for something, in a code; it stays offered, and may be taken on, refused or taken back."""
    reply = msgspec.json.encode(asked)
    return _answer(act, handoff_id, Stage.NEEDS_INFO, "handoff.ask", "handoff.asked", reply)


def accept(act: Act, handoff_id: UUID, acceptance: Acceptance) -> Accepted:
    """Take responsibility: a new case of the receiver's own, into which the parts move still sealed.

    Needs no key: each group's first authorised holder opens hers.

    Raises:
        NotNow: taken already, refused, withdrawn, or its consent no longer live.
        BadInput: nobody, or somebody unknown, is to be assigned.

    """
    found = find(act, handoff_id, Action.HANDOFF_ACCEPT)
    looked = apply_move(act.unit, act.org_id, handoff_id, Move(None))
    _require_receiver(found, Action.HANDOFF_ACCEPT)
    if not _is_offered(act, found, looked):
        require_readable(act, found, Action.HANDOFF_ACCEPT)
        dead = looked is not None and looked.was in OFFERED
        raise not_now(found, Action.HANDOFF_ACCEPT, "consent_not_live" if dead else "wrong_state")
    groups = frozenset(found.header.groups) if found.header is not None else frozenset()
    live = ConsentFacts(live=True, same_content=True, to=act.identity.slug, groups=groups)
    policies = require(act, found, Action.HANDOFF_ACCEPT, live)
    members = acceptance.members if acceptance.members is not UNSET else [act.member_id]
    require_members(act, members)
    make_move(act, found, Action.HANDOFF_ACCEPT, Move(Stage.ACCEPTED))
    case_id = new_id()
    person, _ = insert_case(act, case_id, {}, dict.fromkeys(_arrived_groups(act, handoff_id), handoff_id))
    assign_members(act, case_id, members)
    keep(act, handoff_id, case_sealed=seal_to_own(act, Column.HANDOFF_CASE, handoff_id, case_id.bytes))
    act.unit.touched()
    record_both(
        act,
        found,
        Deed(
            "handoff.accept",
            policies=policies,
            consent=found.row.consent_id,
            handoff=handoff_id,
            touched=(Touched(person, ((case_id.bytes, 1),)),),
        ),
        "handoff.accepted",
    )
    return Accepted(case_id)


def refuse(act: Act, handoff_id: UUID, refusal: Refusal) -> Moved:
    """Decline with a code and a next step; the parts are destroyed unopened."""
    reply = msgspec.json.encode(refusal)
    return _answer(act, handoff_id, Stage.DECLINED, "handoff.decline", "handoff.declined", reply)


def report_outcome(act: Act, handoff_id: UUID, outcome: Outcome) -> Moved:
    """Tell the sender, in a code, what became of it."""
    found = find(act, handoff_id, Action.HANDOFF_OUTCOME)
    stage = Stage(outcome.state)
    _require_receiver(found, Action.HANDOFF_OUTCOME)
    require_stage(act, found, Action.HANDOFF_OUTCOME, stage)
    policies = require(act, found, Action.HANDOFF_OUTCOME)
    make_move(act, found, Action.HANDOFF_OUTCOME, Move(stage))
    record_both(act, found, Deed("handoff.outcome", policies=policies, handoff=handoff_id), "handoff.outcome")
    return Moved(stage)


def review_acceptance(act: Act, handoff_id: UUID) -> Accepted:
    """What `accept` answered, rebuilt for a replay, for whoever may read where the case is."""
    found = find(act, handoff_id, Action.HANDOFF_ACCEPT)
    require(act, found, Action.HANDOFF_READ)
    if found.case_id is None:
        raise Conflict("wrong_state")
    act.record(Deed("handoff.read", handoff=handoff_id))
    return Accepted(found.case_id)


def _answer(act: Act, handoff_id: UUID, stage: Stage, action: str, told: str, reply: bytes | None) -> Moved:
    """An answer that takes no responsibility; the coded `reply` is sealed to each side's intake."""
    found = find(act, handoff_id, Action.HANDOFF_DECLINE)
    _require_receiver(found, Action.HANDOFF_DECLINE)
    require_stage(act, found, Action.HANDOFF_DECLINE, stage)
    policies = require(act, found, Action.HANDOFF_DECLINE)
    sealed = None
    if reply is not None:
        # An answer is owed even to a partner whose card has run out.
        partner = partner_of(
            act.unit.connection, act.deployment.directories, act.org_id, found.row.partner_id
        )
        sealed = seal_to_partner(partner, Column.HANDOFF_REPLY, handoff_id, reply)
    make_move(act, found, Action.HANDOFF_DECLINE, Move(stage, reply_to_other=sealed))
    detail = {}
    if reply is not None:
        keep(act, handoff_id, reply=seal_to_own(act, Column.HANDOFF_REPLY, handoff_id, reply))
        detail = {"reply": reply.decode()}
    record_both(act, found, Deed(action, policies=policies, handoff=handoff_id, detail=detail), told)
    return Moved(stage)


def _is_offered(act: Act, found: Handoff, looked: Locked | None) -> bool:
    """Whether it may be taken on: by the neutral row, and by the expiry that its parts are bound to."""
    if looked is None or not looked.consent_is_live or looked.was not in OFFERED:
        return False
    return bool(act.unit.now < found.row.consent_expires_at)


def _require_receiver(found: Handoff, action: Action) -> None:
    if found.side is not Side.RECEIVER:
        raise NotFound(action, reason="not_found", tried={"handoff": str(found.id)})


def _arrived_groups(act: Act, handoff_id: UUID) -> list[Group]:
    rows = act.unit.connection.execute(
        select(handoff_part.c.compartment).where(
            handoff_part.c.org_id == act.org_id, handoff_part.c.handoff_id == handoff_id
        )
    )
    return [Group(compartment) for compartment in rows.scalars()]
