"""Closing and reopening, emergency access, assignments, reassignment and search."""

from typing import Any
from uuid import UUID

from tests.casework.centre import CANARY
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
    members,
    others,
    unjournaled,
    withdrawn,
    without_content,
)
from tests.journeys.matrix.rows.cases import DESTROYED

_HIDDEN = hidden("case.open")
_OWN_CASE = LikeAssigned("the case is her own organisation's, whatever became of the consent")
_NO_MATTER = LikeAssigned("who works on a case is no matter of a consent")


def _move(name: str, at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/{name}", {"reason": "Elle est revenue."})


def _break_glass(at: Things) -> Call:
    purpose = "care" if at.login.startswith("planning.") else "support"
    reason = "Danger immédiat, sa référente est absente."
    return Call(f"/api/v1/cases/{at.case}/break-glass", {"reason": reason, "purpose": purpose})


def _reassign(at: Things) -> Call:
    return Call("/api/v1/reassignments", {"from": at.worker, "to": [at.member]})


# What every person here is called by: whom she does not find is hidden from her.
def _search(_at: Things) -> Call:
    return Call("/api/v1/search", {"name": f"{CANARY} identity"})


_NO_TEAM = UUID(int=1)


def _team(at: Things) -> dict[str, Any]:
    return {"name": "nuit", "members": [at.worker], "reason": "Nouvelle permanence."}


ROWS = (
    Row(
        "GET",
        "/api/v1/teams",
        lambda _: Call("/api/v1/teams"),
        {
            **ANONYMOUS,
            **members(LikeAssigned("a restricted case that names her would be hers to assign")),
            **without_content(forbidden("case.assign")),
            Actor.ASSIGNED: allowed(because="who works with whom her colleagues know"),
        },
        fields="items",
    ),
    Row(
        "POST",
        "/api/v1/teams",
        lambda at: Call("/api/v1/teams", _team(at)),
        {
            **ANONYMOUS,
            **each(forbidden("case.assign"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: allowed("team.create", status=201),
            **without_content(forbidden("case.assign")),
            **others(forbidden("case.assign")),
            **withdrawn(_NO_MATTER),
            # Whoever works on a case does not choose who else does.
            Actor.ASSIGNED: forbidden("case.assign"),
        },
        fields="id name members",
    ),
    Row(
        "PUT",
        "/api/v1/teams/{team_id:uuid}",
        lambda at: Call(f"/api/v1/teams/{_NO_TEAM}", _team(at)),
        {
            **ANONYMOUS,
            **each(forbidden("case.assign"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: Cell(404, ("team.change denied not_found",), "not_found"),
            **without_content(forbidden("case.assign")),
            **others(forbidden("case.assign")),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("case.assign"),
        },
    ),
    Row(
        "POST",
        "/api/v1/teams/{team_id:uuid}/closure",
        lambda _: Call(f"/api/v1/teams/{_NO_TEAM}/closure", {"reason": "Fin de la permanence."}),
        {
            **ANONYMOUS,
            **each(forbidden("case.assign"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: Cell(404, ("team.close denied not_found",), "not_found"),
            **without_content(forbidden("case.assign")),
            **others(forbidden("case.assign")),
            **withdrawn(_NO_MATTER),
            Actor.ASSIGNED: forbidden("case.assign"),
        },
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/closure",
        lambda at: _move("closure", at),
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: forbidden("case.close"),
            Actor.SUPERVISOR: LikeAssigned("she closes any case of her organisation"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_OWN_CASE),
            Actor.ASSIGNED: allowed("case.close"),
        },
        fields="id status version",
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/reopening",
        lambda at: _move("reopening", at),
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: forbidden("case.reopen"),
            Actor.SUPERVISOR: allowed("case.reopen"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(LikeAssigned("reopening is the supervisor's, whatever became of the consent")),
            Actor.ASSIGNED: forbidden("case.reopen"),
        },
        fields="id status version",
        stage=Stage.CLOSED,
    ),
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/break-glass",
        _break_glass,
        {
            **ANONYMOUS,
            # It is there for her: her own organisation's case, that she is not assigned to.
            **each(
                LikeAssigned("an emergency lifts the assignment, for a reason that is journaled"),
                Actor.UNASSIGNED,
                Actor.SUPERVISOR,
            ),
            Actor.RECEPTION: forbidden("case.break_glass"),
            **without_content(forbidden("case.break_glass")),
            # Both may do it in their own organisation.
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _OWN_CASE,
            # At her organisation it is the supervisor's.
            **each(forbidden("case.break_glass"), Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED),
            Actor.ASSIGNED: allowed("case.break_glass", status=201),
        },
        fields="expires_at receipt",
        cast={Actor.PARTNER: "cidff.supervisor"},
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}/assignments",
        lambda at: Call(f"/api/v1/cases/{at.case}/assignments"),
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            **each(
                LikeAssigned("who may list a case may know who works on it"),
                Actor.RECEPTION,
                Actor.SUPERVISOR,
            ),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_NO_MATTER),
            Actor.WITHDRAWN_UNOPENED: allowed("case.assignments", *DESTROYED),
            Actor.ASSIGNED: allowed("case.assignments"),
        },
        fields="members teams",
    ),
    Row(
        "POST",
        "/api/v1/reassignments",
        _reassign,
        {
            **ANONYMOUS,
            **each(forbidden("case.assign"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: allowed("case.reassign"),
            **without_content(forbidden("case.assign")),
            # Both may reassign in their own organisation.
            **others(unjournaled(422, "bad_input", "it names nobody whom her organisation knows: a mistake")),
            **withdrawn(_NO_MATTER),
            # Whoever works on a case does not choose who else does.
            Actor.ASSIGNED: forbidden("case.assign"),
        },
        fields="moved waiting",
        cast={Actor.FOREIGN: "planning.supervisor", Actor.PARTNER: "cidff.supervisor"},
    ),
    Row(
        "GET",
        "/api/v1/reassignments",
        lambda _: Call("/api/v1/reassignments"),
        {
            **ANONYMOUS,
            **members(LikeAssigned("a restricted case that names her would be hers to assign")),
            **without_content(forbidden("case.assign")),
            # Nobody of theirs is away.
            Actor.ASSIGNED: allowed("case.to_cover"),
        },
        fields="items next",
    ),
    Row(
        "POST",
        "/api/v1/search",
        _search,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: allowed("case.search", sees=("avec_jurist: identity",)),
            **each(
                allowed(
                    "case.search",
                    sees=(
                        "target: identity",
                        "recalled: identity",
                        "closed: identity",
                        "avec_jurist: identity",
                    ),
                ),
                Actor.RECEPTION,
                Actor.SUPERVISOR,
            ),
            **without_content(forbidden("case.search")),
            Actor.FOREIGN: allowed("case.search", sees=("planning_health: identity",)),
            # Her own cases: of the target what was handed over, of the recalled what was opened in time.
            Actor.PARTNER: allowed(
                "case.search", sees=("cidff_jurist: identity", "target: identity", "recalled: identity")
            ),
            **each(
                allowed(
                    "case.search", sees=("cidff_jurist: identity", "shared: identity", "target: identity")
                ),
                Actor.WITHDRAWN_UNOPENED,
                Actor.WITHDRAWN_OPENED,
            ),
            Actor.WITHDRAWN_SENDER: allowed(
                "case.search",
                sees=("target: identity", "shared: identity", "closed: identity", "restricted: identity"),
            ),
            Actor.ASSIGNED: allowed(
                "case.search",
                sees=("target: identity", "recalled: identity", "closed: identity", "restricted: identity"),
            ),
        },
        fields="items items.case_id items.name_in_use items.score",
    ),
)
