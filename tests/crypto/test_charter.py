"""Entries of the directory about the charter, and about grants that end."""

from dataclasses import replace
from typing import Any

import pytest

from crypto.directory_agreements import CharterAcceptedBody, CharterBody
from crypto.directory_entries import (
    ROOT,
    Body,
    DirectoryEntry,
    EntrySigner,
    GrantEndedBody,
    KekRetiredBody,
    MemberRemovedBody,
    sign_entry,
)
from crypto.directory_rules import Charter
from crypto.errors import DirectoryFault, EncodingRefused
from crypto.kek import new_kek
from crypto.secret import Secret
from crypto.signing import SigningKey
from tests.crypto.test_directory import forged, refusal, rotated

TEXT = b"t" * 32
ORG = b"O" * 16


def test_a_charter_is_accepted_by_each_member_with_her_own_signature(organisation: Any) -> None:
    assert organisation.directory.charter is None
    assert organisation.directory.has_accepted(organisation.holder.id)
    organisation.append(CharterBody(1, TEXT), organisation.custodian.signer)
    assert organisation.directory.charter == Charter(1, TEXT)
    assert not organisation.directory.has_accepted(organisation.holder.id)
    organisation.append(CharterAcceptedBody(1, TEXT), organisation.holder.signer)
    assert organisation.directory.accepted == {organisation.holder.id: 1}
    assert organisation.verified().has_accepted(organisation.holder.id)
    assert not organisation.directory.has_accepted(organisation.reception.id)
    organisation.append(CharterBody(2, b"u" * 32), organisation.root)
    assert not organisation.directory.has_accepted(organisation.holder.id)


def test_a_charter_of_somebody_who_certifies_nobody_is_refused(organisation: Any) -> None:
    for stranger in (organisation.holder, organisation.reception):
        entry = forged(organisation, CharterBody(1, TEXT), stranger.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_charter_version_that_goes_back_or_leaves_one_out_is_refused(
    organisation: Any, version: int
) -> None:
    organisation.append(CharterBody(1, TEXT), organisation.custodian.signer)
    entry = forged(organisation, CharterBody(version, b"u" * 32), organisation.custodian.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION


@pytest.mark.parametrize("body", [CharterAcceptedBody(2, TEXT), CharterAcceptedBody(1, b"u" * 32)])
def test_an_acceptance_of_another_version_or_text_is_refused(organisation: Any, body: Body) -> None:
    entry = forged(organisation, CharterAcceptedBody(1, TEXT), organisation.holder.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(CharterBody(1, TEXT), organisation.custodian.signer)
    entry = forged(organisation, body, organisation.holder.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION


def test_an_acceptance_is_signed_by_a_member_and_once(organisation: Any) -> None:
    organisation.append(CharterBody(1, TEXT), organisation.custodian.signer)
    accepted = CharterAcceptedBody(1, TEXT)
    entry = forged(organisation, accepted, organisation.root)
    assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
    for_another = EntrySigner(organisation.holder.id, organisation.reception.signing)
    entry = forged(organisation, accepted, for_another)
    assert refusal(organisation.add, entry) is DirectoryFault.BAD_SIGNATURE
    organisation.append(accepted, organisation.holder.signer)
    entry = forged(organisation, accepted, organisation.holder.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    assert organisation.directory.accepted == {}


def test_what_somebody_no_longer_is_given_is_exposed_until_it_is_retired(organisation: Any) -> None:
    organisation.grant(organisation.reception, organisation.holder.signer)
    organisation.append(GrantEndedBody(organisation.reception.id, "health"), organisation.custodian.signer)
    directory = organisation.directory
    assert directory.exposed == {("health", 1)}
    assert not directory.holds(organisation.reception.id, "health")
    assert directory.grants_of(organisation.reception.id) == ()
    assert directory.holds(organisation.holder.id, "health")
    rotated(organisation)
    organisation.append(KekRetiredBody("health", 1), organisation.holder.signer)
    assert organisation.directory.exposed == frozenset()
    assert organisation.verified().exposed == frozenset()


def test_who_is_no_longer_given_a_group_gives_it_to_nobody(organisation: Any) -> None:
    """Whether she was given its key or made it."""
    rotated(organisation)
    organisation.append(GrantEndedBody(organisation.holder.id, "health"), organisation.custodian.signer)
    fault = refusal(organisation.grant, organisation.reception, organisation.holder.signer)
    assert fault is DirectoryFault.NOT_ENTITLED
    organisation.kek = new_kek(organisation.id, "health", organisation.kek.number + 1)
    entry = forged(organisation, organisation.compartment(), organisation.holder.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED


def test_grants_are_ended_by_who_certifies_and_of_who_holds_them(organisation: Any) -> None:
    body = GrantEndedBody(organisation.holder.id, "health")
    entry = forged(organisation, body, organisation.reception.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
    for wrong in (replace(body, group="legal"), replace(body, member=organisation.reception.id)):
        entry = forged(organisation, wrong, organisation.custodian.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(body, EntrySigner(ROOT, organisation.root.key))


@pytest.mark.parametrize(
    ("body", "golden"),
    [
        (CharterBody(1, TEXT), "CHARTER"),
        (CharterAcceptedBody(1, TEXT), "ACCEPTED"),
        (GrantEndedBody(b"H" * 16, "health"), "ENDED"),
    ],
)
def test_the_golden_bytes_of_these_entries(body: Body, golden: str) -> None:
    """The key is 32 times 07, the entry the second of an organisation of 16 times O."""
    signer = EntrySigner(b"C" * 16, SigningKey.from_seed(Secret(b"\7" * 32)))
    entry = sign_entry(ORG, 2, b"p" * 32, body, signer)
    assert entry.to_bytes().hex() == GOLDEN[golden]
    assert DirectoryEntry.from_bytes(bytes.fromhex(GOLDEN[golden])) == entry


def test_a_version_that_is_no_number_is_not_encoded() -> None:
    for body in (CharterBody(-1, TEXT), CharterAcceptedBody(1, b"short")):
        with pytest.raises(EncodingRefused):
            body.parts()


GOLDEN = {
    "CHARTER": (
        "014f7020dcb63a279ae9a29ad4dde7e2ea7c17d23a15ea10a88356ea15bb9a60de79d636b5739d988a15c6b66f6ef6fc"
        "e6c16e7bff2a692ee09d9ef76c37e13c000700000000000000100000000000000063736d2f6469726563746f72792f76"
        "3110000000000000004f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f0400000000000000000000022000000000000000707070"
        "70707070707070707070707070707070707070707070707070707070700700000000000000636861727465723c000000"
        "000000000200000000000000040000000000000000000001200000000000000074747474747474747474747474747474"
        "74747474747474747474747474747474100000000000000043434343434343434343434343434343"
    ),
    "ACCEPTED": (
        "0169305e1d9e454990f750eb67f6e8fb186d19c73e618eb8f0075fec11e5174929e6e57ca72c1ca7629122eeee1e96bd"
        "47b9b939e34b18a56474eeee9a6738310e0700000000000000100000000000000063736d2f6469726563746f72792f76"
        "3110000000000000004f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f0400000000000000000000022000000000000000707070"
        "70707070707070707070707070707070707070707070707070707070701000000000000000636861727465725f616363"
        "65707465643c000000000000000200000000000000040000000000000000000001200000000000000074747474747474"
        "747474747474747474747474747474747474747474747474741000000000000000434343434343434343434343434343"
        "43"
    ),
    "ENDED": (
        "016ce2ecfaeed0944c72dd7cbb422cac6c836b46db34f6b041bd682d938b60a63378b25006df5841f98107682aa739f4"
        "8964143e6e2a346cd1e068aed021865d000700000000000000100000000000000063736d2f6469726563746f72792f76"
        "3110000000000000004f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f0400000000000000000000022000000000000000707070"
        "70707070707070707070707070707070707070707070707070707070700b000000000000006772616e745f656e646564"
        "2e0000000000000002000000000000001000000000000000484848484848484848484848484848480600000000000000"
        "6865616c7468100000000000000043434343434343434343434343434343"
    ),
}
