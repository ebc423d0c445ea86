"""What an auditor brings along to a verification: a log must not vouch for itself."""

from dataclasses import dataclass

from audit.checkpoint import Checkpoint, VerificationKey
from audit.witnessing import Counterpart


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the auditor brings along.

    `keys`: the log's verification keys. `trusted`: tree heads known from before (an auditor's saved
    checkpoint, the signer's state). `rollup_keys`, `witnesses`: who must have signed the roll-up that holds a head
    of the log. `counterparts`: entries of partners' logs that this one must hold too. `max_age`: how old, in µs
    before `now`, the newest heartbeat may be, or the newest entry where there is none.
    """

    keys: tuple[VerificationKey, ...] = ()
    trusted: tuple[Checkpoint, ...] = ()
    rollup_keys: tuple[VerificationKey, ...] = ()
    witnesses: tuple[VerificationKey, ...] = ()
    counterparts: tuple[Counterpart, ...] = ()
    max_age: int | None = None
    now: int = 0
