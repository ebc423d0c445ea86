"""New keys, restricted cases and member-only notes. Of a restricted case only its named members learn anything."""

from tests.journeys.matrix.actors import Actor, Stage, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    Cell,
    LikeAssigned,
    Row,
    Spoils,
    allowed,
    each,
    forbidden,
    hidden,
    not_now,
    others,
    withdrawn,
    without_content,
)
from tests.journeys.matrix.rows.cases import DESTROYED

_HIDDEN = hidden("case.open")
_OWN_CASE = LikeAssigned("who works on a case is no matter of a consent")
# Of a case that is not restricted, whoever may not assign it is told no more than that.
_OF_AN_ORDINARY_ONE = forbidden("case.assign")


def _restrict(at: Things) -> Call:
    body = {"members": [at.worker, at.colleague], "reason": "Une collègue la connaît."}
    return Call(f"/api/v1/cases/{at.case}/restriction", body)


def _renew(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/keys", {"reason": "Un poste a été volé, session ouverte."})


def _view(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/restriction")


def _member(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/restriction/members/{at.colleague}")


def _lift(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/restriction/lifting", {"reason": "Elle ne craint plus rien."})


def _write(at: Things) -> Call:
    body = {"group": "social", "text": "Pour nous deux.", "readers": [at.worker, at.colleague]}
    return Call(f"/api/v1/cases/{at.case}/notes", body)


def _notes(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/notes")


def _closed_to(actors: Cell, named: Cell) -> dict[Actor, Cell | LikeAssigned]:
    """A restricted case: absent to everybody but those who are named."""
    return {
        **ANONYMOUS,
        **each(actors, Actor.UNASSIGNED, Actor.RECEPTION, Actor.SUPERVISOR),
        **without_content(actors),
        **others(actors),
        Actor.ASSIGNED: named,
    }


ROWS = (
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/keys",
        _renew,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: forbidden("case.restrict"),
            Actor.SUPERVISOR: allowed("case.renew_keys"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_OWN_CASE),
            Actor.ASSIGNED: forbidden("case.restrict"),
        },
        fields="renewed waiting receipt",
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/restriction",
        _restrict,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: forbidden("case.restrict"),
            Actor.SUPERVISOR: allowed("case.restrict", status=201),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_OWN_CASE),
            # The supervisor decides that a case is restricted; then the named members alone do.
            Actor.ASSIGNED: forbidden("case.restrict"),
        },
        fields="members waiting receipt",
        spoils=Spoils.THE_THING,
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}/restriction",
        _view,
        {
            **_closed_to(_HIDDEN, allowed("case.restriction")),
            **withdrawn(_OWN_CASE),
            Actor.WITHDRAWN_UNOPENED: allowed("case.restriction", *DESTROYED),
        },
        fields="members waiting",
        stage=Stage.RESTRICTED,
    ),
    Row(
        "PUT",
        "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}",
        _member,
        {
            **_closed_to(_HIDDEN, allowed("case.name")),
            **withdrawn(_OF_AN_ORDINARY_ONE),
        },
        fields="members waiting receipt",
        stage=Stage.RESTRICTED,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "DELETE",
        "/api/v1/cases/{case_id:uuid}/restriction/members/{member_id:uuid}",
        _member,
        {
            # Two are left at least, and the restricted case has two.
            **_closed_to(_HIDDEN, not_now("case.assign", "fewer_than_two")),
            **withdrawn(_OF_AN_ORDINARY_ONE),
        },
        fields="members waiting receipt",
        stage=Stage.RESTRICTED,
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/restriction/lifting",
        _lift,
        {
            **_closed_to(_HIDDEN, allowed("case.unrestrict")),
            **withdrawn(forbidden("case.restrict")),
        },
        fields="members waiting receipt",
        stage=Stage.RESTRICTED,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/notes",
        _write,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            **each(forbidden("case.record.social"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(LikeAssigned("she writes into her own organisation's case")),
            Actor.ASSIGNED: allowed("note.create", status=201),
        },
        fields="id",
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}/notes",
        _notes,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            # May open the case, and is told of no note that does not name her.
            **each(allowed("note.list", fields="items"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: allowed("note.list", fields="items"),
            Actor.WITHDRAWN_UNOPENED: allowed("note.list", *DESTROYED, fields="items"),
            Actor.WITHDRAWN_OPENED: allowed("note.list", fields="items"),
            Actor.ASSIGNED: allowed("note.list", "note.read", sees=("target: note",)),
        },
        fields="items items.author items.group items.id items.readers items.text items.written_at",
    ),
)
