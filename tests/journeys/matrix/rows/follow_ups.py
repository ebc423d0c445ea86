"""`/api/v1/cases/{id}/follow-ups`."""

from tests.casework.story import follow_up
from tests.journeys.matrix.actors import Actor, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    LikeAssigned,
    Row,
    allowed,
    each,
    forbidden,
    hidden,
    others,
    withdrawn,
    without_content,
)
from tests.journeys.matrix.rows.cases import DESTROYED

_HIDDEN = hidden("case.open")
_HEAD = "items next items.id items.occurred_at items.author items.version items.content items.withheld"
_OWN_CASE = LikeAssigned("the case is her own organisation's: it is followed whatever became of the consent")


def _note(at: Things) -> Call:
    return Call(
        f"/api/v1/cases/{at.case}/follow-ups",
        follow_up("accompagnement_social", content={"social": "Cherche un logement."}),
    )


def _list(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/follow-ups")


ROWS = (
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/follow-ups",
        _note,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            **each(forbidden("case.record.social"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_OWN_CASE),
            Actor.ASSIGNED: allowed("follow_up.create", status=201),
        },
        fields="id version",
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}/follow-ups",
        _list,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            # That there was a meeting, and not of what kind.
            Actor.RECEPTION: allowed("follow_up.list", fields=_HEAD),
            Actor.SUPERVISOR: allowed("follow_up.list", sees=("target: social legal",)),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _OWN_CASE,
            Actor.WITHDRAWN_UNOPENED: allowed("follow_up.list", *DESTROYED, fields="items next"),
            Actor.WITHDRAWN_OPENED: allowed("follow_up.list", sees=("target: legal",)),
            Actor.ASSIGNED: allowed("follow_up.list", sees=("target: social legal",)),
        },
        fields=f"{_HEAD} items.type items.channel items.duration_minutes",
    ),
)
