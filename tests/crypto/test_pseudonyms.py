from hmac import digest

import pytest

from crypto.errors import EncodingRefused
from crypto.journal import detail_commitment, new_pseudonym, pseudonym, row_pseudonym, source_hash
from crypto.pepper import Pepper
from crypto.secret import Secret

PARTS = new_pseudonym()
PERSON = pseudonym(PARTS.mapping_part, PARTS.shred_part)


def test_a_pseudonym_needs_both_halves() -> None:
    assert len(PERSON) == 32
    assert PERSON not in {PARTS.mapping_part, PARTS.shred_part}
    assert pseudonym(new_pseudonym().mapping_part, PARTS.shred_part) != PERSON
    with pytest.raises(EncodingRefused):
        pseudonym(PARTS.mapping_part, b"")


def test_two_persons_share_no_row_pseudonym() -> None:
    other = pseudonym(*(bytes(32), PARTS.mapping_part))
    assert row_pseudonym(PERSON, b"R" * 16) == row_pseudonym(PERSON, b"R" * 16)
    assert row_pseudonym(PERSON, b"R" * 16) != row_pseudonym(PERSON, b"S" * 16)
    assert row_pseudonym(PERSON, b"R" * 16) != row_pseudonym(other, b"R" * 16)


def test_a_detail_is_committed_to_under_its_salt() -> None:
    assert detail_commitment(b"s" * 32, b"motif") == digest(b"s" * 32, b"motif", "sha256")
    with pytest.raises(EncodingRefused):
        detail_commitment(b"", b"motif")


def test_a_source_address_is_hashed_under_the_pepper() -> None:
    pepper, other = (Pepper.from_secret(Secret.random()) for _ in range(2))
    assert source_hash(pepper, "192.0.2.1") == source_hash(pepper, "192.0.2.1")
    assert source_hash(pepper, "192.0.2.1") != source_hash(pepper, "192.0.2.2")
    assert source_hash(pepper, "192.0.2.1") != source_hash(other, "192.0.2.1")
