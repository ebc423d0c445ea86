"""Who tries every route, and what she points at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import uuid4


class Side(StrEnum):
    """From whose side a route is looked at: who hands over (avec), or who receives (cidff)."""

    SENDER = "sender"
    RECEIVER = "receiver"


class Stage(StrEnum):
    """How far the handoff has come that the actor points at, or her case."""

    DRAFT = "draft"
    CONSENTED = "consented"
    SENT = "sent"
    LIVE = "live"
    # No matter of a handoff: the case was closed or restricted, or its erasure is asked for or done.
    CLOSED = "closed"
    RESTRICTED = "restricted"
    ERASURE_PREPARED = "erasure prepared"
    ERASED = "erased"


class Actor(StrEnum):
    """Each holds cases of her own, or of her organisation; all but the last must not get at the target."""

    ANONYMOUS = "anonymous"
    # Her own organisation, her own cases, the right profession; not this case.
    UNASSIGNED = "own organisation, not assigned"
    RECEPTION = "own organisation, front desk"
    SUPERVISOR = "own organisation, supervisor"
    AUDITOR = "own organisation, auditor"
    CUSTODIAN = "own organisation, custodian"
    DPO = "own organisation, DPO"
    # Another organisation, with cases of its own and nothing to do with this person.
    FOREIGN = "other organisation"
    # The other side of the handoff: she knows the person, and holds what was handed over.
    PARTNER = "other organisation, of the handoff"
    # The three after a withdrawal point at what is theirs of the withdrawn handoff.
    WITHDRAWN_SENDER = "sender, after the withdrawal"
    WITHDRAWN_UNOPENED = "receiver, withdrawn before the first opening"
    WITHDRAWN_OPENED = "receiver, withdrawn after the opening"
    ASSIGNED = "assigned"


_WITHDRAWN: Final = {
    Actor.WITHDRAWN_SENDER: "avec.social",
    Actor.WITHDRAWN_UNOPENED: "cidff.jurist",
    Actor.WITHDRAWN_OPENED: "cidff.jurist",
}
CAST: Final[Mapping[Side, Mapping[Actor, str]]] = {
    Side.SENDER: {
        Actor.ASSIGNED: "avec.social",
        Actor.UNASSIGNED: "avec.jurist",
        Actor.RECEPTION: "avec.reception",
        Actor.SUPERVISOR: "avec.supervisor",
        Actor.AUDITOR: "avec.auditor",
        Actor.CUSTODIAN: "avec.custodian",
        Actor.DPO: "avec.dpo",
        Actor.FOREIGN: "planning.health",
        Actor.PARTNER: "cidff.jurist",
        **_WITHDRAWN,
    },
    Side.RECEIVER: {
        Actor.ASSIGNED: "cidff.jurist",
        Actor.UNASSIGNED: "cidff.social",
        Actor.RECEPTION: "cidff.reception",
        Actor.SUPERVISOR: "cidff.supervisor",
        Actor.AUDITOR: "cidff.auditor",
        Actor.CUSTODIAN: "cidff.custodian",
        Actor.DPO: "cidff.dpo",
        Actor.FOREIGN: "planning.health",
        Actor.PARTNER: "avec.social",
        **_WITHDRAWN,
    },
}
# Who else acts in a row by its `cast`.
FURTHER: Final = ("planning.auditor", "cidff.auditor", "planning.supervisor", "cidff.custodian")
LOGINS: Final = tuple(dict.fromkeys([*CAST[Side.SENDER].values(), *CAST[Side.RECEIVER].values(), *FURTHER]))


@dataclass(frozen=True)
class Things:
    """What an actor's call may name: her own login, and the things that she tries to get at.

    `worker` is the member who is assigned to the case, `colleague` another of hers,
    `draft` what she keeps about it. `tag` marks the texts of
    the person whom it is about; `version` is that of the case's social group, `noted` that of its follow-up.
    `asked` is the case of the request; `code` makes a fresh code of the second factor, and may move the clock;
    `pending` is a session that waits for it.
    """

    login: str
    member: str
    worker: str
    colleague: str
    case: str
    follow_up: str
    draft: str
    handoff: str
    consent: str
    request: str
    asked: str
    digest: str
    entry: str
    tag: str
    version: int
    noted: int
    pending: str
    code: Callable[[], str]

    def absent(self) -> "Things":
        """The same call for things that there are none of."""
        return replace(
            self,
            worker=_new(),
            colleague=_new(),
            case=_new(),
            follow_up=_new(),
            draft=_new(),
            handoff=_new(),
            consent=_new(),
            request=_new(),
            asked=_new(),
            entry=_new(),
        )


def _new() -> str:
    return str(uuid4())
