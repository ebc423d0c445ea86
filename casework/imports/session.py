"""A worker's session at the API, over HTTP: signed in with both factors, and signed out."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import TypeVar

import httpx
import msgspec

from casework.identity.schemas import FactorGiven, Me, SessionBegun
from casework.imports.errors import ImportRefused

T = TypeVar("T")

_API = "/api/v1"
_FACTOR = "/sessions/current/second-factor"
_TIMEOUT_SECONDS = 60


class Problem(msgspec.Struct):
    """What of a problem answer is read: codes alone. `roles` are those of a sign-in that must name one."""

    code: str
    roles: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever gives what a sign-in needs. `role` is told the roles that there are to choose from."""

    login: str
    password: str = field(repr=False)
    code: Callable[[], str]
    role: Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Session:
    """`me` is who the service says that it serves."""

    http: httpx.AsyncClient = field(repr=False)
    token: str = field(repr=False)
    me: Me

    async def get(self, path: str) -> httpx.Response:
        return await _send(self.http, "GET", path, self.token)

    async def confirm(self, password: str) -> None:
        """Give the password again, for what is sensitive. Raises ImportRefused, httpx.TransportError."""
        body = msgspec.json.encode({"password": password})
        answer = await _send(self.http, "POST", "/sessions/current/step-up", self.token, body)
        if answer.status_code != HTTPStatus.NO_CONTENT:
            raise ImportRefused(f"Le mot de passe n’est pas confirmé ({answer.status_code}).")

    async def post(self, path: str, body: bytes, key: str) -> httpx.Response:
        """POST under an Idempotency-Key. Raises httpx.TransportError: it may or may not have been done."""
        return await _send(self.http, "POST", path, self.token, body, {"idempotency-key": key})


def make_client(url: str) -> httpx.AsyncClient:
    """A client of the service at `url`.

    Raises:
        ImportRefused: not an address, or one that would carry everything over a network in the clear.

    """
    parsed = _parse(url)
    if parsed.scheme == "http" and not _is_loopback(parsed.host):
        raise ImportRefused("--url : hors de cette machine, l’adresse doit commencer par https://.")
    # The machine's own certificates; and without the environment's proxies: nobody stands in between.
    return httpx.AsyncClient(
        base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=ssl.create_default_context()
    )


@asynccontextmanager
async def session(http: httpx.AsyncClient, asker: Asker) -> AsyncIterator[Session]:
    """Sign in, and sign out at the end.

    Raises:
        ImportRefused: the sign-in is refused, or the service does not answer as it should.

    """
    try:
        token = await _sign_in(http, asker)
        me = _read(await _send(http, "GET", "/me", token), HTTPStatus.OK, Me)
    except httpx.TransportError as error:
        raise ImportRefused(f"Le service ne répond pas ({type(error).__name__}).") from None
    try:
        yield Session(http, token, me)
    finally:
        # A session that cannot be ended now ends by itself.
        with suppress(httpx.TransportError):
            await _send(http, "DELETE", "/sessions/current", token)


def problem_of(answer: httpx.Response) -> Problem | None:
    """The problem that the service itself answered; None where something else did, a proxy for one."""
    if answer.headers.get("content-type") != "application/problem+json":
        return None
    try:
        return msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        return None


async def _sign_in(http: httpx.AsyncClient, asker: Asker) -> str:
    credentials = msgspec.json.encode({"login": asker.login, "password": asker.password})
    begun = await _send(http, "POST", "/sessions", None, credentials)
    token = _read(begun, HTTPStatus.CREATED, SessionBegun).token
    given = {"code": asker.code()}
    answer = await _send(http, "POST", _FACTOR, token, msgspec.json.encode(given))
    problem = problem_of(answer)
    if problem is not None and problem.code == "role_needed":
        # The code was not consumed.
        given["role"] = asker.role(problem.roles)
        answer = await _send(http, "POST", _FACTOR, token, msgspec.json.encode(given))
    _read(answer, HTTPStatus.OK, FactorGiven)
    return token


def _read(answer: httpx.Response, expected: int, kind: type[T]) -> T:
    if answer.status_code == expected:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError:
            raise ImportRefused("--url : ce n’est pas le service attendu qui répond.") from None
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise ImportRefused("Trop de tentatives de connexion. Patientez un peu, puis relancez.")
    problem = problem_of(answer)
    if problem is None:
        raise ImportRefused(f"--url : ce n’est pas le service attendu qui répond ({answer.status_code}).")
    if problem.code == "sign_in_refused":
        raise ImportRefused("Identifiant, mot de passe ou code incorrect.")
    if problem.code == "bad_input":
        raise ImportRefused(
            "Ce qui est tapé n’a pas la forme attendue (le code a six chiffres). Relancez et retapez-le."
        )
    raise ImportRefused(f"La connexion est refusée ({answer.status_code}, {problem.code}).")


async def _send(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    token: str | None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    sent = dict(headers or {})
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    if body is not None:
        sent["content-type"] = "application/json"
    return await http.request(method, _API + path, content=body, headers=sent)


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ImportRefused("--url : ce n’est pas une adresse.") from None
    is_plain = parsed.path in {"", "/"} and not parsed.query and not parsed.fragment and not parsed.userinfo
    if parsed.scheme not in {"http", "https"} or not parsed.host or not is_plain:
        raise ImportRefused("--url : une adresse comme https://casework.example.org est attendue.")
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
