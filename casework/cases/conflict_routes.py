"""`/api/v1/me/conflicts`."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody

from casework.act import Act
from casework.cases import conflicting
from casework.cases.schemas import ConflictList, ConflictView, ConflictWithdrawal, NewConflict
from casework.problems import conflicts
from casework.routing import Made, perform, perform_once, requires, signed_in
from policies.vocabulary import Action

AnyRequest = Request[Any, Any, Any]


@post(
    "/api/v1/me/conflicts",
    opt=requires(Action.CASE_LIST),
    responses=conflicts("key_not_granted", "too_many_conflicts"),
)
async def declare_conflict(request: AnyRequest, data: JSONBody[NewConflict]) -> Response[ConflictView]:
    """Declare a person whose cases must be closed to oneself, by her names or a phone.

    None of it is kept as it is written, and nobody reads it back. The answer does not tell whether there is a case.
    """

    def declare(act: Act) -> Made[ConflictView]:
        view = conflicting.declare(act, data)
        return Made(view.id, view)

    return await perform_once(request, declare, conflicting.view, status=201)


@get("/api/v1/me/conflicts", opt=signed_in(because="it tells when she herself declared a conflict"))
async def list_conflicts(request: AnyRequest) -> Response[ConflictList]:
    """When one declared which conflict, and nothing of whom."""
    return await perform(request, conflicting.view_declared)


@post(
    "/api/v1/me/conflicts/{conflict_id:uuid}/withdrawal",
    status_code=200,
    opt=requires(Action.CASE_LIST),
)
async def withdraw_conflict(
    request: AnyRequest, conflict_id: FromPath[UUID], data: JSONBody[ConflictWithdrawal]
) -> Response[ConflictView]:
    """Take back a conflict that one declared, with a reason; needs a step-up."""
    return await perform(request, lambda act: conflicting.withdraw(act, conflict_id, data.reason))


ROUTES = (declare_conflict, list_conflicts, withdraw_conflict)
