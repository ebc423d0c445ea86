"""The service as a client of witnesses (C2SP tlog-witness): one question to one of them, and what its answer is."""

import asyncio
from enum import StrEnum

import httpx

from audit.checkpoint import VerificationKey, parse_checkpoint, verify_cosignature
from audit.errors import NoteRefused
from audit.witness import AddCheckpoint
from casework.settings import WitnessAddress
from crypto.signing import verify

ANSWER_WITHIN_SECONDS = 10.0
# An answer is a line for each of a witness's keys, or a number.
_MOST_BYTES = 8_192
_SIZE_TYPE = "text/x.tlog.size"
# A small answer that unpacks into a large one is none: one that is packed all the same is not unpacked.
_PLAIN = {"accept-encoding": "identity"}


class Refusal(StrEnum):
    """Why there is no cosignature. `CONTRADICTED`: the witness has seen another history than ours."""

    UNREACHABLE = "unreachable"
    UNKNOWN_LOG = "unknown_log"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


class NotCosigned(Exception):
    """A witness did not sign."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class OtherSize(Exception):
    """The witness's last head has another size than we thought: the proof must begin there."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness knows {size} leaves")
        self.size = size


async def ask(client: httpx.AsyncClient, witness: WitnessAddress, request: AddCheckpoint) -> str:
    """Have `witness` sign the checkpoint of `request`; returns its line, verified.

    Raises:
        OtherSize: it answered 409 with another size than the old one, and not beyond the checkpoint.
        NotCosigned: it did not answer, or refused, or what it answered is not its signature.

    """
    status, kind, body = await _post(client, f"{witness.url}/add-checkpoint", request.to_bytes())
    size = parse_checkpoint(request.note).checkpoint.size
    match status:
        case 200:
            return _own_line(request.note, body, witness.key)
        case 409 if kind == _SIZE_TYPE:
            known = _size(body)
            if known == request.old or known > size:
                # Another root at that size, or a longer history than ours.
                raise NotCosigned(Refusal.CONTRADICTED)
            raise OtherSize(known)
        case 422:
            raise NotCosigned(Refusal.CONTRADICTED)
        case 404:
            raise NotCosigned(Refusal.UNKNOWN_LOG)
        case 400 | 403 | 409:
            raise NotCosigned(Refusal.REFUSED)
    raise NotCosigned(Refusal.UNREACHABLE)


async def _post(client: httpx.AsyncClient, url: str, body: bytes) -> tuple[int, str, str]:
    try:
        # All of it: a byte now and then would hold up the roll-up for hours.
        async with (
            asyncio.timeout(ANSWER_WITHIN_SECONDS),
            client.stream(
                "POST", url, content=body, headers=_PLAIN, timeout=ANSWER_WITHIN_SECONDS
            ) as response,
        ):
            if "content-encoding" in response.headers:
                raise NotCosigned(Refusal.REFUSED)
            answer = b""
            async for chunk in response.aiter_bytes(_MOST_BYTES):
                answer += chunk
                if len(answer) > _MOST_BYTES:
                    raise NotCosigned(Refusal.REFUSED)
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            return response.status_code, kind, answer.decode()
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        raise NotCosigned(Refusal.UNREACHABLE) from None
    except UnicodeDecodeError:
        raise NotCosigned(Refusal.REFUSED) from None


def _own_line(note: str, lines: str, key: VerificationKey) -> str:
    """The one line of this witness; those of keys that nobody asked for are passed over."""
    for line in lines.splitlines(keepends=True):
        try:
            verify_cosignature(parse_checkpoint(note + line), key, verify)
        except NoteRefused:
            continue
        return line
    raise NotCosigned(Refusal.REFUSED)


def _size(body: str) -> int:
    digits = body.removesuffix("\n")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16):  # noqa: PLR2004 - below 2^53
        raise NotCosigned(Refusal.REFUSED)
    return int(digits)
