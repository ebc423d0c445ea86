"""The HTTP side of a witness: `POST /add-checkpoint`, exactly as C2SP tlog-witness says, and nothing else."""

from typing import Any

import structlog
from litestar import Litestar, Request, Response, post
from litestar.exceptions import HTTPException
from litestar.params import RawBody

from audit.witness import (
    MAX_REQUEST_BYTES,
    LogUnknown,
    OtherHeadSigned,
    ProofFails,
    RequestMalformed,
    SignatureMissing,
    Witness,
    WitnessRefused,
)
from casework.logs import access_log

log = structlog.get_logger(__name__)

SIZE_TYPE = "text/x.tlog.size"
_STATUS: dict[type[WitnessRefused], int] = {
    RequestMalformed: 400,
    SignatureMissing: 403,
    LogUnknown: 404,
    OtherHeadSigned: 409,
    ProofFails: 422,
}


def create_witness_app(witness: Witness) -> Litestar:
    """The application of one witness. What it answers is signed by then, and what is signed is remembered."""

    @post("/add-checkpoint", status_code=200, sync_to_thread=True)
    def add_checkpoint(body: RawBody) -> Response[bytes]:
        try:
            line = witness.add_checkpoint(body)
        except OtherHeadSigned as refused:
            return _answer(409, f"{refused.size}\n", SIZE_TYPE)
        except WitnessRefused as refused:
            return _answer(_STATUS[type(refused)], "", "text/plain")
        return _answer(200, line, "text/plain; charset=utf-8")

    app = Litestar(
        route_handlers=[add_checkpoint],
        exception_handlers={Exception: _failed},
        request_max_body_size=MAX_REQUEST_BYTES,
        openapi_config=None,
        debug=False,
        logging_config=None,
    )
    app.asgi_handler = access_log(app.asgi_handler)
    return app


def _answer(status: int, text: str, kind: str) -> Response[bytes]:
    # The type as it is: the framework would add a charset to the protocol's own.
    return Response(text.encode(), status_code=status, headers={"content-type": kind})


def _failed(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Without a word of what was sent. A memory that is gone or unreadable signs nothing until somebody looked."""
    if isinstance(error, HTTPException):
        return _answer(error.status_code, "", "text/plain")
    log.critical("witness_failed", error=type(error).__name__)
    return _answer(500, "", "text/plain")
