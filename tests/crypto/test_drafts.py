import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.draft import seal_draft
from crypto.errors import AlgorithmRefused, CryptoError, EncodingRefused, PlaceRefused, SealBroken
from crypto.opener import open_draft
from crypto.place import Place
from crypto.secret import Secret
from crypto.session import SessionKeys

ORG, MEMBER, CASE = b"O" * 16, b"M" * 16, b"K" * 16
KEYS = SessionKeys(ORG, MEMBER, Secret.random(), ())
PLACE = Place(ORG, 7, 1, b"R" * 16, 1)
SEALED = seal_draft(KEYS, CASE, PLACE, b"note")


@given(st.binary(max_size=200))
def test_a_draft_opens_for_whoever_sealed_it(plaintext: bytes) -> None:
    assert open_draft(KEYS, CASE, PLACE, seal_draft(KEYS, CASE, PLACE, plaintext)) == plaintext


def test_a_draft_has_the_specified_layout_and_is_padded() -> None:
    assert SEALED[:2] == b"\x01\x01"
    assert len(SEALED) == 2 + 12 + 32 + 16


@pytest.mark.parametrize(
    ("keys", "case", "place"),
    [
        (replace(KEYS, daily_private=Secret.random()), CASE, PLACE),
        (replace(KEYS, member=b"N" * 16), CASE, PLACE),
        (KEYS, b"L" * 16, PLACE),
        (KEYS, CASE, replace(PLACE, row=b"S" * 16)),
        (KEYS, CASE, replace(PLACE, row_version=2)),
        (KEYS, CASE, replace(PLACE, org=b"P" * 16)),
    ],
    ids=["another member's key", "member", "case", "row", "version", "organisation"],
)
def test_a_draft_opens_nowhere_else(keys: SessionKeys, case: bytes, place: Place) -> None:
    with pytest.raises(SealBroken):
        open_draft(keys, case, place, SEALED)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_draft_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    altered = bytearray(SEALED)
    altered[where % len(altered)] ^= flip
    with pytest.raises(CryptoError):
        open_draft(KEYS, CASE, PLACE, bytes(altered))


def test_another_algorithm_and_another_kind_are_refused() -> None:
    with pytest.raises(AlgorithmRefused):
        open_draft(KEYS, CASE, PLACE, b"\x01\x02" + SEALED[2:])
    with pytest.raises(SealBroken):
        open_draft(KEYS, CASE, PLACE, b"\x02\x01" + SEALED[2:])


def test_a_draft_is_not_sealed_for_another_organisation_or_a_case_without_an_id() -> None:
    with pytest.raises(PlaceRefused):
        seal_draft(KEYS, CASE, replace(PLACE, org=b"P" * 16), b"note")
    with pytest.raises(EncodingRefused):
        seal_draft(KEYS, os.urandom(15), PLACE, b"note")
