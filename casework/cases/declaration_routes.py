"""`/api/v1/me/declaration`."""

from typing import Any

from litestar import Request, Response, get, put
from litestar.params import JSONBody

from casework.act import Act
from casework.cases import declaring
from casework.cases.schemas import Declaration, DeclarationKept
from casework.routing import perform, signed_in

AnyRequest = Request[Any, Any, Any]


@put("/api/v1/me/declaration", opt=signed_in(because="she says it of herself"))
async def declare_oneself(request: AnyRequest, data: JSONBody[Declaration]) -> Response[DeclarationKept]:
    """Declare one’s own names, phones and address, in the place of what was declared before.

    None of it is kept as it is written, and nobody reads it back. The organisation’s auditor sees where it is a
    person’s of whom one has opened the case.
    """

    def declare(act: Act) -> DeclarationKept:
        return declaring.declare_oneself(act, data)

    return await perform(request, declare)


@get("/api/v1/me/declaration", opt=signed_in(because="it tells when she herself declared something"))
async def view_declaration(request: AnyRequest) -> Response[DeclarationKept]:
    """When one declared something about oneself, and nothing of what."""
    return await perform(request, declaring.view_declaration)


ROUTES = (declare_oneself, view_declaration)
