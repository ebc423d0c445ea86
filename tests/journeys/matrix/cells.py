"""A cell of the matrix: what one actor is answered, what of it she sees, and what the journal says then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.journeys.matrix.actors import CAST, Actor, Side, Stage, Things


@dataclass(frozen=True)
class Call:
    """What is sent beside the actor's own token. `path` is below the host."""

    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """What must come of a call.

    `journal` has one line for each entry: "action", or "action denied reason"; in front of it, where it is not
    the log of the actor's own organisation, "cidff: " or "deployment: ". Where it is empty `because` says why.
    `sees` has "whose group" for each text that was sealed and stands in the answer; "target" is the case that the
    actor asks for. `fields` are the names in the answer; None: those of the row.
    """

    status: int
    journal: tuple[str, ...] = ()
    code: str | None = None
    sees: frozenset[str] = frozenset()
    fields: frozenset[str] | None = None
    because: str | None = None


@dataclass(frozen=True)
class LikeAssigned:
    """The actor's difference makes none here: her cell is that of whoever is assigned, for a reason."""

    because: str


class Spoils(Enum):
    """What is not there any more once an act was allowed: whoever needs it acts in a fresh copy of the centre."""

    NOTHING = auto()
    HER_SESSION = auto()
    THE_THING = auto()


@dataclass(frozen=True)
class Row:
    """One route: how it is called, of what its answer is made, and what each actor gets.

    `stage` says which handoff an actor points at, `cast` who acts instead of the usual one.
    """

    method: str
    path: str
    call: Callable[[Things], Call]
    cells: Mapping[Actor, Cell | LikeAssigned]
    fields: str = ""
    side: Side = Side.SENDER
    stage: Stage = Stage.LIVE
    cast: Mapping[Actor, str] = field(default_factory=dict)
    spoils: Spoils = Spoils.NOTHING

    def login(self, actor: Actor) -> str | None:
        """Who acts; nobody is anonymous."""
        return self.cast.get(actor, CAST[self.side].get(actor))

    def cell(self, actor: Actor) -> Cell:
        cell = self.cells[actor]
        if isinstance(cell, LikeAssigned):
            cell = self.cells[Actor.ASSIGNED]
        assert isinstance(cell, Cell), f"{self.method} {self.path}: whoever is assigned is like herself"
        return cell


def allowed(
    *journal: str, status: int = 200, sees: tuple[str, ...] = (), fields: str | None = None, because: str = ""
) -> Cell:
    """An act that is done, or a reading; each of `sees` is "whose: group group"."""
    seen = {
        f"{whose} {group}"
        for whose, _, groups in (one.partition(":") for one in sees)
        for group in groups.split()
    }
    shape = frozenset(fields.split()) if fields is not None else None
    return Cell(status, journal, sees=frozenset(seen), fields=shape, because=because or None)


def hidden(action: str) -> Cell:
    """Absent, of another organisation, or not hers to know of: the answer is that of an absent one."""
    return Cell(404, (f"{action} denied not_found",), "not_found")


def forbidden(action: str) -> Cell:
    """She may know of it, and may not do this."""
    return Cell(403, (f"{action} denied policy",), "forbidden")


def not_now(action: str, code: str) -> Cell:
    """She might do it, and the state or the consent does not allow it."""
    return Cell(409, (f"{action} denied {code}",), code)


def unjournaled(status: int, code: str, because: str) -> Cell:
    return Cell(status, (), code, because=because)


def each(cell: Cell | LikeAssigned, *actors: Actor) -> dict[Actor, Cell | LikeAssigned]:
    """The same cell for several actors."""
    return dict.fromkeys(actors, cell)


# Nobody is named and no organisation: there is no log to write it in. The access log counts it.
ANONYMOUS = each(
    unjournaled(401, "not_signed_in", "no session, so no organisation in whose log it could stand"),
    Actor.ANONYMOUS,
)


def members(cell: Cell | LikeAssigned) -> dict[Actor, Cell | LikeAssigned]:
    """The same cell for everybody who is signed in."""
    return each(cell, *(actor for actor in Actor if actor is not Actor.ANONYMOUS))


def withdrawn(cell: Cell | LikeAssigned) -> dict[Actor, Cell | LikeAssigned]:
    """The same cell for the three who stand after a withdrawal."""
    return each(cell, Actor.WITHDRAWN_SENDER, Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED)


def without_content(cell: Cell) -> dict[Actor, Cell | LikeAssigned]:
    """The same cell for the three roles that open no case: audit, keys, data protection."""
    return each(cell, Actor.AUDITOR, Actor.CUSTODIAN, Actor.DPO)


def others(cell: Cell) -> dict[Actor, Cell | LikeAssigned]:
    """The same cell for the two of other organisations."""
    return each(cell, Actor.FOREIGN, Actor.PARTNER)
