"""Relation tokens and marks: what an auditor can compare, and what neither she nor a thief can."""

import pytest

from crypto.errors import CryptoError, PlaceRefused
from crypto.kek import kek_from_secret, new_kek
from crypto.relation import (
    SLOTS,
    Trait,
    decode_marks,
    decode_tokens,
    encode_marks,
    encode_tokens,
    match_key,
    relation_mark,
    relation_token,
    unwrap_relation_key,
    wrap_relation_key,
    wrapping_number,
)
from crypto.secret import Secret

ORG, OTHER = b"O" * 16, b"X" * 16
PERSON, SOMEBODY = b"P" * 32, b"S" * 32
KEY = Secret(b"\x0b" * 32)
KEK = kek_from_secret(ORG, "index", 3, Secret(b"\x0c" * 32))
# The key above under the KEK above, with a nonce of its day.
WRAPPED = bytes.fromhex(
    "01010000000335b4310d403cc7e72c1eabc6f4cc9a381da2dffb96d0c372293c3e"
    "d364edec73cf467736f8d472d851dc0740f53c0fb0029199e641b642f0f469bfaa"
)


def test_the_golden_bytes_of_key_token_and_mark() -> None:
    assert unwrap_relation_key(KEK, WRAPPED) == KEY
    token = relation_token(KEY, ORG, Trait.SURNAME, "DUP3")
    assert token.hex() == "b7e53a8f071d1dd58e98cf38e1f53229fdf9e4bb322775489990bdca4f2cc203"
    assert relation_mark(token, PERSON).hex() == "b846feb65d4821d1e3663f66a5757ead"


def test_a_match_key_needs_both_its_halves() -> None:
    made = match_key(KEY, PERSON)
    assert made.reveal().hex() == "45bbd030334db02355e68b281006d7ea3a8885df66253ff2f2133444d5e566ab"
    assert (
        len({made.reveal(), match_key(KEY, SOMEBODY).reveal(), match_key(Secret(PERSON), PERSON).reveal()})
        == 3
    )
    with pytest.raises(CryptoError):
        match_key(KEY, PERSON[:-1])


def test_a_relation_key_opens_under_its_own_kek_and_organisation_alone() -> None:
    wrapped = wrap_relation_key(KEK, KEY)
    assert (unwrap_relation_key(KEK, wrapped), wrapping_number(wrapped)) == (KEY, 3)
    others = [
        new_kek(ORG, "index", 3),
        new_kek(ORG, "index", 4),
        kek_from_secret(OTHER, "index", 3, KEK.secret),
        kek_from_secret(ORG, "identity", 3, KEK.secret),
    ]
    for other in others:
        with pytest.raises(CryptoError):
            unwrap_relation_key(other, wrapped)
    for at in range(len(wrapped)):
        with pytest.raises(CryptoError):
            unwrap_relation_key(KEK, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])
    with pytest.raises(PlaceRefused):
        wrap_relation_key(new_kek(ORG, "journal", 1), KEY)


def test_a_token_is_of_one_key_organisation_trait_and_value() -> None:
    tokens = {
        relation_token(KEY, ORG, Trait.SURNAME, "DUP3"),
        relation_token(Secret(b"\x0d" * 32), ORG, Trait.SURNAME, "DUP3"),
        relation_token(KEY, OTHER, Trait.SURNAME, "DUP3"),
        relation_token(KEY, ORG, Trait.ADDRESS, "DUP3"),
        relation_token(KEY, ORG, Trait.SURNAME, "DUP2"),
    }
    assert len(tokens) == 5


def test_of_two_persons_with_the_same_name_no_mark_is_the_same() -> None:
    token = relation_token(KEY, ORG, Trait.SURNAME, "DUP3")
    first, second = (decode_marks(encode_marks([token], person)) for person in (PERSON, SOMEBODY))
    assert first.isdisjoint(second)
    assert relation_mark(token, PERSON) in first
    assert relation_mark(token, SOMEBODY) in second


def test_records_have_one_size_and_give_back_what_they_hold() -> None:
    tokens = [(Trait.PHONE, bytes([number]) * 32) for number in range(SLOTS + 5)]
    for count in (0, 1, SLOTS, SLOTS + 5):
        record = encode_tokens(tokens[:count])
        assert len(record) == len(encode_tokens([]))
        assert decode_tokens(record) == tuple(tokens[: min(count, SLOTS)])
        marks = encode_marks([token for _, token in tokens[:count]], PERSON)
        assert len(marks) == len(encode_marks([], PERSON))
        assert len(decode_marks(marks)) == SLOTS
    assert encode_marks([], PERSON) != encode_marks([], PERSON)


def test_what_is_no_record_is_refused() -> None:
    record = encode_tokens([])
    for broken in (b"", record[:-1], record + b"\0", b"\x09" + record[1:]):
        with pytest.raises(CryptoError):
            decode_tokens(broken)
    with pytest.raises(CryptoError):
        decode_marks(encode_marks([], PERSON)[1:])
