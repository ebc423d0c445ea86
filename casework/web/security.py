"""Headers of every answer: nothing is cached, framed, sniffed, or loaded from elsewhere."""

from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

STATIC_PREFIX: Final = "/static/"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
)
_NEVER_KEPT = (b"cache-control", b"no-store")
_REVALIDATED = (b"cache-control", b"no-cache")
_NAMES = frozenset(name for name, _ in (*_HEADERS, _NEVER_KEPT))


def secure_headers(app: ASGIApp) -> ASGIApp:
    """Put the headers on every answer, errors and static files included."""

    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        # Our own scripts and styles name nobody: they may be kept, and are asked about each time.
        of_nobody = str(scope.get("path", "")).startswith(STATIC_PREFIX)
        headers = (*_HEADERS, _REVALIDATED if of_nobody else _NEVER_KEPT)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in _NAMES]
                message["headers"] = [*kept, *headers]
            await send(message)

        await app(scope, receive, with_headers if scope["type"] == ScopeType.HTTP else send)

    return secured
