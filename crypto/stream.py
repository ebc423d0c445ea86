"""Sealed streams: what is too large for one box (a backup), in chunks that can be neither cut, moved nor mixed.

Layout: head 59 | sealed file key 80 | commitment 32 | chunks.

    head       = 01 | 01 | set 16 | part u8 | made_at u64 | recovery public 32
    file key   = 32 random bytes, HPKE-sealed (crypto.hpke) to the recovery key, info = PAE("csm/stream/v1", head)
    enc_key 32 | commitment 32 = HKDF-Expand(file key, PAE("csm/stream-keys/v1", head), 64)
    chunk      = AES-256-GCM(enc_key), nonce = u88 counter from 0 | u8 (01 for the last chunk, else 00)

Every chunk but the last holds 65,536 bytes; an empty stream has one empty chunk. That is the STREAM construction
(Hoang, Reyhanitabar, Rogaway, Vizár 2015) with a nonce that needs no randomness, for a file key seals once.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hmac import compare_digest
from typing import Protocol

from cryptography.exceptions import InvalidTag

from crypto.algorithms import Aead, Algorithm, aead_for, hkdf_expand
from crypto.box import TAG_SIZE
from crypto.errors import CommitmentMismatch, EncodingRefused, SealBroken
from crypto.header import PREFIX, require_prefix
from crypto.hpke import HPKE_OVERHEAD, PUBLIC_KEY_SIZE, hpke_open, hpke_seal
from crypto.pae import pae
from crypto.secret import KEY_SIZE, Secret
from crypto.widths import ID_SIZE, exactly

CHUNK_SIZE = 65_536
_LABEL = b"csm/stream/v1"
_KEYS_LABEL = b"csm/stream-keys/v1"
_HEAD = struct.Struct(f">2s{ID_SIZE}sBQ{PUBLIC_KEY_SIZE}s")
_SEALED_KEY_SIZE = HPKE_OVERHEAD + KEY_SIZE
_COUNTER_SIZE = 11


class Readable(Protocol):
    """A file, or the end of a pipe."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class StreamHead:
    """What everybody may read, and nobody may change: which set, which part of it, when (s), for which key."""

    set_id: bytes
    part: int
    made_at: int
    recovery_public: bytes

    def to_bytes(self) -> bytes:
        exactly(self.set_id, ID_SIZE)
        exactly(self.recovery_public, PUBLIC_KEY_SIZE)
        try:
            return _HEAD.pack(PREFIX, self.set_id, self.part, self.made_at, self.recovery_public)
        except struct.error:
            raise EncodingRefused("integer out of range") from None


def seal_stream(head: StreamHead, source: Readable, target: Writable) -> None:
    """Seal everything that can be read to whoever holds the private half of the head's recovery key."""
    file_key, raw = Secret.random(), head.to_bytes()
    aead, commitment = _derive(file_key, raw)
    target.write(raw + hpke_seal(head.recovery_public, pae(_LABEL, raw), file_key.reveal()) + commitment)
    counter, chunk = 0, _fill(source, CHUNK_SIZE)
    while True:
        following = _fill(source, CHUNK_SIZE) if len(chunk) == CHUNK_SIZE else b""
        target.write(aead.encrypt(_nonce(counter, is_last=not following), chunk, None))
        if not following:
            return
        counter, chunk = counter + 1, following


def read_head(source: Readable) -> StreamHead:
    """The head at the front of a stream: a claim until the stream has opened.

    Raises SealBroken or AlgorithmRefused for bytes that are not a head.
    """
    return _parse_head(_fill(source, _HEAD.size))


def open_stream(private: Secret, source: Readable) -> Iterator[bytes]:
    """The chunks of a stream, each authenticated in its place.

    Nothing is known to be whole before the last one: a stream that was cut raises after those before it.

    Raises SealBroken when the stream is altered, cut, lengthened, or sealed to another key.
    """
    raw = _fill(source, _HEAD.size)
    _parse_head(raw)
    file_key = Secret(hpke_open(private, pae(_LABEL, raw), _fill(source, _SEALED_KEY_SIZE)))
    aead, commitment = _derive(file_key, raw)
    if not compare_digest(commitment, _fill(source, len(commitment))):
        raise CommitmentMismatch("the stream commits to another key")
    size = CHUNK_SIZE + TAG_SIZE
    counter, sealed = 0, _fill(source, size)
    while True:
        following = _fill(source, size) if len(sealed) == size else b""
        try:
            chunk = aead.decrypt(_nonce(counter, is_last=not following), sealed, None)
        except (InvalidTag, ValueError):
            raise SealBroken("does not open here") from None
        yield chunk
        if not following:
            return
        counter, sealed = counter + 1, following


def _parse_head(raw: bytes) -> StreamHead:
    require_prefix(raw)
    if len(raw) != _HEAD.size:
        raise SealBroken("too short")
    _, set_id, part, made_at, public = _HEAD.unpack(raw)
    return StreamHead(set_id, part, made_at, public)


def _derive(file_key: Secret, head: bytes) -> tuple[Aead, bytes]:
    expanded = hkdf_expand(file_key.reveal(), pae(_KEYS_LABEL, head), 2 * KEY_SIZE)
    return aead_for(Algorithm.AES_256_GCM, expanded[:KEY_SIZE]), expanded[KEY_SIZE:]


def _nonce(counter: int, *, is_last: bool) -> bytes:
    return counter.to_bytes(_COUNTER_SIZE) + bytes([is_last])


def _fill(source: Readable, size: int) -> bytes:
    """Exactly `size` bytes, fewer only at the end: a pipe gives what it has."""
    pieces: list[bytes] = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
