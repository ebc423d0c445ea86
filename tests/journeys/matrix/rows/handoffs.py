"""`/api/v1/cases/{id}/handoffs`, `/api/v1/handoffs` and `/api/v1/consents`."""

from typing import Any

from tests.casework.story import handoff
from tests.journeys.matrix.actors import Actor, Side, Stage, Things
from tests.journeys.matrix.cells import (
    ANONYMOUS,
    Call,
    LikeAssigned,
    Row,
    Spoils,
    allowed,
    each,
    forbidden,
    hidden,
    not_now,
    others,
    unjournaled,
    withdrawn,
    without_content,
)
from tests.journeys.matrix.rows.cases import DESTROYED

_ENVELOPE = (
    "items items.id items.state items.from items.to items.kind items.urgency items.sent_at items.due_at"
)
_RECEIVERS = (Actor.WITHDRAWN_UNOPENED, Actor.WITHDRAWN_OPENED)


def _draft(at: Things) -> Call:
    to = "avec" if at.login.startswith("cidff.") else "cidff"
    return Call(f"/api/v1/cases/{at.case}/handoffs", handoff("identity", to=to, service="accueil"))


def _list(at: Things) -> Call:
    box = "sent" if at.login.startswith("avec.") else "received"
    return Call("/api/v1/handoffs", params={"box": box})


def _preview(at: Things) -> Call:
    return Call(f"/api/v1/handoffs/{at.handoff}/preview")


def _consent(at: Things) -> Call:
    given = {"content_digest": at.digest, "means": "written", "language": "fr", "safe_contact_checked": True}
    return Call(f"/api/v1/handoffs/{at.handoff}/consent", given)


def _move(name: str, body: Any = None) -> Any:
    return lambda at: Call(f"/api/v1/handoffs/{at.handoff}/{name}", body)


def _withdraw(at: Things) -> Call:
    return Call(f"/api/v1/consents/{at.consent}/withdrawal", {"means": "oral"})


ROWS = (
    Row(
        "POST",
        "/api/v1/cases/{case_id:uuid}/handoffs",
        _draft,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: hidden("case.open"),
            **each(forbidden("handoff.draft"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(hidden("case.open")),
            **others(hidden("case.open")),
            Actor.WITHDRAWN_SENDER: LikeAssigned("a new handoff asks for a new consent: it may be prepared"),
            Actor.WITHDRAWN_UNOPENED: allowed("handoff.preview", "handoff.draft", *DESTROYED, status=201),
            Actor.WITHDRAWN_OPENED: LikeAssigned("the case is her own organisation's by now"),
            Actor.ASSIGNED: allowed(
                "handoff.preview", "handoff.draft", status=201, sees=("target: identity",)
            ),
        },
        fields="id state content_digest preview",
    ),
    Row(
        "GET",
        "/api/v1/handoffs",
        _list,
        {
            **ANONYMOUS,
            **each(allowed("handoff.list", fields="items"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: LikeAssigned("she follows all the handoffs of the organisation"),
            **each(allowed("handoff.list", fields="items"), Actor.AUDITOR, Actor.CUSTODIAN, Actor.FOREIGN),
            # States alone: what it is about is sealed to the intake.
            Actor.DPO: allowed("handoff.list", fields=_ENVELOPE),
            Actor.PARTNER: LikeAssigned("the other side sees the envelopes that were sent to her"),
            **withdrawn(
                allowed("handoff.list", sees=("target: service", "shared: service")),
            ),
            Actor.ASSIGNED: allowed("handoff.list", sees=("target: service", "recalled: service")),
        },
        fields=f"{_ENVELOPE} items.service items.groups",
    ),
    Row(
        "GET",
        "/api/v1/handoffs/{handoff_id:uuid}/preview",
        _preview,
        {
            **ANONYMOUS,
            **each(hidden("handoff.read"), Actor.UNASSIGNED, Actor.RECEPTION, Actor.AUDITOR, Actor.CUSTODIAN),
            Actor.SUPERVISOR: LikeAssigned(
                "she reads these groups of every case, so also what of them is sent"
            ),
            # She may follow the handoff, and not open the case.
            Actor.DPO: hidden("case.open"),
            **others(hidden("handoff.draft")),
            Actor.WITHDRAWN_SENDER: LikeAssigned("it is her own case's content, and stays hers"),
            **each(
                unjournaled(
                    409, "wrong_state", "a preview is the sender's alone: nothing is decided or read"
                ),
                *_RECEIVERS,
            ),
            Actor.ASSIGNED: allowed("handoff.preview", sees=("target: identity legal",)),
        },
        fields="id state content_digest preview",
        stage=Stage.DRAFT,
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/consent",
        _consent,
        {
            **ANONYMOUS,
            Actor.UNASSIGNED: hidden("case.open"),
            **each(forbidden("consent.record"), Actor.RECEPTION, Actor.SUPERVISOR),
            **without_content(hidden("case.open")),
            **others(hidden("consent.record")),
            **withdrawn(not_now("consent.record", "wrong_state")),
            Actor.ASSIGNED: allowed("consent.record", status=201),
        },
        fields="consent_id state expires_at receipt",
        stage=Stage.DRAFT,
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/sending",
        _move("sending"),
        {
            **ANONYMOUS,
            **each(hidden("handoff.send"), Actor.UNASSIGNED, Actor.RECEPTION, Actor.AUDITOR, Actor.CUSTODIAN),
            **each(forbidden("handoff.send"), Actor.SUPERVISOR, Actor.DPO),
            **others(hidden("handoff.send")),
            **withdrawn(not_now("handoff.send", "wrong_state")),
            Actor.ASSIGNED: allowed("handoff.prepare", "handoff.send", "cidff: handoff.arrive"),
        },
        fields="state receipt",
        stage=Stage.CONSENTED,
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/cancellation",
        _move("cancellation"),
        {
            **ANONYMOUS,
            **each(hidden("handoff.cancel"), Actor.UNASSIGNED, Actor.RECEPTION),
            Actor.SUPERVISOR: LikeAssigned("she may take any handoff of the organisation back"),
            **each(hidden("handoff.cancel"), Actor.AUDITOR, Actor.CUSTODIAN, Actor.FOREIGN),
            # Both read the envelope; neither takes it back.
            **each(forbidden("handoff.cancel"), Actor.DPO, Actor.PARTNER, *_RECEIVERS),
            Actor.WITHDRAWN_SENDER: not_now("handoff.cancel", "wrong_state"),
            Actor.ASSIGNED: allowed("handoff.cancel", "cidff: handoff.cancelled"),
        },
        fields="state receipt",
        stage=Stage.SENT,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/acceptance",
        _move("acceptance", {}),
        {
            **ANONYMOUS,
            **each(
                hidden("handoff.accept"), Actor.UNASSIGNED, Actor.RECEPTION, Actor.AUDITOR, Actor.CUSTODIAN
            ),
            Actor.SUPERVISOR: LikeAssigned("she may take on what was sent to her organisation"),
            Actor.DPO: forbidden("handoff.accept"),
            **others(hidden("handoff.accept")),
            Actor.WITHDRAWN_SENDER: hidden("handoff.accept"),
            **each(not_now("handoff.accept", "wrong_state"), *_RECEIVERS),
            Actor.ASSIGNED: allowed("handoff.accept", "avec: handoff.accepted"),
        },
        fields="case_id receipt",
        side=Side.RECEIVER,
        stage=Stage.SENT,
        spoils=Spoils.THE_THING,
    ),
    *(
        Row(
            "POST",
            f"/api/v1/handoffs/{{handoff_id:uuid}}/{name}",
            _move(name, body),
            {
                **ANONYMOUS,
                **each(
                    hidden("handoff.decline"),
                    Actor.UNASSIGNED,
                    Actor.RECEPTION,
                    Actor.AUDITOR,
                    Actor.CUSTODIAN,
                ),
                Actor.SUPERVISOR: LikeAssigned("she answers what was sent to her organisation"),
                Actor.DPO: forbidden("handoff.decline"),
                **others(hidden("handoff.decline")),
                Actor.WITHDRAWN_SENDER: hidden("handoff.decline"),
                **each(not_now("handoff.decline", "wrong_state"), *_RECEIVERS),
                Actor.ASSIGNED: allowed(done, f"avec: {told}"),
            },
            fields="state",
            side=Side.RECEIVER,
            stage=Stage.SENT,
            spoils=Spoils.THE_THING,
        )
        for name, body, done, told in (
            ("acknowledgement", None, "handoff.acknowledge", "handoff.acknowledged"),
            ("question", {"question": "which_need"}, "handoff.ask", "handoff.asked"),
        )
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/refusal",
        _move("refusal", {"reason_code": "no_capacity", "next_step": "try_later"}),
        {
            **ANONYMOUS,
            **each(
                hidden("handoff.decline"), Actor.UNASSIGNED, Actor.RECEPTION, Actor.AUDITOR, Actor.CUSTODIAN
            ),
            Actor.SUPERVISOR: LikeAssigned("she may decline what was sent to her organisation"),
            Actor.DPO: forbidden("handoff.decline"),
            **others(hidden("handoff.decline")),
            Actor.WITHDRAWN_SENDER: hidden("handoff.decline"),
            **each(not_now("handoff.decline", "wrong_state"), *_RECEIVERS),
            Actor.ASSIGNED: allowed("handoff.decline", "avec: handoff.declined"),
        },
        fields="state receipt",
        side=Side.RECEIVER,
        stage=Stage.SENT,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/handoffs/{handoff_id:uuid}/outcome",
        _move("outcome", {"state": "scheduled"}),
        {
            **ANONYMOUS,
            **each(
                hidden("handoff.outcome"), Actor.UNASSIGNED, Actor.RECEPTION, Actor.AUDITOR, Actor.CUSTODIAN
            ),
            Actor.SUPERVISOR: LikeAssigned("she follows all the handoffs of the organisation"),
            Actor.DPO: forbidden("handoff.outcome"),
            **others(hidden("handoff.outcome")),
            Actor.WITHDRAWN_SENDER: hidden("handoff.outcome"),
            **each(not_now("handoff.outcome", "wrong_state"), *_RECEIVERS),
            Actor.ASSIGNED: allowed("handoff.outcome", "avec: handoff.outcome"),
        },
        fields="state",
        side=Side.RECEIVER,
        spoils=Spoils.THE_THING,
    ),
    Row(
        "POST",
        "/api/v1/consents/{consent_id:uuid}/withdrawal",
        _withdraw,
        {
            **ANONYMOUS,
            # A person withdraws at whichever desk she stands: everybody who meets people takes it.
            **each(
                LikeAssigned("whoever meets people takes a withdrawal, at any moment"),
                Actor.UNASSIGNED,
                Actor.RECEPTION,
                Actor.SUPERVISOR,
            ),
            **without_content(hidden("case.open")),
            **others(hidden("consent.withdraw")),
            Actor.WITHDRAWN_SENDER: allowed("consent.withdraw"),
            **each(hidden("consent.withdraw"), *_RECEIVERS),
            Actor.ASSIGNED: allowed("consent.withdraw", "handoff.withdraw", "cidff: handoff.withdrawn"),
        },
        fields="effects receipt",
        spoils=Spoils.THE_THING,
    ),
)
