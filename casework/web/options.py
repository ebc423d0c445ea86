"""`OPTIONS` of a path: every method that it takes."""

from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.routes import HTTPRoute


def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """The answer to an OPTIONS request, and None for any other.

    Litestar's own names the methods of the handler of a path that was registered first, and leaves out the others.
    """
    if request.method != HttpMethod.OPTIONS:
        return None
    template = request.scope["path_template"]
    methods = {
        str(method)
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == template
        for method in route.methods
    }
    return Response(content=None, status_code=204, headers={"allow": ", ".join(sorted(methods))})
