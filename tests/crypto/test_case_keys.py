import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from crypto.algorithms import Algorithm
from crypto.dek import (
    adopt_dek,
    dek_row_is_dropped,
    dek_row_key_number,
    new_dek,
    new_dek_to_drop,
    require_dek_row,
    rewrap_dek,
    unwrap_dek,
)
from crypto.drop import new_drop_key
from crypto.errors import (
    CommitmentMismatch,
    CryptoError,
    EncodingRefused,
    GrantRefused,
    PlaceRefused,
    SealBroken,
)
from crypto.frame import seal_frame
from crypto.kek import Kek, certified_kek, kek_from_secret, new_kek
from crypto.opener import open_frame
from crypto.place import Place
from crypto.secret import Secret

ORG, CASE = b"O" * 16, b"K" * 16
KEK = new_kek(ORG, "health", 1)
DROP = new_drop_key(ORG, "health", 4)
DEK = new_dek(KEK, CASE)
DROPPED = new_dek_to_drop(DROP.public, CASE)
PLACE = Place(ORG, 7, 3, b"R" * 16, 1)


@pytest.mark.parametrize("algorithm", [Algorithm.AES_256_GCM, Algorithm.AES_256_GCM_SIV])
def test_an_unwrapped_key_opens_what_the_new_one_sealed(algorithm: Algorithm) -> None:
    dek = new_dek(KEK, CASE, 2, algorithm)
    key = unwrap_dek(KEK, CASE, 2, dek.row, dek.shred_part)
    assert open_frame(key, PLACE, seal_frame(dek.key, PLACE, b"note")) == b"note"


def test_a_row_has_the_specified_layout() -> None:
    assert len(DEK.row) == 6 + 12 + 48 + 32
    assert DEK.row[:6] == b"\x01\x01\x00\x00\x00\x01"
    assert dek_row_key_number(DEK.row) == 1


@pytest.mark.parametrize(
    "kek",
    [
        new_kek(ORG, "health", 1),
        replace(KEK, number=2),
        replace(KEK, group="legal"),
        replace(KEK, org=b"P" * 16),
        new_kek(ORG, "health", 2),
    ],
    ids=["key", "number", "group", "organisation", "rotated"],
)
def test_a_row_does_not_open_under_another_compartments_key(kek: Kek) -> None:
    with pytest.raises(SealBroken):
        unwrap_dek(kek, CASE, 1, DEK.row, DEK.shred_part)


def test_a_row_moved_to_another_case_or_generation_does_not_open() -> None:
    with pytest.raises(SealBroken):
        unwrap_dek(KEK, b"L" * 16, 1, DEK.row, DEK.shred_part)
    with pytest.raises(SealBroken):
        unwrap_dek(KEK, CASE, 2, DEK.row, DEK.shred_part)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_row_with_any_flipped_byte_does_not_open(where: int, flip: int) -> None:
    row = bytearray(DEK.row)
    row[where % len(row)] ^= flip
    with pytest.raises(CryptoError):
        unwrap_dek(KEK, CASE, 1, bytes(row), DEK.shred_part)


@given(st.integers(min_value=0, max_value=31), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_of_the_shred_part_is_refused_by_the_commitment(where: int, flip: int) -> None:
    shred_part = bytearray(DEK.shred_part)
    shred_part[where] ^= flip
    with pytest.raises(CommitmentMismatch):
        unwrap_dek(KEK, CASE, 1, DEK.row, bytes(shred_part))


def test_a_row_without_its_shred_part_does_not_open() -> None:
    with pytest.raises(EncodingRefused):
        unwrap_dek(KEK, CASE, 1, DEK.row, b"")


# GHASH arithmetic (NIST SP 800-38D, section 6.3): blocks as polynomials over GF(2), leftmost bit first.


def _times(left: int, right: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if right >> bit & 1:
            product ^= left
        left = left >> 1 ^ (0xE1 << 120 if left & 1 else 0)
    return product


def _inverse(value: int) -> int:
    result, power = 1 << 127, value
    for _ in range(127):  # value^(2^128 - 2)
        power = _times(power, power)
        result = _times(result, power)
    return result


def _tag_without_last_block(wrap_key: bytes, nonce: bytes, aad: bytes, first: int) -> tuple[int, int]:
    """Return (tag of the ciphertext first | 0, the factor by which a last block enters the tag)."""
    ecb = Cipher(algorithms.AES(wrap_key), modes.ECB()).encryptor()
    subkey, mask = (int.from_bytes(ecb.update(block)) for block in (bytes(16), nonce + b"\0\0\0\1"))
    padded = aad.ljust(-(-len(aad) // 16) * 16, b"\0")
    blocks = [int.from_bytes(padded[at : at + 16]) for at in range(0, len(padded), 16)]
    state = 0
    for block in [*blocks, first, 0, len(aad) * 8 << 64 | 32 * 8]:
        state = _times(state ^ block, subkey)
    return state ^ mask, _times(subkey, subkey)


def _two_key_ciphertext(keks: tuple[Kek, Kek], header: bytes, nonce: bytes) -> tuple[bytes, list[bytes]]:
    """Return one ciphertext with tag that AES-GCM opens under both KEKs' own wrapping keys and data."""
    first = int.from_bytes(os.urandom(16))
    keys = [HKDFExpand(SHA256(), 32, b"csm/v1/wrap\x01").derive(kek.secret.reveal()) for kek in keks]
    aads = [
        header + b"csm/dek1" + kek.org + CASE + b"\0\0\0\1" + kek.kid + kek.group.encode() for kek in keks
    ]
    (tag, factor), (other_tag, other_factor) = (
        _tag_without_last_block(key, nonce, aad, first) for key, aad in zip(keys, aads, strict=True)
    )
    last = _times(tag ^ other_tag, _inverse(factor ^ other_factor))
    ciphertext = b"".join(block.to_bytes(16) for block in (first, last, tag ^ _times(last, factor)))
    parts = [AESGCM(key).decrypt(nonce, ciphertext, aad) for key, aad in zip(keys, aads, strict=True)]
    return ciphertext, parts


def test_a_two_key_ciphertext_is_refused_by_the_commitment() -> None:
    keks = new_kek(ORG, "health", 1), new_kek(ORG, "legal", 1)
    header, nonce, shred_part = b"\1\1\0\0\0\1", os.urandom(12), os.urandom(32)
    ciphertext, (part, other_part) = _two_key_ciphertext(keks, header, nonce)
    assert part != other_part  # AES-GCM alone opens it under both
    dek = bytes(a ^ b for a, b in zip(part, shred_part, strict=True))
    commitment = HKDFExpand(SHA256(), 64, b"csm/v1/case" + CASE + b"health").derive(dek)[32:]
    row = header + nonce + ciphertext + commitment
    assert unwrap_dek(keks[0], CASE, 1, row, shred_part).group == "health"
    with pytest.raises(CommitmentMismatch):
        unwrap_dek(keks[1], CASE, 1, row, shred_part)


def test_rewrapping_keeps_the_key_and_leaves_the_old_kek_nothing() -> None:
    rotated = new_kek(ORG, "health", 2)
    row = rewrap_dek(KEK, rotated, CASE, 1, DEK.row)
    key = unwrap_dek(rotated, CASE, 1, row, DEK.shred_part)
    assert open_frame(key, PLACE, seal_frame(DEK.key, PLACE, b"note")) == b"note"
    with pytest.raises(SealBroken):
        unwrap_dek(KEK, CASE, 1, row, DEK.shred_part)


def test_a_row_is_not_rewrapped_into_another_compartment() -> None:
    with pytest.raises(PlaceRefused):
        rewrap_dek(KEK, new_kek(ORG, "legal", 1), CASE, 1, DEK.row)


def test_a_dropped_row_opens_once_a_holder_has_adopted_it() -> None:
    frame = seal_frame(DROPPED.key, PLACE, b"note")
    assert dek_row_is_dropped(DROPPED.row)
    assert dek_row_key_number(DROPPED.row) == 4
    row = adopt_dek(DROP, KEK, CASE, 1, DROPPED.row)
    assert not dek_row_is_dropped(row)
    assert open_frame(unwrap_dek(KEK, CASE, 1, row, DROPPED.shred_part), PLACE, frame) == b"note"


def test_a_dropped_row_does_not_open_under_the_kek_before_adoption() -> None:
    with pytest.raises(SealBroken):
        unwrap_dek(KEK, CASE, 1, DROPPED.row, DROPPED.shred_part)


def test_a_dropped_row_is_adopted_at_its_own_place_only() -> None:
    for case, generation in ((b"L" * 16, 1), (CASE, 2)):
        with pytest.raises(SealBroken):
            adopt_dek(DROP, KEK, case, generation, DROPPED.row)
    for drop in (new_drop_key(ORG, "health", 4), new_drop_key(ORG, "health", 5)):
        with pytest.raises(SealBroken):
            adopt_dek(drop, KEK, CASE, 1, DROPPED.row)
    with pytest.raises(PlaceRefused):
        adopt_dek(DROP, new_kek(ORG, "legal", 1), CASE, 1, DROPPED.row)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_dropped_row_with_any_flipped_byte_is_not_adopted(where: int, flip: int) -> None:
    row = bytearray(DROPPED.row)
    row[where % len(row)] ^= flip
    with pytest.raises(CryptoError):
        adopt_dek(DROP, KEK, CASE, 1, bytes(row))


def test_a_key_id_commits_to_its_key() -> None:
    assert kek_from_secret(ORG, "health", 1, KEK.secret).kid == KEK.kid
    assert kek_from_secret(ORG, "health", 1, Secret(bytes(32))).kid != KEK.kid
    assert certified_kek(ORG, "health", 1, KEK.secret, KEK.kid) == KEK
    for planted in (Secret(bytes(32)), Secret(bytes(16))):
        with pytest.raises(GrantRefused):
            certified_kek(ORG, "health", 1, planted, KEK.kid)


@pytest.mark.parametrize(("org", "group", "number"), [(b"", "health", 1), (ORG, "", 1), (ORG, "health", -1)])
def test_a_key_of_no_compartment_is_not_made(org: bytes, group: str, number: int) -> None:
    with pytest.raises(EncodingRefused):
        new_kek(org, group, number)


def test_the_outer_form_of_a_key_row_is_told_without_any_key() -> None:
    for row in (new_dek(KEK, CASE).row, new_dek_to_drop(DROP.public, CASE).row):
        require_dek_row(row)
        for refused in (row[:-1], row + b"\0", b"\x09" + row[1:], b""):
            with pytest.raises(SealBroken):
                require_dek_row(refused)
