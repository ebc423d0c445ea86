"""Notes for named readers: who opens one, and what is refused."""

from typing import Any

import pytest

from crypto.box import seal_box
from crypto.directory_entries import MemberRemovedBody
from crypto.errors import AlgorithmRefused, CommitmentMismatch, GrantRefused, PlaceRefused, SealBroken
from crypto.hpke import hpke_seal, new_key_pair
from crypto.member_note import (
    header_size,
    note_context,
    note_info,
    note_keys,
    readers_of,
    seal_member_note,
)
from crypto.opener import open_member_note, renew_note_for_recovery
from crypto.padding import pad
from crypto.place import Place
from crypto.secret import Secret

CASE, TEXT = b"K" * 16, "Elle a peur d’un collègue.".encode()


@pytest.fixture
def place(organisation: Any) -> Place:
    return Place(organisation.id, 9, 1, b"n" * 16, 1)


@pytest.fixture
def envelope(organisation: Any, place: Place) -> bytes:
    readers = [organisation.holder.id, organisation.reception.id]
    return seal_member_note(organisation.directory, CASE, place, readers, TEXT)


def test_each_reader_and_recovery_open_a_note_and_nobody_else(
    organisation: Any, place: Place, envelope: bytes
) -> None:
    for who in (organisation.holder, organisation.reception):
        assert open_member_note(who.daily.private, who.id, CASE, place, envelope) == TEXT
    assert open_member_note(organisation.recovery.private, None, CASE, place, envelope) == TEXT
    assert readers_of(envelope) == (organisation.holder.id, organisation.reception.id)
    custodian = organisation.custodian
    for member in (custodian.id, organisation.holder.id, None):
        with pytest.raises(SealBroken):
            open_member_note(custodian.daily.private, member, CASE, place, envelope)


def test_a_note_opens_at_its_place_and_in_its_case_alone(
    organisation: Any, place: Place, envelope: bytes
) -> None:
    private, member = organisation.holder.daily.private, organisation.holder.id
    for case, elsewhere in ((b"L" * 16, place), (CASE, Place(place.org, 9, 1, b"m" * 16, 1))):
        with pytest.raises(SealBroken):
            open_member_note(private, member, case, elsewhere, envelope)


def test_any_altered_byte_of_a_note_is_refused(organisation: Any, place: Place, envelope: bytes) -> None:
    private, member = organisation.holder.daily.private, organisation.holder.id
    for at in range(len(envelope)):
        altered = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        with pytest.raises((SealBroken, AlgorithmRefused)):
            open_member_note(private, member, CASE, place, altered)
    for size in (0, 2, 3, 90, header_size(envelope), len(envelope) - 1):
        with pytest.raises(SealBroken):
            open_member_note(private, member, CASE, place, envelope[:size])


def test_a_note_that_says_something_else_to_one_reader_is_refused(organisation: Any, place: Place) -> None:
    """Two keys and one commitment: only the reader of the committed one reads."""
    one, other = Secret.random(), Secret.random()
    keys = [(organisation.holder, one), (organisation.reception, other)]
    header = b"\x01\x01\x02"
    for who, key in keys:
        info = note_info(CASE, place, who.daily.public)
        header += who.id + hpke_seal(who.daily.public, info, key.reveal())
    header += bytes(80)
    aead, commitment = note_keys(one, CASE, place)
    made = seal_box(aead, header + commitment, note_context(CASE, place), pad(TEXT))
    holder, reception = organisation.holder, organisation.reception
    assert open_member_note(holder.daily.private, holder.id, CASE, place, made) == TEXT
    with pytest.raises(CommitmentMismatch):
        open_member_note(reception.daily.private, reception.id, CASE, place, made)


def test_a_note_names_certified_members_of_its_organisation(organisation: Any, place: Place) -> None:
    for readers in ([], [b"X" * 16], [organisation.holder.id, b"X" * 16]):
        with pytest.raises(GrantRefused):
            seal_member_note(organisation.directory, CASE, place, readers, TEXT)
    foreign = Place(b"P" * 16, 9, 1, b"n" * 16, 1)
    with pytest.raises(PlaceRefused):
        seal_member_note(organisation.directory, CASE, foreign, [organisation.holder.id], TEXT)


def test_a_note_of_other_keys_does_not_open(organisation: Any, place: Place, envelope: bytes) -> None:
    with pytest.raises(SealBroken):
        open_member_note(new_key_pair().private, organisation.holder.id, CASE, place, envelope)


def test_recovery_gives_a_note_to_new_keys_only_of_those_it_is_told(
    organisation: Any, person: Any, place: Place, envelope: bytes
) -> None:
    holder, reception, private = organisation.holder, organisation.reception, organisation.recovery.private
    planted = person(reception.id, reception.role)
    organisation.append(planted.body, organisation.custodian.signer)
    directory = organisation.verified()

    def renewed(*anew: bytes) -> bytes:
        return renew_note_for_recovery(directory, private, CASE, place, envelope, anew)

    kept = renewed(organisation.custodian.id)
    for who in (holder, reception):
        assert open_member_note(who.daily.private, who.id, CASE, place, kept) == TEXT
    with pytest.raises(SealBroken):
        open_member_note(planted.daily.private, reception.id, CASE, place, kept)
    given = renewed(reception.id)
    assert open_member_note(planted.daily.private, reception.id, CASE, place, given) == TEXT
    assert open_member_note(private, None, CASE, place, given) == TEXT
    for made in (kept, given):
        assert readers_of(made) == (holder.id, reception.id)


def test_a_note_whose_readers_are_gone_is_given_to_those_whom_recovery_names(
    organisation: Any, place: Place, envelope: bytes
) -> None:
    custodian, private = organisation.custodian, organisation.recovery.private
    for gone in (organisation.holder, organisation.reception):
        organisation.append(MemberRemovedBody(gone.id), custodian.signer)
    directory = organisation.verified()
    given = renew_note_for_recovery(directory, private, CASE, place, envelope, {custodian.id})
    assert readers_of(given) == (custodian.id,)
    assert open_member_note(custodian.daily.private, custodian.id, CASE, place, given) == TEXT
    with pytest.raises(GrantRefused):
        renew_note_for_recovery(directory, private, CASE, place, envelope, set())
