"""One journal entry: a closed schema in which no name, value, URL or address fits.

An entry is written once as restricted RFC 8785 JSON (`audit.canonical`) and kept byte for byte. The structs
declare their fields in the order of their JSON keys, so encoding needs no sorting; a test holds both forms
equal. docs/audit/format.md describes every field.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from audit.canonical import INTEGER_BOUND, MAX_BYTES
from audit.errors import EntryRefused

# \A and \Z: "$" would let a trailing newline through.
Code = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_.]{0,99}\Z")]
PolicyId = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_.-]{0,99}\Z")]
Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
# A request or a writer is named by hexadecimal digits and hyphens: room for a UUID, none for a name.
Token = Annotated[str, Meta(pattern=r"\A[0-9a-f][0-9a-f-]{7,35}\Z")]
Origin = Annotated[str, Meta(pattern=r"\A[!-*,-~]{1,200}\Z")]
Hex16 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Count = Annotated[int, Meta(ge=0, lt=INTEGER_BOUND)]
Positive = Annotated[int, Meta(ge=1, lt=INTEGER_BOUND)]


class Outcome(StrEnum):
    """What came of the act."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"


class AuthLevel(StrEnum):
    """How strongly the actor had proved who she is."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105 - a level, no secret
    MFA = "mfa"
    STEP_UP = "step_up"


class Asked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One situation in which acts were decided: what held of it, and what was allowed and denied there.

    With it the policies can be asked again (docs/audit/format.md). No word says whom or what it was about.
    """

    allowed: tuple[PolicyId, ...]
    denied: tuple[PolicyId, ...]
    holds: tuple[PolicyId, ...]


class Basis(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Why it was decided so: the policies that applied and the hash of their set, or what stands for them."""

    asked: tuple[Asked, ...] = ()
    consent: Uuid | None = None
    glass: Uuid | None = None
    handoff: Uuid | None = None
    policies: tuple[PolicyId, ...]
    set: Hex32 | None


class LaneNumber(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The entry's number among its writer's, from 1; `void` lists numbers that may never come."""

    n: Positive
    void: tuple[Positive, ...] = ()
    writer: Token

    def __post_init__(self) -> None:
        void = self.void
        if void and (void[-1] >= self.n or any(a >= b for a, b in pairwise(void))):
            raise ValueError("void numbers ascend and lie below n")


class Row(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of a person under its pseudonym (`r`, HMAC-SHA256 in hexadecimal) and its version (`v`)."""

    r: Hex32
    v: Count


class Subject(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person under her pseudonym (`p`, 32 bytes in hexadecimal) and the rows of hers that were touched."""

    p: Hex32
    rows: tuple[Row, ...]


class Entry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One act.

    `time` is in microseconds since the epoch, UTC; `id` is unique in its log (a handoff's two entries share
    one id across two logs); `source` is a keyed hash of the address, `detail` the commitment to the sealed
    detail, `nonce` 16 random bytes, all in hexadecimal. Values are checked when bytes are made or read.
    """

    action: Code
    actor: Uuid | None
    auth: AuthLevel
    basis: Basis
    count: Count | None
    detail: Hex32 | None
    id: Uuid
    lane: LaneNumber
    log: Origin
    nonce: Hex16
    outcome: Outcome
    purpose: Code | None
    reason: Code | None
    request: Token
    role: Code | None
    source: Hex32 | None
    subjects: tuple[Subject, ...]
    time: Count
    v: Literal[1] = 1

    def __post_init__(self) -> None:
        if len(self.subjects) > 1 and len({subject.p for subject in self.subjects}) < len(self.subjects):
            raise ValueError("a person stands once in an entry")

    def to_bytes(self) -> bytes:
        """The canonical bytes, checked against the schema: what would not verify is not written.

        Raises:
            EntryRefused: a field holds what the schema does not allow, or there are more than 65,535 bytes.

        """
        raw = _ENCODER.encode(self)
        Entry.from_bytes(raw)
        return raw

    @staticmethod
    def from_bytes(raw: bytes) -> "Entry":
        """Read an entry strictly.

        Raises:
            EntryRefused: not the schema, or not the canonical bytes (order, spaces, escapes, duplicate keys).

        """
        if len(raw) > MAX_BYTES:
            raise EntryRefused("more than 65,535 bytes")
        try:
            entry = _DECODER.decode(raw)
        except (ValueError, RecursionError):
            # The decoder's message may quote the text it refused.
            raise EntryRefused("not an entry of version 1") from None
        if _ENCODER.encode(entry) != raw:
            raise EntryRefused("not the canonical bytes of its content")
        return entry


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)
