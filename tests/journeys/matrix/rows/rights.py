"""`/api/v1/rights-requests`: prepared by the worker of a case, decided by the data protection officer."""

from tests.casework.rights.requests import approval
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
    not_now,
    others,
    without_content,
)

_SHOWN = "id kind state basis prepared_at case_id reason decided_at ground keep_until completed_at"
# Of whoever may follow neither it nor any other: who prepared it, and the officer, may.
_NOT_HERS = members(hidden("erasure.read"))
_NO_MATTER = LikeAssigned("she prepared it, and no consent has to do with it")


def _prepare(at: Things) -> Call:
    wanted = {"kind": "erasure", "case_id": at.case, "basis": "objection", "reason": "Elle le demande."}
    return Call("/api/v1/rights-requests", wanted)


def _one(at: Things) -> Call:
    return Call(f"/api/v1/rights-requests/{at.request}")


def _certificate(at: Things) -> Call:
    return Call(f"/api/v1/rights-requests/{at.request}/certificate")


def _approve(at: Things) -> Call:
    return Call(f"/api/v1/rights-requests/{at.request}/approval", approval(at.asked))


def _refuse(at: Things) -> Call:
    return Call(f"/api/v1/rights-requests/{at.request}/refusal", {"ground": "not_entitled"})


def _decided(done: Cell) -> dict[Actor, Cell | LikeAssigned]:
    """Who decides: the officer alone, and not even she who prepared it."""
    return {
        **ANONYMOUS,
        **members(hidden("erasure.approve")),
        Actor.DPO: done,
        Actor.WITHDRAWN_SENDER: _NO_MATTER,
        Actor.ASSIGNED: forbidden("erasure.approve"),
    }


ROWS = (
    Row(
        "POST",
        "/api/v1/rights-requests",
        _prepare,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: hidden("case.open"),
            Actor.RECEPTION: forbidden("case.erasure_prepare"),
            Actor.SUPERVISOR: LikeAssigned("she prepares it where the worker has left"),
            **without_content(hidden("case.open")),
            **others(hidden("case.open")),
            Actor.WITHDRAWN_SENDER: allowed("case.erasure_prepare", status=201),
            # A handoff by which the case came is over once its consent is.
            **each(
                allowed("case.erasure_prepare", status=201), Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED
            ),
            # Of the target a handoff was offered that nobody has answered.
            Actor.ASSIGNED: not_now("case.erasure_prepare", "handoff_open"),
        },
        fields=_SHOWN,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "GET",
        "/api/v1/rights-requests",
        lambda _: Call("/api/v1/rights-requests"),
        {
            **ANONYMOUS,
            # She has prepared none, and is shown nobody else's.
            **members(allowed("erasure.list", fields="items")),
            Actor.DPO: LikeAssigned("the officer follows them all"),
            Actor.WITHDRAWN_SENDER: _NO_MATTER,
            Actor.ASSIGNED: allowed("erasure.list"),
        },
        fields="items items.id items.state items.basis items.prepared_at",
        stage=Stage.ERASURE_PREPARED,
    ),
    Row(
        "GET",
        "/api/v1/rights-requests/{request_id:uuid}",
        _one,
        {
            **ANONYMOUS,
            **_NOT_HERS,
            # Whoever decides is told why it is asked for.
            Actor.DPO: allowed("erasure.read", sees=("target: motive",)),
            Actor.WITHDRAWN_SENDER: _NO_MATTER,
            Actor.ASSIGNED: allowed("erasure.read"),
        },
        fields=_SHOWN,
        stage=Stage.ERASURE_PREPARED,
    ),
    Row(
        "POST",
        "/api/v1/rights-requests/{request_id:uuid}/approval",
        _approve,
        _decided(allowed("erasure.approve", "erasure.complete")),
        fields=f"{_SHOWN} receipt",
        stage=Stage.ERASURE_PREPARED,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/rights-requests/{request_id:uuid}/refusal",
        _refuse,
        _decided(allowed("erasure.refuse")),
        fields=_SHOWN,
        stage=Stage.ERASURE_PREPARED,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "GET",
        "/api/v1/rights-requests/{request_id:uuid}/certificate",
        _certificate,
        {
            **ANONYMOUS,
            **_NOT_HERS,
            Actor.DPO: allowed("erasure.certificate"),
            Actor.WITHDRAWN_SENDER: _NO_MATTER,
            # It is made of what the journal's readers alone open.
            Actor.ASSIGNED: forbidden("journal.detail"),
        },
        fields=(
            "request organisation basis prepared_by prepared_at approved_by approved_at destroyed groups"
            " complete_after rests_on what_stays text"
        ),
        stage=Stage.ERASED,
    ),
)
