"""`/api/v1/cases`."""

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
    not_now,
    others,
    withdrawn,
    without_content,
)

_HIDDEN = hidden("case.open")
# On the receiver's new case each group whose part was destroyed unopened is refused once, and then is empty.
DESTROYED = ("handoff.open denied consent_not_live",) * 7
_STILL_HERS = LikeAssigned("her own organisation's case is hers as before: the withdrawal ends what left it")
_OWN_CREATION = LikeAssigned("it opens a case in her own organisation, and touches no other")


def _open(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}")


def _create(at: Things) -> Call:
    return Call("/api/v1/cases", {"public": "seeking", "identity": {"name_in_use": "Inès"}})


def _change(at: Things) -> Call:
    headers = {"if-match": f'"{at.version}"'}
    return Call(f"/api/v1/cases/{at.case}/groups/social", {"summary": "Hébergée."}, headers=headers)


def _assign(at: Things) -> Call:
    return Call(f"/api/v1/cases/{at.case}/assignments", {"members": [at.member]})


ROWS = (
    Row(
        "POST",
        "/api/v1/cases",
        _create,
        {
            **ANONYMOUS,
            **each(_OWN_CREATION, Actor.UNASSIGNED, Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(forbidden("case.create")),
            **each(_OWN_CREATION, Actor.FOREIGN, Actor.PARTNER),
            **withdrawn(_OWN_CREATION),
            Actor.ASSIGNED: allowed("case.create", status=201),
        },
        fields="id status version",
    ),
    Row(
        "GET",
        "/api/v1/cases",
        lambda _: Call("/api/v1/cases"),
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: allowed("case.list", sees=("avec_jurist: identity",)),
            **each(
                allowed(
                    "case.list",
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
            **without_content(allowed("case.list", fields="items next count count_is_capped")),
            Actor.FOREIGN: allowed("case.list", sees=("planning_health: identity",)),
            # Her own cases: of the target what was handed over, of the recalled what was opened in time.
            **each(
                allowed(
                    "case.list", sees=("cidff_jurist: identity", "target: identity", "recalled: identity")
                ),
                Actor.PARTNER,
            ),
            **each(
                allowed("case.list", sees=("cidff_jurist: identity", "shared: identity", "target: identity")),
                Actor.WITHDRAWN_UNOPENED,
                Actor.WITHDRAWN_OPENED,
            ),
            Actor.WITHDRAWN_SENDER: allowed(
                "case.list",
                sees=("target: identity", "shared: identity", "closed: identity", "restricted: identity"),
            ),
            Actor.ASSIGNED: allowed(
                "case.list",
                sees=("target: identity", "recalled: identity", "closed: identity", "restricted: identity"),
            ),
        },
        fields="items next count count_is_capped items.id items.status items.identity",
    ),
    Row(
        "GET",
        "/api/v1/cases/{case_id:uuid}",
        _open,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: allowed("case.open", sees=("target: identity contact intake",)),
            Actor.SUPERVISOR: allowed("case.open", sees=("target: identity intake safety social legal",)),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _STILL_HERS,
            Actor.WITHDRAWN_UNOPENED: allowed("case.open", *DESTROYED),
            # What was opened while the consent was live cannot be unread.
            Actor.WITHDRAWN_OPENED: allowed("case.open", sees=("target: identity legal",)),
            Actor.ASSIGNED: allowed(
                "case.open", sees=("target: identity contact intake safety social legal family",)
            ),
        },
        fields="id status version groups versions withheld",
    ),
    Row(
        "PATCH",
        "/api/v1/cases/{case_id:uuid}/groups/{group:str}",
        _change,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            **each(forbidden("case.record.social"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            Actor.WITHDRAWN_SENDER: _STILL_HERS,
            Actor.WITHDRAWN_UNOPENED: not_now("case.record.social", "arrival_unopened"),
            Actor.WITHDRAWN_OPENED: LikeAssigned("the case is her own organisation's by now"),
            Actor.ASSIGNED: allowed("case.record"),
        },
        fields="version",
    ),
    Row(
        "PUT",
        "/api/v1/cases/{case_id:uuid}/assignments",
        _assign,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: _HIDDEN,
            Actor.RECEPTION: forbidden("case.assign"),
            Actor.SUPERVISOR: allowed("case.assign"),
            **without_content(_HIDDEN),
            **others(_HIDDEN),
            **withdrawn(LikeAssigned("who works on a case is no matter of a consent")),
            # Whoever works on a case does not choose who else does.
            Actor.ASSIGNED: forbidden("case.assign"),
        },
        fields="members teams",
    ),
)
