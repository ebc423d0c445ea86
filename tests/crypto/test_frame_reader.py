"""Reading very many cases opens and refuses exactly what reading one does."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.algorithms import Algorithm
from crypto.dek import new_dek, new_dek_to_drop, unwrap_dek
from crypto.drop import new_drop_key
from crypto.errors import CryptoError, SealBroken
from crypto.frame import seal_frame
from crypto.kek import new_kek
from crypto.opener import FrameReader, open_frame
from crypto.place import Place

ORG, CASE, ROW = b"O" * 16, b"K" * 16, b"R" * 16
KEK = new_kek(ORG, "identity", 3)
DEK = new_dek(KEK, CASE)
PLACE = Place(ORG, 7, 3, ROW, 2)
FRAME = seal_frame(DEK.key, PLACE, b"note")
READER = FrameReader(KEK, 7, 3)
STORED = (CASE, 1, DEK.row, DEK.shred_part, ROW, 2, FRAME)


def one_by_one(
    case: bytes, generation: int, dek_row: bytes, shred_part: bytes, row: bytes, version: int, frame: bytes
) -> bytes:
    key = unwrap_dek(KEK, case, generation, dek_row, shred_part)
    return open_frame(key, Place(ORG, 7, 3, row, version), frame)


def outcome(read: Callable[..., bytes], *stored: object) -> bytes | type[Exception]:
    try:
        return read(*stored)
    except CryptoError as error:
        return type(error)


def test_a_record_opens() -> None:
    assert READER.open(*STORED) == one_by_one(*STORED) == b"note"


@pytest.mark.parametrize(
    "stored",
    [
        (b"L" * 16, *STORED[1:]),
        (CASE[:-1], *STORED[1:]),
        (CASE, 2, *STORED[2:]),
        (*STORED[:2], new_dek(KEK, CASE).row, *STORED[3:]),
        (*STORED[:2], new_dek(new_kek(ORG, "identity", 3), CASE).row, *STORED[3:]),
        (*STORED[:2], new_dek(replace(KEK, number=4), CASE).row, *STORED[3:]),
        (*STORED[:2], new_dek_to_drop(new_drop_key(ORG, "identity", 3).public, CASE).row, *STORED[3:]),
        (*STORED[:2], DEK.row[:-1], *STORED[3:]),
        (*STORED[:3], os.urandom(32), *STORED[4:]),
        (*STORED[:3], b"", *STORED[4:]),
        (*STORED[:4], b"S" * 16, *STORED[5:]),
        (*STORED[:4], ROW[:-1], *STORED[5:]),
        (*STORED[:5], 3, FRAME),
        (*STORED[:5], 1 << 32, FRAME),
        (*STORED[:6], FRAME[:-1]),
        (*STORED[:6], b""),
        (*STORED[:6], seal_frame(DEK.key, replace(PLACE, column=4), b"note")),
        (*STORED[:6], FRAME[:5] + b"\x02" + FRAME[6:]),
    ],
    ids=[
        "another case",
        "no case",
        "generation",
        "another key of the case",
        "another compartment key",
        "another number",
        "at the drop key",
        "a short key row",
        "another half",
        "no half",
        "another row",
        "no row",
        "version",
        "no version",
        "a short frame",
        "no frame",
        "another column",
        "another generation of the frame",
    ],
)
def test_what_one_reading_refuses_many_refuse_alike(stored: tuple[object, ...]) -> None:
    refused = outcome(READER.open, *stored)
    assert isinstance(refused, type)
    assert refused is outcome(one_by_one, *stored)


@pytest.mark.parametrize("which", [2, 3, 6])
@given(where=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_any_flipped_byte_is_refused_alike(which: int, where: int, flip: int) -> None:
    altered = bytearray(STORED[which])  # type: ignore[arg-type]
    altered[where % len(altered)] ^= flip
    stored = (*STORED[:which], bytes(altered), *STORED[which + 1 :])
    refused = outcome(READER.open, *stored)
    assert isinstance(refused, type)
    assert refused is outcome(one_by_one, *stored)


def test_what_is_of_another_form_opens_too() -> None:
    """Another algorithm or generation of the case's key: seldom, and slower."""
    for dek in (new_dek(KEK, CASE, 1, Algorithm.AES_256_GCM_SIV), new_dek(KEK, CASE, 2)):
        frame = seal_frame(dek.key, PLACE, b"note")
        assert READER.open(CASE, dek.key.generation, dek.row, dek.shred_part, ROW, 2, frame) == b"note"


def test_a_record_without_its_padding_is_refused() -> None:
    frame = FRAME[:6] + bytes(12) + DEK.key.aead.encrypt(bytes(12), b"x" * 32, FRAME[:6] + PLACE.encoded)
    with pytest.raises(SealBroken):
        READER.open(*STORED[:6], frame)
