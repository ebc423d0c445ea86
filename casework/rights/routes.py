"""`/api/v1/rights-requests`: erasure, prepared by one person and decided by another."""

from typing import Annotated, Any
from uuid import UUID

import structlog
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from casework.act import Act
from casework.problems import conflicts
from casework.rights import service
from casework.rights.erasing import finish
from casework.rights.schemas import Approval, Certificate, NewRequest, Refusal, RequestPage, RequestView
from casework.rights.states import State
from casework.routing import Made, deployment_of, perform, perform_once, requires
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]
log = structlog.get_logger(__name__)


@post(
    "/api/v1/rights-requests",
    opt=requires(Action.CASE_ERASURE_PREPARE),
    responses=conflicts(
        "already_requested", "handoff_open", "key_not_granted", "legal_hold", "retention_duty"
    ),
)
async def prepare_erasure(request: AnyRequest, data: JSONBody[NewRequest]) -> Response[RequestView]:
    """Ask for the erasure of a case. Nothing is destroyed before somebody else has approved it."""

    def prepare(act: Act) -> Made[RequestView]:
        prepared = service.prepare_erasure(act, data)
        return Made(prepared.id, prepared)

    return await perform_once(request, prepare, service.view_request, status=201)


@get("/api/v1/rights-requests", opt=requires(Action.ERASURE_READ))
async def list_requests(
    request: AnyRequest, only: Annotated[State | None, QueryParameter(name="state")] = None
) -> Response[RequestPage]:
    """The newest requests that the asker may follow: all for the data protection officer, her own for others."""
    return await perform(request, lambda act: service.list_requests(act, only))


@get("/api/v1/rights-requests/{request_id:uuid}", opt=requires(Action.ERASURE_READ))
async def view_request(request: AnyRequest, request_id: FromPath[UUID]) -> Response[RequestView]:
    """One request, and what became of it."""
    return await perform(request, lambda act: service.view_request(act, request_id))


@post(
    "/api/v1/rights-requests/{request_id:uuid}/approval",
    status_code=200,
    opt=requires(Action.ERASURE_APPROVE),
    responses=conflicts("handoff_open", "key_not_granted", "not_as_prepared", "wrong_state"),
)
async def approve_erasure(
    request: AnyRequest, request_id: FromPath[UUID], data: JSONBody[Approval]
) -> Response[RequestView]:
    """Destroy the case: its rows now, their other halves right after, every copy of those within thirty days."""
    organisations: list[UUID] = []

    def approve(act: Act) -> Made[RequestView]:
        organisations.append(act.org_id)
        return Made(request_id, service.approve_erasure(act, request_id, data))

    answer = await perform_once(request, approve, service.view_request)
    for org_id in organisations:
        # The rows are gone for good, whatever becomes of this: what fails here is finished within a minute.
        try:
            await finish(deployment_of(request), org_id, request_id)
        except Exception as error:  # noqa: BLE001 - the answer stands
            log.error("erasure_unfinished", error=type(error).__name__, request=str(request_id))
    return answer


@post(
    "/api/v1/rights-requests/{request_id:uuid}/refusal",
    status_code=200,
    opt=requires(Action.ERASURE_APPROVE),
    responses=conflicts("wrong_state"),
)
async def refuse_erasure(
    request: AnyRequest, request_id: FromPath[UUID], data: JSONBody[Refusal]
) -> Response[RequestView]:
    """Refuse a request, with a code; a legal hold or a duty to keep lasts until its end."""

    def refuse(act: Act) -> Made[RequestView]:
        return Made(request_id, service.refuse_erasure(act, request_id, data))

    return await perform_once(request, refuse, service.view_request)


@get(
    "/api/v1/rights-requests/{request_id:uuid}/certificate",
    opt=requires(Action.ERASURE_READ, Action.JOURNAL_DETAIL),
    responses=conflicts("key_not_granted", "no_certificate"),
)
async def view_certificate(request: AnyRequest, request_id: FromPath[UUID]) -> Response[Certificate]:
    """What was destroyed, by which roles, when, and when it reaches the last backup. It names nobody."""
    return await perform(request, lambda act: service.view_certificate(act, request_id))


ROUTES = (
    prepare_erasure,
    list_requests,
    view_request,
    approve_erasure,
    refuse_erasure,
    view_certificate,
)
