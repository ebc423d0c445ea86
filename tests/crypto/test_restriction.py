"""Restricted cases: the named part, who may say whom it is sealed to, and what of it is refused."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from crypto.dek import new_dek, unwrap_dek
from crypto.directory_entries import EntrySigner, MemberBody, MemberRemovedBody, RestrictionBody
from crypto.errors import (
    CommitmentMismatch,
    DirectoryFault,
    DirectoryRefused,
    EncodingRefused,
    GrantRefused,
    SealBroken,
)
from crypto.hpke import hpke_seal, new_key_pair
from crypto.pae import pae
from crypto.restriction import (
    Restricting,
    blind_half,
    case_tag,
    lift_restriction,
    name_members,
    open_named_part,
    open_named_part_by_recovery,
    restriction_of,
)
from crypto.secret import Secret
from crypto.signing import SigningKey

CASE, OTHER_CASE = b"K" * 16, b"L" * 16


@pytest.fixture
def colleague(organisation: Any, person: Any) -> Any:
    colleague = person(b"N" * 16, "worker")
    organisation.append(colleague.body, organisation.root)
    return colleague


@pytest.fixture
def part() -> Secret:
    return Secret.random()


def restrict(
    organisation: Any, part: Secret, *people: Any, by: Any = None, case: bytes = CASE
) -> Restricting:
    """Name these people for a case, signed by the first of them if nobody else is given."""
    members = [who.id for who in people]
    made = name_members(organisation.directory, case, part, members, by or people[0].signer)
    organisation.add(made.entry)
    return made


def opened(organisation: Any, made: Restricting, who: Any, case: bytes = CASE) -> Secret:
    return open_named_part(organisation.directory, case, made.seals[who.id], who.id, who.daily.private)


def refused(organisation: Any, body: RestrictionBody, signer: EntrySigner) -> DirectoryFault:
    with pytest.raises(DirectoryRefused) as caught:
        organisation.directory.next_entry(body, signer)
    return caught.value.fault


def test_each_named_member_and_recovery_open_the_part_and_nobody_else(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    holder, reception = organisation.holder, organisation.reception
    made = restrict(organisation, part, holder, colleague)
    assert opened(organisation, made, holder) == opened(organisation, made, colleague) == part
    private = organisation.recovery.private
    assert open_named_part_by_recovery(organisation.directory, CASE, made.recovery, private) == part
    assert sorted(made.seals) == sorted([holder.id, colleague.id])
    for seal in made.seals.values():
        with pytest.raises(GrantRefused, match="not named"):
            open_named_part(organisation.directory, CASE, seal, reception.id, reception.daily.private)
    with pytest.raises(SealBroken):
        open_named_part(
            organisation.directory, CASE, made.seals[holder.id], holder.id, reception.daily.private
        )
    with pytest.raises(SealBroken):
        open_named_part_by_recovery(organisation.directory, CASE, made.recovery, new_key_pair().private)


def test_a_key_without_the_named_part_commits_to_another(organisation: Any, part: Secret) -> None:
    """The KEK, the database and the shred store together do not open a restricted case."""
    dek = new_dek(organisation.kek, CASE)
    kept = blind_half(dek.shred_part, part)
    with pytest.raises(CommitmentMismatch):
        unwrap_dek(organisation.kek, CASE, 1, dek.row, kept)
    assert unwrap_dek(organisation.kek, CASE, 1, dek.row, blind_half(kept, part)).case == CASE


def test_a_seal_of_another_restricted_case_is_refused(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    one = restrict(organisation, part, organisation.holder, colleague)
    other = restrict(organisation, Secret.random(), organisation.holder, colleague, case=OTHER_CASE)
    swapped = replace(one, seals=other.seals)
    with pytest.raises(GrantRefused, match="not the certified bytes"):
        opened(organisation, swapped, organisation.holder)
    with pytest.raises(GrantRefused, match="not a restricted case"):
        opened(organisation, one, organisation.holder, b"M" * 16)


def test_a_seal_that_no_entry_certifies_is_refused(organisation: Any, colleague: Any, part: Secret) -> None:
    """Sealed just as well, by somebody who knows the part or chose one: unsigned, it counts for nothing."""
    restrict(organisation, part, organisation.holder, colleague)
    unsigned = name_members(
        organisation.directory, CASE, part, [organisation.holder.id, colleague.id], colleague.signer
    )
    with pytest.raises(GrantRefused, match="not the certified bytes"):
        opened(organisation, unsigned, organisation.holder)


def test_a_part_other_than_the_certified_one_is_refused(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    """Planted: an entry of a named member that certifies the hash of a seal of another part."""
    restrict(organisation, part, organisation.holder, colleague)
    standing = restriction_of(organisation.directory, CASE)
    assert standing is not None
    for planted in (Secret.random().reveal(), b"short"):
        member = organisation.holder.id
        named = standing.named[member]
        info = pae(
            b"csm/restricted/v1", organisation.id, standing.tag, standing.part_id, member, named.member_key_fp
        )
        seal = b"\x01\x01" + hpke_seal(organisation.holder.daily.public, info, planted)
        seals = [
            replace(one, sealed_hash=sha256(seal).digest()) if one.member == member else one
            for one in standing.named.values()
        ]
        number = organisation.directory.restrictions[standing.tag].number + 1
        body = RestrictionBody(standing.tag, number, standing.part_id, tuple(seals), standing.recovery_hash)
        organisation.append(body, colleague.signer)
        with pytest.raises(GrantRefused, match="not the certified part"):
            open_named_part(organisation.directory, CASE, seal, member, organisation.holder.daily.private)


def test_named_members_alone_name_others_and_take_one_away(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    holder, reception, custodian = organisation.holder, organisation.reception, organisation.custodian
    restrict(organisation, part, holder, colleague)
    for stranger in (reception, custodian):
        with pytest.raises(DirectoryRefused) as caught:
            restrict(organisation, part, holder, colleague, stranger, by=stranger.signer)
        assert caught.value.fault is DirectoryFault.NOT_ENTITLED
        with pytest.raises(DirectoryRefused) as caught:
            organisation.add(lift_restriction(organisation.directory, CASE, stranger.signer))
        assert caught.value.fault is DirectoryFault.NOT_ENTITLED
    added = restrict(organisation, part, holder, colleague, reception, by=colleague.signer)
    assert opened(organisation, added, reception) == part
    fresh = Secret.random()
    taken = restrict(organisation, fresh, holder, reception, by=reception.signer)
    with pytest.raises(GrantRefused, match="not named"):
        opened(organisation, replace(taken, seals=added.seals), colleague)
    with pytest.raises(DirectoryRefused) as caught:
        restrict(organisation, part, holder, colleague, by=colleague.signer)
    assert caught.value.fault is DirectoryFault.NOT_ENTITLED


def test_fewer_than_two_members_are_refused(organisation: Any, colleague: Any, part: Secret) -> None:
    for people in ((), (organisation.holder,)):
        with pytest.raises(DirectoryRefused) as caught:
            name_members(
                organisation.directory, CASE, part, [one.id for one in people], organisation.holder.signer
            )
        assert caught.value.fault is DirectoryFault.CONTRADICTION
    restrict(organisation, part, organisation.holder, colleague)
    with pytest.raises(DirectoryRefused) as caught:
        restrict(organisation, part, organisation.holder)
    assert caught.value.fault is DirectoryFault.CONTRADICTION
    with pytest.raises(GrantRefused, match="member not certified"):
        name_members(
            organisation.directory, CASE, part, [colleague.id, b"X" * 16], organisation.holder.signer
        )


def test_new_keys_of_a_named_member_are_not_named(organisation: Any, colleague: Any, part: Secret) -> None:
    """A custodian who certifies keys of her own in a member's name gets neither the part nor a say."""
    made = restrict(organisation, part, organisation.holder, colleague)
    forged = SigningKey.new()
    body = MemberBody(colleague.id, "worker", (), new_key_pair().public, forged.public)
    organisation.append(body, organisation.custodian.signer)
    with pytest.raises(DirectoryRefused) as caught:
        restrict(organisation, part, organisation.holder, colleague, by=EntrySigner(colleague.id, forged))
    assert caught.value.fault is DirectoryFault.NOT_ENTITLED
    # Those who still have theirs name her again, under the new ones.
    again = restrict(organisation, part, organisation.holder, colleague, by=organisation.holder.signer)
    assert opened(organisation, again, organisation.holder) == part
    assert again.seals[colleague.id] != made.seals[colleague.id]


def test_a_removed_member_signs_nothing_and_is_not_named_again(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    restrict(organisation, part, organisation.holder, colleague)
    organisation.append(MemberRemovedBody(colleague.id), organisation.custodian.signer)
    with pytest.raises(DirectoryRefused) as caught:
        restrict(organisation, part, organisation.holder, organisation.reception, by=colleague.signer)
    assert caught.value.fault is DirectoryFault.UNKNOWN_SIGNER
    standing = restriction_of(organisation.directory, CASE)
    assert standing is not None
    body = RestrictionBody(
        standing.tag, 2, standing.part_id, tuple(standing.named.values()), standing.recovery_hash
    )
    assert refused(organisation, body, organisation.holder.signer) is DirectoryFault.CONTRADICTION


def test_the_root_names_whoever_recovers_a_case(organisation: Any, colleague: Any, part: Secret) -> None:
    made = restrict(organisation, part, organisation.holder, colleague)
    private = organisation.recovery.private
    recovered = open_named_part_by_recovery(organisation.directory, CASE, made.recovery, private)
    again = restrict(organisation, recovered, colleague, organisation.reception, by=organisation.root)
    assert opened(organisation, again, organisation.reception) == part


def test_a_lifted_restriction_names_nobody_and_can_be_set_again(
    organisation: Any, colleague: Any, part: Secret
) -> None:
    made = restrict(organisation, part, organisation.holder, colleague)
    organisation.add(lift_restriction(organisation.directory, CASE, colleague.signer))
    assert restriction_of(organisation.directory, CASE) is None
    with pytest.raises(GrantRefused, match="not a restricted case"):
        opened(organisation, made, organisation.holder)
    with pytest.raises(DirectoryRefused) as caught:
        organisation.add(lift_restriction(organisation.directory, CASE, colleague.signer))
    assert caught.value.fault is DirectoryFault.CONTRADICTION
    fresh = Secret.random()
    again = restrict(organisation, fresh, organisation.holder, organisation.reception)
    assert opened(organisation, again, organisation.reception) == fresh
    assert organisation.directory.restrictions[case_tag(organisation.id, CASE)].number == 3
    assert organisation.verified() == organisation.directory


def test_a_number_that_does_not_follow_is_refused(organisation: Any, colleague: Any, part: Secret) -> None:
    made = restrict(organisation, part, organisation.holder, colleague)
    for number in (1, 3):
        body = replace(made.entry.body, number=number)
        assert refused(organisation, body, colleague.signer) is DirectoryFault.CONTRADICTION


def test_a_body_has_one_encoding(organisation: Any, colleague: Any, part: Secret) -> None:
    body = restrict(organisation, part, organisation.holder, colleague).entry.body
    assert isinstance(body, RestrictionBody)
    assert RestrictionBody.from_parts(*body.parts()) == body
    with pytest.raises(EncodingRefused, match="not sorted"):
        replace(body, named=body.named[::-1]).parts()
    parts = list(body.parts())
    parts[3] = pae(b"only", b"two")
    with pytest.raises(EncodingRefused, match="not a list of seals"):
        RestrictionBody.from_parts(*parts)
