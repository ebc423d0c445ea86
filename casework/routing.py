"""From a request to a unit of work and back: session, decision, journal, commit, and only then the answer.

Every route says who may use it, with `requires(…)` or `public(because=…)`; `create_app` refuses one that does not.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import MediaType

from casework.act import (
    Act,
    Circumstances,
    Identity,
    begin_act,
    record_damage,
    record_denial,
    require_charter,
)
from casework.database import UnitOfWork
from casework.deployment import Deployment
from casework.errors import NotFound, NotSignedIn, Problem, Refusal, TooManyRequests, bad_field
from casework.identity import idempotency, limits, sessions
from casework.identity.limits import within_limits
from casework.identity.sessions import PendingSession, Token
from casework.journal import Who
from casework.networks import packed_address
from casework.receipts import AWAITED, Receipted, await_receipt
from casework.shreds import ShredMissing
from crypto.errors import CryptoError
from crypto.journal import source_hash
from crypto.secret import Secret
from policies.vocabulary import Action, Purpose

T = TypeVar("T")
Q = TypeVar("Q")
R = TypeVar("R")
log = structlog.get_logger(__name__)

COOKIE = "__Host-casework"
TOKEN_SIZE = 32
IDEMPOTENCY_HEADER = "idempotency-key"
PURPOSE_HEADER = "casework-purpose"
_JSON = msgspec.json.Encoder()


def requires(*actions: Action) -> dict[str, object]:
    """Mark a route as open to signed-in members whom the policies allow these actions."""
    return {"requires": actions}


def signed_in(because: str) -> dict[str, object]:
    """Mark a route as open to every signed-in member: it shows her own things alone."""
    return {"signed_in": because}


# Added to the mark of a route that a counter of `casework.identity.limits` may refuse.
LIMITED: Final[dict[str, object]] = {"limited": True}


# Added to the mark of a route that is open to who has not accepted the charter in force.
BEFORE_CHARTER: Final[dict[str, object]] = {"before_charter": True}


# Added to the mark of a route that answers whatever state the service is in.
PROBE: Final[dict[str, object]] = {"probe": True}


def public(because: str) -> dict[str, object]:
    """Mark a route as open to anyone."""
    return {"public": because}


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """The answer of an act that made or moved a resource, whose id a replay starts from."""

    resource: UUID
    body: T


@dataclass(frozen=True, slots=True)
class Served:
    """A rendered answer, and what it was rendered from, where a receipt may still come into it."""

    body: bytes
    status: int
    media_type: MediaType = MediaType.JSON
    answer: object = None


def deployment_of(request: Request[Any, Any, Any]) -> Deployment:
    deployment: Deployment = request.app.state.deployment
    return deployment


def token_of(request: Request[Any, Any, Any]) -> Token:
    """The bearer token, or the browser's cookie.

    Raises:
        NotSignedIn: none, or not of a token's form.

    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        text = request.cookies.get(COOKIE, "")
    return Token.of(deployment_of(request).pepper, decode_token(text))


def encode_token(token: Secret) -> str:
    return token.reveal().hex()


def decode_token(text: str) -> Secret:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise NotSignedIn from None
    if len(raw) != TOKEN_SIZE or text != raw.hex():
        raise NotSignedIn
    return Secret(raw)


def circumstances_of(request: Request[Any, Any, Any]) -> Circumstances:
    """What the request says of itself.

    Raises:
        BadInput: the purpose is not one of the vocabulary.

    """
    deployment = deployment_of(request)
    address = request.client.host if request.client is not None else ""
    stated = request.headers.get(PURPOSE_HEADER)
    try:
        purpose = Purpose(stated) if stated is not None else None
    except ValueError:
        raise bad_field("Casework-Purpose", "not_in_vocabulary") from None
    return Circumstances(
        request=request.state.request_id,
        source=source_hash(deployment.pepper, _source(address)).hex(),
        purpose=purpose,
        address=_packed(address),
        device=_is_managed(deployment, address),
    )


def anonymous(circumstances: Circumstances) -> Who:
    return Who(circumstances.request, circumstances.source)


async def perform(
    request: Request[Any, Any, Any], work: Callable[[Act], T | Problem], *, status: int = 200
) -> Response[T]:
    """Run `work` for the signed-in member and answer with its result once that is committed.

    A problem that is returned, not raised, is committed too: what it shows must stay in the journal.
    """

    def served(act: Act) -> Served | Problem:
        result = work(act)
        return result if isinstance(result, Problem) else _rendered(result, status)

    return await _serve(request, served)


async def require_activation(request: Request[Any, Any, Any]) -> None:
    """Refuse, and journal, who has not accepted the charter in force; for a route that performs no act itself."""
    await _serve(request, lambda _act: Served(b"", 204))


async def perform_text(request: Request[Any, Any, Any], work: Callable[[Act], str]) -> Response[str]:
    """As `perform`, for an answer that is plain text."""
    return await _serve(request, lambda act: Served(work(act).encode(), 200, MediaType.TEXT))


async def perform_once(
    request: Request[Any, Any, Any],
    work: Callable[[Act], Made[T] | Problem],
    again: Callable[[Act, UUID], T],
    *,
    status: int = 200,
) -> Response[T]:
    """As `perform`, and honour the request's Idempotency-Key: a replay decides, journals and rebuilds with `again`.

    What ends in a problem, returned or raised, does not use the key up.

    Raises:
        BadInput: the key was used with another body, or is malformed.

    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:

        def served(act: Act) -> Served | Problem:
            made = work(act)
            return made if isinstance(made, Problem) else _rendered(made.body, status)

        return await _serve(request, served)
    # The version that a change starts from is part of what is asked for.
    asked = await request.body() + request.headers.get("if-match", "").encode()

    def once(act: Act) -> Served | Problem:
        use = idempotency.Use.of(act, request.method, request.url.path.lower(), key, asked)
        done = idempotency.claim(act, use)
        if done is not None:
            return _rendered(again(act, done), status)
        made = work(act)
        if isinstance(made, Problem):
            idempotency.release(act, use)
            return made
        idempotency.settle(act, use, made.resource, status)
        return _rendered(made.body, status)

    return await _serve(request, once)


async def perform_prepared(
    request: Request[Any, Any, Any],
    ask: Callable[[Act], Q],
    prepare: Callable[[Deployment, Q], Awaitable[R]],
    work: Callable[[Act, R], T],
) -> Response[T]:
    """As `perform`, where what `work` needs takes too long for a unit of work.

    `ask` decides, in a unit of its own; `prepare` reads outside of any, and shows nothing; `work` is a unit that
    finds the session again, decides again and journals before anything is answered.
    """
    deployment = deployment_of(request)
    token = token_of(request)
    circumstances = circumstances_of(request)
    acts: list[Act] = []
    async with _journaled(deployment, acts):
        question = await _in_unit(request, token, circumstances, acts, ask)
        prepared = await prepare(deployment, question)
        served = await _in_unit(
            request,
            token,
            circumstances,
            acts,
            lambda act: _rendered(work(act, prepared), 200),
        )
    return await _answered(request, acts[-1], served)


async def _serve(request: Request[Any, Any, Any], work: Callable[[Act], Served | Problem]) -> Response[Any]:
    deployment = deployment_of(request)
    token = token_of(request)
    circumstances = circumstances_of(request)
    acts: list[Act] = []
    async with _journaled(deployment, acts):
        served = await _in_unit(request, token, circumstances, acts, work)
    if isinstance(served, Problem):
        raise served
    return await _answered(request, acts[-1], served)


async def _answered(request: Request[Any, Any, Any], act: Act, served: Served) -> Response[Any]:
    """What is sent, after the commit; of a high-value act once its entry, the last one, is covered."""
    if act.receipts and request.route_handler.fn.__name__ in AWAITED:
        receipt = await await_receipt(act.deployment, act.org_id, act.receipts[-1])
        if isinstance(served.answer, Receipted):
            served.answer.receipt = receipt
            served = replace(served, body=_JSON.encode(served.answer))
    return Response(content=served.body, status_code=served.status, media_type=served.media_type)


@asynccontextmanager
async def _journaled(deployment: Deployment, acts: Sequence[Act]) -> AsyncIterator[None]:
    """Journal what refuses the last of the acts, or finds sealed data damaged, in a unit of its own."""
    try:
        yield
    except Refusal as refused:
        await journal_refusal(deployment, acts[-1], refused)
        raise
    except (CryptoError, ShredMissing):
        if acts:
            await journal_damage(deployment, acts[-1].identity)
        raise


def _rendered(answer: object, status: int) -> Served:
    """Rendered within the unit: what cannot be said is not committed."""
    return Served(_JSON.encode(answer), status, answer=answer)


async def _in_unit(
    request: Request[Any, Any, Any],
    token: Token,
    circumstances: Circumstances,
    acts: list[Act],
    work: Callable[[Act], T],
) -> T:
    """Run `work` as an act of the token's member in one unit; the act is put into `acts` first.

    What does not open is tried once more, in a unit of its own: on PostgreSQL a case's keys may be renewed between
    two of a unit's statements. What is damaged stays so.
    """
    deployment, is_open = deployment_of(request), "before_charter" in request.route_handler.opt

    def unit_of_work(unit: UnitOfWork, *, looks_again: bool) -> T:
        session = sessions.find(unit, token)
        if isinstance(session, PendingSession):
            raise NotSignedIn
        act = begin_act(deployment, unit, session, circumstances)
        act.looks_again = looks_again
        acts.append(act)
        if not is_open:
            require_charter(act)
        return work(act)

    with suppress(CryptoError, ShredMissing):
        return await within_limits(deployment.database, partial(unit_of_work, looks_again=False))
    return await within_limits(deployment.database, partial(unit_of_work, looks_again=True))


async def journal_refusal(deployment: Deployment, act: Act, refused: Refusal) -> None:
    """Write the denial in a unit of its own. If that fails the answer is still the refusal, and an alarm.

    Raises:
        TooManyRequests: the member asked too often for what she was not found; this one is only counted.

    """
    asker, asked = act.identity, act.asked_in(refused)

    def record(unit: UnitOfWork) -> None:
        if isinstance(refused, NotFound) and asker.who.member is not None:
            limits.count_not_found(unit, deployment.pepper, asker.org_id, asker.who.member)
        record_denial(deployment, unit, asker, refused, asked)

    try:
        await within_limits(deployment.database, record)
    except TooManyRequests:
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the refusal stands
        log.error("denial_not_journaled", error=type(error).__name__, action=refused.action)


async def journal_damage(deployment: Deployment, asker: Identity) -> None:
    """Write that something sealed did not open. If that fails the alarm in the log is still raised."""
    try:
        await deployment.database.unit(lambda unit: record_damage(deployment, unit, asker))
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer stands
        log.error("damage_not_journaled", error=type(error).__name__)


def _source(address: str) -> str:
    """An address as one subscriber has it: of IPv6 its /64, within which she picks any address she likes."""
    try:
        client = ip_address(address)
    except ValueError:
        return address
    if isinstance(client, IPv6Address):
        client = client.ipv4_mapped or ip_network((client, 64), strict=False).network_address
    return str(client)


def _packed(address: str) -> bytes:
    try:
        return packed_address(ip_address(address))
    except ValueError:
        return b""


def _is_managed(deployment: Deployment, address: str) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return any(client in network for network in deployment.settings.managed_networks)
