from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.algorithms import Algorithm
from crypto.dek import CaseKey, new_dek
from crypto.errors import AlgorithmRefused, CryptoError, PlaceRefused, SealBroken
from crypto.frame import seal_frame
from crypto.kek import new_kek
from crypto.opener import open_frame
from crypto.place import Place

ORG, OTHER_ORG = b"O" * 16, b"P" * 16
CASE, OTHER_CASE = b"K" * 16, b"L" * 16
HEALTH = new_kek(ORG, "health", 1)
KEY = new_dek(HEALTH, CASE).key
SIV_KEY = new_dek(HEALTH, CASE, 1, Algorithm.AES_256_GCM_SIV).key
PLACE = Place(ORG, 7, 3, b"R" * 16, 1)
NOTE = b"Entretien du 3 mars"


@given(st.binary(max_size=200), st.sampled_from([KEY, SIV_KEY]))
def test_a_frame_opens_at_its_place(note: bytes, key: CaseKey) -> None:
    assert open_frame(key, PLACE, seal_frame(key, PLACE, note)) == note


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, row=b"S" * 16),
        replace(PLACE, table=8),
        replace(PLACE, column=4),
        replace(PLACE, row_version=2),
        replace(PLACE, org=OTHER_ORG),
    ],
    ids=["row", "table", "column", "version", "organisation"],
)
def test_a_frame_moved_to_another_place_does_not_open(elsewhere: Place) -> None:
    frame = seal_frame(KEY, PLACE, NOTE)
    assert open_frame(KEY, PLACE, frame) == NOTE
    with pytest.raises(SealBroken):
        open_frame(KEY, elsewhere, frame)


@pytest.mark.parametrize(
    "key",
    [
        new_dek(HEALTH, OTHER_CASE).key,
        new_dek(new_kek(ORG, "legal", 1), CASE).key,
        new_dek(HEALTH, CASE, 2).key,
    ],
    ids=["case", "group", "generation"],
)
def test_a_frame_moved_under_another_case_key_does_not_open(key: CaseKey) -> None:
    with pytest.raises(SealBroken):
        open_frame(key, PLACE, seal_frame(KEY, PLACE, NOTE))


def test_a_frame_moved_to_another_organisation_with_its_place_does_not_open() -> None:
    key = new_dek(new_kek(OTHER_ORG, "health", 1), CASE).key
    with pytest.raises(SealBroken):
        open_frame(key, replace(PLACE, org=OTHER_ORG), seal_frame(KEY, PLACE, NOTE))


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255), st.sampled_from([KEY, SIV_KEY]))
def test_a_frame_with_any_flipped_byte_does_not_open(where: int, flip: int, key: CaseKey) -> None:
    frame = bytearray(seal_frame(key, PLACE, NOTE))
    frame[where % len(frame)] ^= flip
    with pytest.raises(CryptoError):
        open_frame(key, PLACE, bytes(frame))


@given(st.integers(min_value=0, max_value=60))
@settings(max_examples=30)
def test_a_shortened_frame_does_not_open(size: int) -> None:
    with pytest.raises(SealBroken):
        open_frame(KEY, PLACE, seal_frame(KEY, PLACE, NOTE)[:size])


@pytest.mark.parametrize("alg", [0, 2, 3, 255])
def test_a_frame_with_an_algorithm_other_than_its_keys_is_refused(alg: int) -> None:
    frame = bytearray(seal_frame(KEY, PLACE, NOTE))
    frame[1] = alg
    with pytest.raises(AlgorithmRefused):
        open_frame(KEY, PLACE, bytes(frame))


def test_frames_of_notes_of_similar_length_have_one_size() -> None:
    assert len({len(seal_frame(KEY, PLACE, bytes(length))) for length in range(29)}) == 1


def test_two_frames_of_one_note_share_no_nonce() -> None:
    frames = {seal_frame(KEY, PLACE, NOTE)[6:18] for _ in range(20)}
    assert len(frames) == 20


def test_a_key_does_not_seal_for_another_organisation() -> None:
    with pytest.raises(PlaceRefused):
        seal_frame(KEY, replace(PLACE, org=OTHER_ORG), NOTE)


def test_a_frame_tells_the_generation_of_its_key() -> None:
    assert int.from_bytes(seal_frame(new_dek(HEALTH, CASE, 5).key, PLACE, NOTE)[2:6]) == 5
