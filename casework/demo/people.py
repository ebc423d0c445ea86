"""People of the demo at the API: signed in with both factors, asking over HTTP and nothing else."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
import pyotp

from casework.clock import Clock
from casework.demo.directory import Account
from casework.identity.totp import STEP_SECONDS

API = "/api/v1"
_TRIES = 3

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


class UnexpectedAnswer(Exception):
    """The service answered something else than it must; the message names statuses and codes, no content."""

    def __init__(self, method: str, path: str, expected: int, answer: httpx.Response) -> None:
        code = _code(answer)
        super().__init__(
            f"{method} {path} : attendu {expected}, reçu {answer.status_code}{f' ({code})' if code else ''}"
        )


@dataclass(slots=True)
class Authenticator:
    """Shows codes of RFC 6238. A code is good once: `waiting` is told how long the next one takes to come."""

    clock: Clock
    pause: Pause
    waiting: Callable[[int], None]

    def code(self, account: Account, *, earlier: int = 0) -> str:
        """The code of the present step, or of one `earlier`."""
        return pyotp.TOTP(account.totp_secret).at(int(self.clock.now().timestamp()), counter_offset=-earlier)

    async def wait_for_the_next_code(self) -> None:
        seconds = STEP_SECONDS - int(self.clock.now().timestamp()) % STEP_SECONDS
        self.waiting(seconds)
        await self.pause(seconds)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in."""

    account: Account
    member_id: UUID
    http: httpx.AsyncClient = field(repr=False)
    token: str = field(repr=False)

    async def ask(self, method: str, path: str, expect: int, body: object = None, **headers: str) -> Any:
        """The answer's JSON, or its bytes where it is something else.

        Raises:
            UnexpectedAnswer: another status than `expect`.

        """
        answer = await _ask(self.http, method, path, expect, body, self.token, headers)
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.content

    async def get(self, path: str, expect: int = HTTPStatus.OK) -> Any:
        return await self.ask("GET", path, expect)

    async def post(self, path: str, body: object = None, expect: int = HTTPStatus.CREATED) -> Any:
        """POST under an Idempotency-Key of its own."""
        key = {"idempotency-key": secrets.token_hex(16)}
        return await self.ask("POST", path, expect, body, **key)

    async def step_up(self) -> None:
        """Give the password again, for five minutes of sensitive acts."""
        path = "/sessions/current/step-up"
        await self.ask("POST", path, HTTPStatus.NO_CONTENT, {"password": self.account.password})

    async def sign_out(self) -> None:
        await self.ask("DELETE", "/sessions/current", HTTPStatus.NO_CONTENT)


async def sign_in(
    http: httpx.AsyncClient, account: Account, authenticator: Authenticator, *, earlier: int = 0
) -> Person:
    """Sign in with password and code, waiting for the next code where this one was used.

    `earlier` begins with the code of a step before, so that the present one stays good for somebody else.

    Raises:
        UnexpectedAnswer: password or code are refused.

    """
    credentials = {"login": account.login, "password": account.password}
    begun = await _ask(http, "POST", "/sessions", HTTPStatus.CREATED, credentials)
    token = begun.json()["token"]
    path = "/sessions/current/second-factor"
    for left in reversed(range(_TRIES)):
        code = {"code": authenticator.code(account, earlier=earlier)}
        answer = await _send(http, "POST", path, code, token, {})
        if answer.status_code == HTTPStatus.OK:
            break
        if answer.status_code != HTTPStatus.UNAUTHORIZED or not left:
            raise UnexpectedAnswer("POST", path, HTTPStatus.OK, answer)
        if not earlier:
            await authenticator.wait_for_the_next_code()
        earlier = 0
    me = await _ask(http, "GET", "/me", HTTPStatus.OK, None, token)
    return Person(account, UUID(me.json()["member_id"]), http, token)


async def _ask(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    expect: int,
    body: object = None,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    answer = await _send(http, method, path, body, token, headers or {})
    if answer.status_code != expect:
        raise UnexpectedAnswer(method, path, expect, answer)
    return answer


async def _send(
    http: httpx.AsyncClient, method: str, path: str, body: object, token: str | None, headers: dict[str, str]
) -> httpx.Response:
    if token is not None:
        headers = {**headers, "authorization": f"Bearer {token}"}
    return await http.request(method, API + path, json=body, headers=headers)


def _code(answer: httpx.Response) -> str | None:
    if "json" not in answer.headers.get("content-type", ""):
        return None
    code = answer.json().get("code")
    return code if isinstance(code, str) else None
