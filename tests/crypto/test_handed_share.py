import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import SharesRefused
from crypto.handed_share import SHARE_WORDS, desk_code, open_share, read_share, seal_share, share_word
from crypto.hpke import new_key_pair
from crypto.recovery import Split, split_seed
from crypto.secret import Secret

ORG = b"O" * 16
SHARES = [Secret(share.encode()) for share in split_seed(Secret.random(), Split(3, 5))]
WORDS = SHARES[0].reveal().decode().split()


def test_a_share_says_its_set_its_number_and_how_many_are_needed() -> None:
    facts = [read_share(share) for share in SHARES]
    assert [one.number for one in facts] == [1, 2, 3, 4, 5]
    assert {(one.set_number, one.needed) for one in facts} == {(facts[0].set_number, 3)}


@given(st.integers(0, SHARE_WORDS - 1), st.sampled_from(SHARES[1].reveal().decode().split()))
def test_a_wrong_word_is_found_at_its_holders_screen(at: int, word: str) -> None:
    if WORDS[at] == word:
        return
    with pytest.raises(SharesRefused) as caught:
        read_share(Secret(" ".join([*WORDS[:at], word, *WORDS[at + 1 :]]).encode()))
    assert caught.value.__suppress_context__


# The second is a valid share of 20 words of the SLIP-39 reference vectors: a set that is none of ours.
@pytest.mark.parametrize(
    "mnemonic",
    [
        b"",
        b"duckling enlarge academic academic agency result length solution fridge kidney coal piece deal"
        b" husband erode duke ajar critical decision keyboard",
        " ".join(WORDS[:-1]).encode(),
        b"\xff" * 40,
        b"word " * 36,
    ],
)
def test_what_is_no_share_of_ours_is_refused(mnemonic: bytes) -> None:
    with pytest.raises(SharesRefused):
        read_share(Secret(mnemonic))


@pytest.mark.parametrize("typed", ["academic", "ACADEMIC", " acad ", "Academ"])
def test_four_letters_of_a_word_are_enough(typed: str) -> None:
    assert share_word(typed) == "academic"


@pytest.mark.parametrize("typed", ["", "aca", "acadx", "academics", "zzzz", "académique"])
def test_what_is_no_word_of_the_list_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(SharesRefused) as caught:
        share_word(typed)
    assert not typed or typed not in str(caught.value)


def test_a_share_that_was_handed_in_opens_for_its_desk_and_organisation_alone() -> None:
    desk, other = new_key_pair(), new_key_pair()
    sealed = seal_share(desk.public, ORG, SHARES[0])
    assert open_share(desk, ORG, sealed) == SHARES[0]
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for pair, org, blob in ((other, ORG, sealed), (desk, b"P" * 16, sealed), (desk, ORG, flipped)):
        with pytest.raises(SharesRefused):
            open_share(pair, org, blob)
    assert WORDS[-1].encode() not in sealed


def test_two_desks_have_two_codes() -> None:
    codes = {desk_code(new_key_pair().public) for _ in range(3)}
    assert (len(codes), {len(code) for code in codes}) == (3, {8})
