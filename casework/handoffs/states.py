"""The handoff's state machine as a table: what may follow what, and whose move it is."""

from enum import StrEnum

from policies.vocabulary import Stage


class Side(StrEnum):
    SENDER = "sender"
    RECEIVER = "receiver"


# Before anyone has taken it on.
OFFERED = (Stage.SENT, Stage.RECEIVED)
# Taken on: the receiver works with it.
TAKEN_ON = (Stage.ACCEPTED, Stage.NEEDS_INFO, Stage.SCHEDULED, Stage.ATTENDED, Stage.NO_SHOW)

# `move_handoff` in migration 0004 holds the same table for PostgreSQL; a test compares them.
# next state: (states it may follow, whose move it is)
MOVES: dict[Stage, tuple[tuple[Stage, ...], Side]] = {
    Stage.CONSENTED: ((Stage.DRAFT,), Side.SENDER),
    Stage.SENT: ((Stage.CONSENTED,), Side.SENDER),
    Stage.CANCELLED: ((Stage.DRAFT, Stage.CONSENTED, *OFFERED), Side.SENDER),
    # After completion too: a part that nobody has opened yet must still be destroyed.
    Stage.WITHDRAWN: ((Stage.CONSENTED, *OFFERED, *TAKEN_ON, Stage.COMPLETED), Side.SENDER),
    Stage.RECEIVED: ((Stage.SENT,), Side.RECEIVER),
    Stage.ACCEPTED: (OFFERED, Side.RECEIVER),
    Stage.DECLINED: (OFFERED, Side.RECEIVER),
    Stage.SCHEDULED: ((Stage.ACCEPTED, Stage.NEEDS_INFO, Stage.NO_SHOW), Side.RECEIVER),
    Stage.ATTENDED: ((Stage.ACCEPTED, Stage.SCHEDULED), Side.RECEIVER),
    Stage.NO_SHOW: ((Stage.SCHEDULED,), Side.RECEIVER),
    Stage.COMPLETED: ((Stage.ACCEPTED, Stage.ATTENDED), Side.RECEIVER),
}

# Moves that only a consent which is live at that very moment allows.
NEED_LIVE_CONSENT = frozenset({Stage.SENT, Stage.ACCEPTED})
# Moves after which nothing may be opened any more: unopened parts are destroyed with them.
END_THE_CONSENT = frozenset({Stage.WITHDRAWN, Stage.CANCELLED, Stage.DECLINED})
