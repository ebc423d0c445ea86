"""Eight words over public keys: the same on both sides, others for other keys, and heard as people hear."""

from hashlib import sha256

import pytest

from crypto.errors import EncodingRefused
from crypto.words import COUNT, WORDS, verification_words, words_match

ORG, OWNER = bytes(range(16)), bytes(range(16, 32))
ONE, OTHER = b"\x01" * 32, b"\x02" * 32
EXPECTED = ("voyage", "noirceur", "genou", "régulier", "draper", "crevette", "zénith", "laisser")


def test_the_words_of_golden_keys_never_change() -> None:
    assert verification_words(ORG, OWNER, [ONE, OTHER]) == EXPECTED


def test_the_order_of_memberships_makes_no_difference_and_everything_else_does() -> None:
    assert verification_words(ORG, OWNER, [OTHER, ONE]) == EXPECTED
    others = (
        verification_words(OWNER, OWNER, [ONE, OTHER]),
        verification_words(ORG, ORG, [ONE, OTHER]),
        verification_words(ORG, OWNER, [ONE]),
        verification_words(ORG, OWNER, [ONE, ONE]),
        verification_words(ORG, OWNER, [ONE, OTHER], b"context"),
    )
    assert len({EXPECTED, *others}) == 1 + len(others)


def test_a_fingerprint_of_another_width_is_refused() -> None:
    with pytest.raises(EncodingRefused):
        verification_words(ORG, OWNER, [b"short"])


def test_the_list_is_the_one_whose_words_were_read_out_before() -> None:
    digest = "a987d13c85916835e44001998f43aa71e1be667bd16fa868823ed7adbaf630ef"
    assert sha256("\n".join(WORDS).encode()).hexdigest() == digest
    assert len(WORDS) == 2_048


@pytest.mark.parametrize(
    "heard",
    [
        "académie énergie bateau",
        "ACADEMIE energie  bateau",
        "1. academie, 2. Energie ; 3. bateau\n",
        "acade\u0301mie\u00a0énergie-bateau",
    ],
)
def test_words_are_compared_as_they_are_heard(heard: str) -> None:
    assert words_match(("académie", "énergie", "bateau"), heard)


@pytest.mark.parametrize(
    "heard", ["", "énergie académie bateau", "académie énergie", "académie énergie bateau bateau", "\ud800"]
)
def test_other_words_do_not_match(heard: str) -> None:
    assert not words_match(("académie", "énergie", "bateau"), heard)


def test_no_two_words_begin_with_the_same_four_letters() -> None:
    assert len({word[:4] for word in WORDS}) == len(WORDS)
    assert COUNT == 8
