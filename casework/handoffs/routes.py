"""`/api/v1/cases/{id}/handoffs`, `/api/v1/handoffs`, and the withdrawal of a consent."""

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from casework.act import Act
from casework.consents.schemas import ConsentRecorded, NewConsent, Withdrawal, Withdrawn
from casework.handoffs import drafting, receiving, sending, service
from casework.handoffs.schemas import (
    Acceptance,
    Accepted,
    Asked,
    Draft,
    EnvelopePage,
    Moved,
    NewHandoff,
    Outcome,
    Refusal,
    Sent,
)
from casework.handoffs.states import Side
from casework.problems import conflicts
from casework.routing import Made, perform, perform_once, requires
from policies.vocabulary import Action, Stage

AnyRequest = Request[Any, Any, Any]


@post(
    "/api/v1/cases/{case_id:uuid}/handoffs",
    opt=requires(Action.HANDOFF_DRAFT),
    responses=conflicts("wrong_state"),
)
async def draft_handoff(
    request: AnyRequest, case_id: FromPath[UUID], data: JSONBody[NewHandoff]
) -> Response[Draft]:
    """Freeze what would be sent; the preview is what the person is shown."""

    def draft(act: Act) -> Made[Draft]:
        drafted = drafting.draft_handoff(act, case_id, data)
        return Made(drafted.id, drafted)

    return await perform_once(request, draft, service.review_draft, status=201)


@get("/api/v1/handoffs", opt=requires(Action.HANDOFF_READ))
async def list_handoffs(
    request: AnyRequest,
    box: FromQuery[Literal["sent", "received"]],
    stage: Annotated[Stage | None, QueryParameter(name="state")] = None,
    without_outcome: FromQuery[bool] = False,
) -> Response[EnvelopePage]:
    """Envelopes only, of one box, the newest first; `without_outcome`: those that await one, the oldest first."""
    side = Side.SENDER if box == "sent" else Side.RECEIVER
    return await perform(
        request, lambda act: service.list_envelopes(act, side, stage, without_outcome=without_outcome)
    )


@get(
    "/api/v1/handoffs/{handoff_id:uuid}/preview",
    opt=requires(Action.HANDOFF_DRAFT),
    responses=conflicts("wrong_state"),
)
async def review_draft(request: AnyRequest, handoff_id: FromPath[UUID]) -> Response[Draft]:
    """The frozen content again, on the sender's side."""
    return await perform(request, lambda act: service.review_draft(act, handoff_id))


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/consent",
    opt=requires(Action.CONSENT_RECORD),
    responses=conflicts("digest_mismatch", "consent_not_live", "wrong_state"),
)
async def give_consent(
    request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[NewConsent]
) -> Response[ConsentRecorded]:
    """Record the person's consent to exactly the drafted content."""

    def consent(act: Act) -> Made[ConsentRecorded]:
        return Made(handoff_id, service.give_consent(act, handoff_id, data))

    return await perform_once(request, consent, service.review_consent, status=201)


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/sending",
    status_code=200,
    opt=requires(Action.HANDOFF_SEND),
    responses=conflicts(
        "consent_needed",
        "consent_not_live",
        "digest_mismatch",
        "source_changed",
        "not_readable",
        "wrong_state",
    ),
)
async def send(request: AnyRequest, handoff_id: FromPath[UUID]) -> Response[Sent]:
    """Seal the content to the receiver and send it."""
    return await perform_once(
        request, lambda act: Made(handoff_id, sending.send(act, handoff_id)), sending.review_sending
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/acknowledgement",
    status_code=200,
    opt=requires(Action.HANDOFF_DECLINE),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def acknowledge(request: AnyRequest, handoff_id: FromPath[UUID]) -> Response[Moved]:
    """Say that it arrived and will be answered."""
    return await perform_once(
        request, lambda act: Made(handoff_id, receiving.acknowledge(act, handoff_id)), service.review_state
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/question",
    status_code=200,
    opt=requires(Action.HANDOFF_DECLINE),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def ask(request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Asked]) -> Response[Moved]:
    """Ask the sender, in a code, for what is needed before an answer."""
    return await perform_once(
        request, lambda act: Made(handoff_id, receiving.ask(act, handoff_id, data)), service.review_state
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/acceptance",
    status_code=200,
    opt=requires(Action.HANDOFF_ACCEPT),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def accept(
    request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Acceptance]
) -> Response[Accepted]:
    """Take responsibility for what was sent; needs no key."""
    return await perform_once(
        request,
        lambda act: Made(handoff_id, receiving.accept(act, handoff_id, data)),
        receiving.review_acceptance,
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/refusal",
    status_code=200,
    opt=requires(Action.HANDOFF_DECLINE),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def refuse(request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Refusal]) -> Response[Moved]:
    """Decline with a code and a next step."""
    return await perform_once(
        request, lambda act: Made(handoff_id, receiving.refuse(act, handoff_id, data)), service.review_state
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/outcome",
    status_code=200,
    opt=requires(Action.HANDOFF_OUTCOME),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def report_outcome(
    request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Outcome]
) -> Response[Moved]:
    """Tell the sender in a code what became of it."""
    return await perform_once(
        request,
        lambda act: Made(handoff_id, receiving.report_outcome(act, handoff_id, data)),
        service.review_state,
    )


@post(
    "/api/v1/handoffs/{handoff_id:uuid}/cancellation",
    status_code=200,
    opt=requires(Action.HANDOFF_CANCEL),
    responses=conflicts("consent_not_live", "wrong_state"),
)
async def cancel(request: AnyRequest, handoff_id: FromPath[UUID]) -> Response[Moved]:
    """Take a handoff back before it is taken on."""
    return await perform_once(
        request, lambda act: Made(handoff_id, service.cancel(act, handoff_id)), service.review_state
    )


@post("/api/v1/consents/{consent_id:uuid}/withdrawal", status_code=200, opt=requires(Action.CONSENT_WITHDRAW))
async def withdraw(
    request: AnyRequest, consent_id: FromPath[UUID], data: JSONBody[Withdrawal]
) -> Response[Withdrawn]:
    """Withdraw a consent, at any moment."""
    return await perform_once(
        request,
        lambda act: Made(consent_id, service.withdraw(act, consent_id, data)),
        service.review_withdrawal,
    )


ROUTES = (
    draft_handoff,
    list_handoffs,
    review_draft,
    give_consent,
    send,
    acknowledge,
    ask,
    accept,
    refuse,
    report_outcome,
    cancel,
    withdraw,
)
