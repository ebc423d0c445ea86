"""Sealed streams: whole or refused, whatever is cut, moved, mixed or sealed for another."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import AlgorithmRefused, CommitmentMismatch, CryptoError, EncodingRefused, SealBroken
from crypto.hpke import KeyPair, new_key_pair
from crypto.secret import Secret
from crypto.stream import CHUNK_SIZE, StreamHead, open_stream, read_head, seal_stream

RECOVERY = new_key_pair()
HEAD = StreamHead(bytes(range(16)), 2, 1_800_000_000, RECOVERY.public)
HEAD_SIZE, FRONT, SEALED_CHUNK = 59, 59 + 80 + 32, CHUNK_SIZE + 16
GOLDEN = json.loads((Path(__file__).parent / "golden" / "stream.json").read_text("utf-8"))


def sealed(content: bytes, head: StreamHead = HEAD) -> bytes:
    target = BytesIO()
    seal_stream(head, BytesIO(content), target)
    return target.getvalue()


def opened(stream: bytes, pair: KeyPair = RECOVERY) -> bytes:
    return b"".join(open_stream(pair.private, BytesIO(stream)))


class Trickle:
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._inner = BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._inner.read(min(size, 1_000))


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE])
def test_a_stream_of_any_length_comes_back_and_says_its_head(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    stream = sealed(content)
    assert opened(stream) == content
    assert read_head(BytesIO(stream)) == HEAD
    target = BytesIO()
    seal_stream(HEAD, Trickle(content), target)
    assert b"".join(open_stream(RECOVERY.private, Trickle(target.getvalue()))) == content


THREE = sealed(bytes(3 * CHUNK_SIZE - 5))


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(THREE) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(at: int, flip: int) -> None:
    broken = bytearray(THREE)
    broken[at] ^= flip
    with pytest.raises(CryptoError):
        opened(bytes(broken))


@settings(max_examples=50, deadline=None)
@given(length=st.integers(0, len(THREE) - 1))
def test_a_stream_that_was_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(CryptoError):
        opened(THREE[:length])


def test_chunks_that_are_cut_off_moved_doubled_or_added_are_refused() -> None:
    front, one, two, last = (
        THREE[:FRONT],
        *(THREE[FRONT + n * SEALED_CHUNK : FRONT + (n + 1) * SEALED_CHUNK] for n in range(3)),
    )
    for wrong in (
        [one, two],
        [two, one, last],
        [one, one, two, last],
        [one, last],
        [one, two, last, last],
        [],
    ):
        with pytest.raises(SealBroken):
            opened(front + b"".join(wrong))


def test_a_chunk_of_another_stream_does_not_fit() -> None:
    other = sealed(bytes(3 * CHUNK_SIZE - 5))
    with pytest.raises(SealBroken):
        opened(THREE[: FRONT + SEALED_CHUNK] + other[FRONT + SEALED_CHUNK :])


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SealBroken):
        opened(THREE, new_key_pair())


def test_a_head_of_another_set_or_part_does_not_fit() -> None:
    for head in (
        StreamHead(bytes(16), 2, HEAD.made_at, RECOVERY.public),
        StreamHead(HEAD.set_id, 3, HEAD.made_at, RECOVERY.public),
        StreamHead(HEAD.set_id, 2, HEAD.made_at + 1, RECOVERY.public),
    ):
        with pytest.raises(SealBroken):
            opened(head.to_bytes() + THREE[HEAD_SIZE:])


def test_the_commitment_is_compared_before_anything_opens() -> None:
    broken = bytearray(THREE)
    broken[FRONT - 1] ^= 1
    with pytest.raises(CommitmentMismatch):
        opened(bytes(broken))


def test_a_head_is_of_one_form() -> None:
    for wrong in (
        StreamHead(b"short", 1, 0, RECOVERY.public),
        StreamHead(bytes(16), 256, 0, RECOVERY.public),
        StreamHead(bytes(16), 1, -1, RECOVERY.public),
        StreamHead(bytes(16), 1, 0, b""),
    ):
        with pytest.raises(EncodingRefused):
            wrong.to_bytes()
    with pytest.raises(AlgorithmRefused):
        read_head(BytesIO(b"\x01\x02" + bytes(57)))
    with pytest.raises(SealBroken):
        read_head(BytesIO(b"\x01\x01"))


def test_golden_stream() -> None:
    private = Secret(bytes.fromhex(GOLDEN["private"]))
    stream = bytes.fromhex(GOLDEN["front"]) + bytes.fromhex(GOLDEN["chunk"])
    head = read_head(BytesIO(stream))
    assert (head.set_id.hex(), head.part, head.made_at) == (GOLDEN["set"], GOLDEN["part"], GOLDEN["made_at"])
    assert b"".join(open_stream(private, BytesIO(stream))) == GOLDEN["text"].encode()
