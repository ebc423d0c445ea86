"""The handoff's state machine as a table: what may follow what, and whose move it is."""

from enum import StrEnum

from policies.vocabulary import Stage


class Side(StrEnum):
    SENDER = "sender"
    RECEIVER = "receiver"


# Before anyone has taken it on.
OFFERED = (Stage.SENT, Stage.RECEIVED, Stage.NEEDS_INFO)
# Of those, whose answer is the receiver's to give.
UNANSWERED = (Stage.SENT, Stage.RECEIVED)
# Taken on: the receiver works with it.
TAKEN_ON = (Stage.ACCEPTED, Stage.SCHEDULED, Stage.ATTENDED, Stage.NO_SHOW)
# Sent, and nobody knows yet what became of it: it is listed until somebody does.
WITHOUT_OUTCOME = (*OFFERED, *TAKEN_ON)

# `move_handoff` (migration 0027) holds the same table for PostgreSQL; a test compares them.
# next state: (states it may follow, whose move it is; None: the clock's, and either side may note it)
MOVES: dict[Stage, tuple[tuple[Stage, ...], Side | None]] = {
    Stage.CONSENTED: ((Stage.DRAFT,), Side.SENDER),
    Stage.SENT: ((Stage.CONSENTED,), Side.SENDER),
    Stage.CANCELLED: ((Stage.DRAFT, Stage.CONSENTED, *OFFERED), Side.SENDER),
    # After completion too: a part that nobody has opened yet must still be destroyed.
    Stage.WITHDRAWN: ((Stage.CONSENTED, *OFFERED, *TAKEN_ON, Stage.COMPLETED), Side.SENDER),
    Stage.RECEIVED: ((Stage.SENT,), Side.RECEIVER),
    # A question, in a code; what is added goes in a new handoff, with a new consent.
    Stage.NEEDS_INFO: ((Stage.SENT, Stage.RECEIVED), Side.RECEIVER),
    Stage.ACCEPTED: (OFFERED, Side.RECEIVER),
    Stage.DECLINED: (OFFERED, Side.RECEIVER),
    Stage.SCHEDULED: ((Stage.ACCEPTED, Stage.NO_SHOW), Side.RECEIVER),
    Stage.ATTENDED: ((Stage.ACCEPTED, Stage.SCHEDULED), Side.RECEIVER),
    Stage.NO_SHOW: ((Stage.SCHEDULED,), Side.RECEIVER),
    Stage.COMPLETED: ((Stage.ACCEPTED, Stage.ATTENDED), Side.RECEIVER),
    Stage.EXPIRED: ((Stage.CONSENTED, *OFFERED), None),
}

# Moves that only a consent which is live at that very moment allows.
NEED_LIVE_CONSENT = frozenset({Stage.SENT, Stage.ACCEPTED})
# Moves that only a consent whose time is over allows.
NEED_LAPSED_CONSENT = frozenset({Stage.EXPIRED})
# Moves after which nothing may be opened any more: unopened parts are destroyed with them.
END_THE_CONSENT = frozenset({Stage.WITHDRAWN, Stage.CANCELLED, Stage.DECLINED, Stage.EXPIRED})


def may_move(stage: Stage, mover: Side, *, live: bool) -> bool:
    """Whether the next state is this side's to bring about, the consent being live or not."""
    side = MOVES[stage][1]
    if side is not None and side is not mover:
        return False
    if stage in NEED_LIVE_CONSENT:
        return live
    return stage not in NEED_LAPSED_CONSENT or not live
