"""`/api/v1/cases/{id}/ledger`: what a person is told of who consulted her file."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath

from casework.act import Act
from casework.audit_review.ledger import Ledger, make_ledger, to_pdf
from casework.routing import perform, requires
from policies.vocabulary import Action

_HOLDERS = requires(Action.CASE_EXPORT_PREPARE, Action.CASE_EXPORT_APPROVE)
AnyRequest = Request[Any, Any, Any]


@get("/api/v1/cases/{case_id:uuid}/ledger", opt=_HOLDERS)
async def view_ledger(request: AnyRequest, case_id: FromPath[UUID]) -> Response[Ledger]:
    """Days, roles and purposes of who read, changed or handed over the person's data; never a name.

    For a rights request. Read her the `warning` before she takes anything along.
    """
    return await perform(request, lambda act: make_ledger(act, case_id))


@get("/api/v1/cases/{case_id:uuid}/ledger.pdf", opt=_HOLDERS, media_type="application/pdf")
async def print_ledger(request: AnyRequest, case_id: FromPath[UUID]) -> Response[bytes]:
    """The same on paper (PDF/UA-1), the warning first, without the number of the case."""
    made: list[Ledger] = []

    def make(act: Act) -> None:
        made.append(make_ledger(act, case_id))

    await perform(request, make)
    return Response(
        content=await asyncio.to_thread(to_pdf, made[-1]),
        media_type="application/pdf",
        headers={"content-disposition": 'attachment; filename="releve.pdf"'},
    )


ROUTES = (view_ledger, print_ledger)
