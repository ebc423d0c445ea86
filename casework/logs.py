"""Logs: JSON lines of ids and codes. The access log names the route's template, never the path that was asked."""

import logging
import sys
import time
from typing import Any
from uuid import uuid4

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("access")


def configure() -> None:
    """Set structlog up for the process; nothing renders local variables or exception texts."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def access_log(app: ASGIApp) -> ASGIApp:
    """Log one line for each request: method, route, status, milliseconds, and nothing that was sent.

    The id is the one that the request's journal entries carry.
    """

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = uuid4()
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, note)
        finally:
            elapsed = round((time.perf_counter() - began) * 1_000, 1)
            log.info(
                "request",
                id=str(request_id),
                method=_method(scope),
                route=_route(scope),
                status=status,
                ms=elapsed,
            )

    return logged


def _method(scope: Any) -> str:
    method = str(scope.get("method", ""))
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"


def _route(scope: Any) -> str:
    return str(scope.get("path_template") or "unmatched")
