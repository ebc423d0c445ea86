"""`/api/v1/cases/{id}/follow-ups` and `/api/v1/follow-ups`. The target's one was corrected, for a reason."""

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
_KIND = "items.type items.channel items.duration_minutes"
_CORRECTED = "items.corrected_at items.corrected_by"
_VERSIONS = "id case_id occurred_at withheld items items.version items.author items.recorded_at items.content"
_OWN_CASE = LikeAssigned("the case is her own organisation's: it is followed whatever became of the consent")


def _note(at: Things) -> Call:
    return Call(
        f"/api/v1/cases/{at.case}/follow-ups",
        follow_up("accompagnement_social", content={"social": "Cherche un logement."}),
    )


def _list(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/follow-ups")


def _correct(at: Things) -> Call:
    corrected = {"content": {"social": "Cherche un logement à Clermont."}, "reason": "Précision."}
    headers = {"if-match": f'"{at.noted}"'}
    return Call(f"/api/v1/follow-ups/{at.follow_up}/corrections", corrected, headers=headers)


def _versions(at: Things) -> Call:
    return Call(f"/api/v1/follow-ups/{at.follow_up}/versions")


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
            Actor.RECEPTION: allowed("follow_up.list", fields=f"{_HEAD} {_CORRECTED}"),
            Actor.SUPERVISOR: LikeAssigned("she reads the groups that it is about"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _OWN_CASE,
            Actor.WITHDRAWN_UNOPENED: allowed("follow_up.list", *DESTROYED, fields="items next"),
            # Why the sender corrected it was not handed over.
            Actor.WITHDRAWN_OPENED: allowed(
                "follow_up.list", sees=("target: legal",), fields=f"{_HEAD} {_KIND}"
            ),
            Actor.ASSIGNED: allowed("follow_up.list", sees=("target: social legal reason",)),
        },
        fields=f"{_HEAD} {_KIND} {_CORRECTED} items.reason",
    ),
    Row(
        "POST",
        "/api/v1/follow-ups/{follow_up_id:uuid}/corrections",
        _correct,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            **each(forbidden("case.amend.social"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(_OWN_CASE),
            # Destroyed before it was opened: there is none.
            Actor.WITHDRAWN_UNOPENED: _HIDDEN,
            Actor.ASSIGNED: allowed("follow_up.correct", status=201),
        },
        fields="id version",
    ),
    Row(
        "GET",
        "/api/v1/follow-ups/{follow_up_id:uuid}/versions",
        _versions,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            # That something was corrected, and neither what nor why.
            Actor.RECEPTION: allowed("follow_up.versions", fields=_VERSIONS),
            Actor.SUPERVISOR: LikeAssigned("she reads the groups that it is about"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _OWN_CASE,
            Actor.WITHDRAWN_UNOPENED: _HIDDEN,
            Actor.WITHDRAWN_OPENED: allowed(
                "follow_up.versions", sees=("target: legal",), fields=f"{_VERSIONS} {_KIND}"
            ),
            Actor.ASSIGNED: allowed("follow_up.versions", sees=("target: social legal reason",)),
        },
        fields=f"{_VERSIONS} {_KIND} items.reason",
    ),
)
