"""The mark of a honeytoken: told by the pepper alone, and by nothing that is stored."""

import pytest

from crypto.errors import EncodingRefused
from crypto.honeytoken import honeytoken_pseudonym, is_honeytoken
from crypto.journal import new_pseudonym, pseudonym
from crypto.pepper import Pepper, Peppers
from crypto.secret import Secret

ORG, CASE = b"O" * 16, b"K" * 16
PEPPER = Pepper.from_secret(Secret(b"\7" * 32))
PEPPERS = Peppers(PEPPER)
PARTS = honeytoken_pseudonym(PEPPER, ORG, CASE)
MARK = pseudonym(PARTS.mapping_part, PARTS.shred_part)


def test_a_honeytoken_is_told_by_the_pepper_at_its_own_place_alone() -> None:
    assert is_honeytoken(PEPPERS, ORG, CASE, MARK)
    assert not is_honeytoken(PEPPERS, ORG, b"L" * 16, MARK)
    assert not is_honeytoken(PEPPERS, b"P" * 16, CASE, MARK)
    ordinary = new_pseudonym()
    assert not is_honeytoken(PEPPERS, ORG, CASE, pseudonym(ordinary.mapping_part, ordinary.shred_part))


def test_after_a_rotation_it_is_told_while_the_older_pepper_is_kept() -> None:
    newer = Pepper.from_secret(Secret(b"\x08" * 32))
    assert is_honeytoken(Peppers(newer, (PEPPER,)), ORG, CASE, MARK)
    assert not is_honeytoken(Peppers(newer), ORG, CASE, MARK)


def test_neither_half_tells_for_each_is_random() -> None:
    again = honeytoken_pseudonym(PEPPER, ORG, CASE)
    assert pseudonym(again.mapping_part, again.shred_part) == MARK
    assert {again.mapping_part, again.shred_part}.isdisjoint({PARTS.mapping_part, PARTS.shred_part})


def test_the_golden_bytes_of_a_mark() -> None:
    assert MARK.hex() == "56ce044bbb53d08ac515f54191320b4b7294df1ba59c0c9125dc3b85fca70e24"
    for wrong in ((b"", CASE), (ORG, b"")):
        with pytest.raises(EncodingRefused):
            honeytoken_pseudonym(PEPPER, *wrong)
    with pytest.raises(EncodingRefused):
        is_honeytoken(PEPPERS, ORG, CASE, b"")
