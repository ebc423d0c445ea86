from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.dek import new_dek
from crypto.drop import (
    DropPrivate,
    DropPublic,
    drop_number,
    is_drop_envelope,
    new_drop_key,
    seal_to_drop,
    unwrap_drop_private,
    wrap_drop_private,
)
from crypto.errors import CryptoError, EncodingRefused, PlaceRefused, SealBroken
from crypto.frame import seal_frame
from crypto.hpke import new_key_pair
from crypto.kek import new_kek
from crypto.opener import open_drop
from crypto.place import Place

ORG = b"O" * 16
DROP = new_drop_key(ORG, "health", 3)
KEK = new_kek(ORG, "health", 1)
PLACE = Place(ORG, 7, 3, b"R" * 16, 1)
ENVELOPE = seal_to_drop(DROP.public, PLACE, b"note")
WRAPPED = wrap_drop_private(KEK, DROP)


@given(st.binary(max_size=100))
def test_an_envelope_opens_with_the_private_half_at_its_place(note: bytes) -> None:
    assert open_drop(DROP, PLACE, seal_to_drop(DROP.public, PLACE, note)) == note


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, row=b"S" * 16),
        replace(PLACE, table=8),
        replace(PLACE, column=4),
        replace(PLACE, row_version=2),
        replace(PLACE, org=b"P" * 16),
    ],
    ids=["row", "table", "column", "version", "organisation"],
)
def test_an_envelope_moved_to_another_place_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(SealBroken):
        open_drop(DROP, elsewhere, ENVELOPE)


@pytest.mark.parametrize(
    "drop",
    [
        new_drop_key(ORG, "health", 3),
        DropPrivate(replace(DROP.public, number=4), DROP.private),
        DropPrivate(replace(DROP.public, group="legal"), DROP.private),
    ],
    ids=["key", "number", "group"],
)
def test_an_envelope_does_not_open_with_another_drop_key(drop: DropPrivate) -> None:
    with pytest.raises(SealBroken):
        open_drop(drop, PLACE, ENVELOPE)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_an_envelope_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    envelope = bytearray(ENVELOPE)
    envelope[where % len(envelope)] ^= flip
    with pytest.raises(CryptoError):
        open_drop(DROP, PLACE, bytes(envelope))


def test_one_column_tells_an_envelope_from_a_frame() -> None:
    assert is_drop_envelope(ENVELOPE)
    assert drop_number(ENVELOPE) == 3
    assert not is_drop_envelope(seal_frame(new_dek(KEK, b"K" * 16).key, PLACE, b"note"))


def test_nothing_is_sealed_to_another_organisations_drop_key() -> None:
    with pytest.raises(PlaceRefused):
        seal_to_drop(DROP.public, replace(PLACE, org=b"P" * 16), b"note")


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_nothing_is_sealed_to_an_unusable_public_key(public: bytes) -> None:
    with pytest.raises(EncodingRefused):
        seal_to_drop(DropPublic(ORG, "health", 1, public), PLACE, b"note")


def test_the_private_half_is_unwrapped_by_a_holder_of_the_kek() -> None:
    drop = unwrap_drop_private(KEK, 3, DROP.public.public, WRAPPED)
    assert drop == DROP
    assert open_drop(drop, PLACE, ENVELOPE) == b"note"


def test_the_private_half_is_not_unwrapped_elsewhere() -> None:
    public = DROP.public.public
    for kek in (new_kek(ORG, "health", 1), replace(KEK, number=2), replace(KEK, group="legal")):
        with pytest.raises(SealBroken):
            unwrap_drop_private(kek, 3, public, WRAPPED)
    with pytest.raises(SealBroken):
        unwrap_drop_private(KEK, 4, public, WRAPPED)
    with pytest.raises(SealBroken):
        unwrap_drop_private(KEK, 3, new_key_pair().public, WRAPPED)


def test_a_private_half_that_does_not_fit_the_certified_key_is_refused() -> None:
    misfit = DropPrivate(DROP.public, new_key_pair().private)
    with pytest.raises(SealBroken):
        unwrap_drop_private(KEK, 3, DROP.public.public, wrap_drop_private(KEK, misfit))


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_wrapped_half_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    wrapped = bytearray(WRAPPED)
    wrapped[where % len(wrapped)] ^= flip
    with pytest.raises(CryptoError):
        unwrap_drop_private(KEK, 3, DROP.public.public, bytes(wrapped))


def test_a_drop_key_is_not_wrapped_under_another_compartments_kek() -> None:
    with pytest.raises(PlaceRefused):
        wrap_drop_private(new_kek(ORG, "legal", 1), DROP)
