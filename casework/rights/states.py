"""What a request for erasure may become, on what it rests, and why it may be refused."""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """`erased`: the rows are gone for good, their halves not yet; `complete`: the halves too."""

    PREPARED = "prepared"
    REFUSED = "refused"
    ERASED = "erased"
    COMPLETE = "complete"


# next state: the one that it may follow
MOVES: Final[dict[State, State]] = {
    State.REFUSED: State.PREPARED,
    State.ERASED: State.PREPARED,
    State.COMPLETE: State.ERASED,
}


class Basis(StrEnum):
    """GDPR art. 17 (1) a to e, and art. 5 (1) e for what was kept long enough."""

    NOT_NEEDED = "not_needed"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    OBJECTION = "objection"
    UNLAWFUL = "unlawful"
    LEGAL_DUTY = "legal_duty"
    RETENTION_OVER = "retention_over"


class Ground(StrEnum):
    """Why it is refused: GDPR art. 17 (3) b (retention duty) and e (legal hold); or there is nothing to grant."""

    LEGAL_HOLD = "legal_hold"
    RETENTION_DUTY = "retention_duty"
    NOT_ENTITLED = "not_entitled"
    REQUEST_WITHDRAWN = "request_withdrawn"


# The grounds that a date ends: until then they stand in the way of another request.
LASTING: Final = (Ground.LEGAL_HOLD, Ground.RETENTION_DUTY)
