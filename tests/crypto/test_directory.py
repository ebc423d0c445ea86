from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.directory import Floor, root_entry, root_fingerprint, verify_directory
from crypto.directory_entries import (
    ROOT,
    Body,
    CompartmentBody,
    DirectoryEntry,
    EntrySigner,
    GrantBody,
    JournalBody,
    KekRetiredBody,
    MemberBody,
    MemberRemovedBody,
    PolicyBody,
    RecoveryBody,
    RootBody,
    RootChangedBody,
    sign_entry,
)
from crypto.drop import new_drop_key
from crypto.errors import DirectoryFault, DirectoryRefused, EncodingRefused, GrantRefused
from crypto.grant import make_grant
from crypto.kek import new_kek
from crypto.pae import pae, unpae
from crypto.signing import SigningKey

ROOT_KEY = SigningKey.new()
FINGERPRINT = root_fingerprint(b"O" * 16, ROOT_KEY.public)
STORED = root_entry(b"O" * 16, ROOT_KEY, b"r" * 32).to_bytes()


def refusal(act: Callable[..., object], *given: object) -> DirectoryFault:
    with pytest.raises(DirectoryRefused) as caught:
        act(*given)
    return caught.value.fault


def forged(organisation: Any, body: Body, signer: EntrySigner) -> DirectoryEntry:
    """A well-formed next entry that nobody checked, as a thief of the database would append it."""
    directory = organisation.directory
    return sign_entry(directory.org, directory.epoch + 1, directory.head, body, signer)


def test_a_directory_that_leads_back_to_its_root_is_read(organisation: Any) -> None:
    directory = organisation.verified()
    assert directory == organisation.directory
    assert directory.epoch == len(organisation.entries) == 6
    assert directory.members[organisation.holder.id].professions == ("psychologist", "social")
    assert directory.compartments["health"].drop == organisation.drop.public
    assert directory.holds(organisation.holder.id, "health")
    assert not directory.holds(organisation.reception.id, "health")
    assert not directory.holds(organisation.holder.id, "legal")
    assert [grant.granter for grant in directory.grants_of(organisation.holder.id)] == [ROOT]


def test_entries_survive_their_stored_form(organisation: Any) -> None:
    stored = [entry.to_bytes() for entry in organisation.entries]
    assert [DirectoryEntry.from_bytes(data) for data in stored] == organisation.entries


def test_a_directory_of_another_root_is_refused(organisation: Any) -> None:
    organisation.fingerprint = bytes(32)
    assert refusal(organisation.verified) is DirectoryFault.WRONG_ROOT


def test_a_directory_without_a_root_is_refused(organisation: Any) -> None:
    for entries in ([], organisation.entries[1:], [replace(organisation.entries[0], signer=b"C" * 16)]):
        organisation.entries = entries
        assert refusal(organisation.verified) is DirectoryFault.NO_ROOT


def test_a_root_entry_that_its_root_did_not_sign_is_refused(organisation: Any) -> None:
    planted = replace(organisation.entries[0].body, recovery_public=b"x" * 32)
    organisation.entries[0] = replace(organisation.entries[0], body=planted)
    assert refusal(organisation.verified) is DirectoryFault.BAD_SIGNATURE


def test_a_second_root_entry_is_refused(organisation: Any) -> None:
    body = RootBody(SigningKey.new().public, bytes(32))
    entry = forged(organisation, body, organisation.root)
    assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION


def test_an_entry_of_another_organisation_is_refused(organisation: Any) -> None:
    organisation.entries[-1] = replace(organisation.entries[-1], org=b"P" * 16)
    assert refusal(organisation.verified) is DirectoryFault.WRONG_ORGANISATION


def test_a_dropped_entry_is_refused(organisation: Any) -> None:
    del organisation.entries[2]
    assert refusal(organisation.verified) is DirectoryFault.GAP


def test_swapped_entries_are_refused(organisation: Any) -> None:
    organisation.entries[2:4] = reversed(organisation.entries[2:4])
    assert refusal(organisation.verified) is DirectoryFault.GAP


def test_a_rewritten_past_breaks_the_chain(organisation: Any) -> None:
    organisation.entries[2] = sign_entry(
        organisation.id,
        3,
        organisation.entries[1].hash,
        PolicyBody(bytes(32)),
        organisation.root,
    )
    assert refusal(organisation.verified) is DirectoryFault.BROKEN_CHAIN


def test_a_swapped_public_key_is_refused(organisation: Any, person: Any) -> None:
    at = organisation.entries.index(
        next(entry for entry in organisation.entries if entry.body == organisation.holder.body)
    )
    body = replace(organisation.holder.body, daily_public=person(b"X" * 16, "worker").daily.public)
    organisation.entries[at] = replace(organisation.entries[at], body=body)
    assert refusal(organisation.verified) is DirectoryFault.BAD_SIGNATURE


def test_an_unsigned_entry_is_refused(organisation: Any) -> None:
    entry = replace(forged(organisation, PolicyBody(bytes(32)), organisation.root), signature=bytes(64))
    assert refusal(organisation.add, entry) is DirectoryFault.BAD_SIGNATURE


def test_a_signature_of_another_member_is_refused(organisation: Any) -> None:
    impostor = EntrySigner(organisation.custodian.id, organisation.reception.signing)
    entry = forged(organisation, PolicyBody(bytes(32)), impostor)
    assert refusal(organisation.add, entry) is DirectoryFault.BAD_SIGNATURE


def test_an_unknown_signer_is_refused(organisation: Any, person: Any) -> None:
    entry = forged(organisation, PolicyBody(bytes(32)), person(b"X" * 16, "custodian").signer)
    assert refusal(organisation.add, entry) is DirectoryFault.UNKNOWN_SIGNER


def test_a_removed_signer_is_refused(organisation: Any, person: Any) -> None:
    second = person(b"D" * 16, "custodian")
    organisation.append(second.body, organisation.custodian.signer)
    organisation.append(MemberRemovedBody(organisation.custodian.id), second.signer)
    entry = forged(organisation, PolicyBody(bytes(32)), organisation.custodian.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.UNKNOWN_SIGNER


def test_a_member_who_is_no_custodian_certifies_nobody(organisation: Any, person: Any) -> None:
    bodies = [
        person(b"X" * 16, "custodian").body,
        replace(organisation.holder.body, role="custodian"),
        MemberRemovedBody(organisation.reception.id),
        PolicyBody(bytes(32)),
    ]
    for body in bodies:
        entry = forged(organisation, body, organisation.holder.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
        organisation.directory.next_entry(body, organisation.custodian.signer)


@pytest.mark.parametrize(
    "body",
    [RecoveryBody(b"x" * 32), JournalBody(b"y" * 32), RootChangedBody(b"z" * 32)],
    ids=lambda b: b.KIND,
)
def test_only_the_root_changes_recovery_journal_and_root(organisation: Any, body: Body) -> None:
    entry = forged(organisation, body, organisation.custodian.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
    organisation.append(body, organisation.root)
    directory = organisation.verified()
    assert body.value in {directory.recovery_public, directory.journal_key, directory.root_public}


def test_a_changed_root_signs_and_the_old_one_does_not(organisation: Any) -> None:
    root = EntrySigner(ROOT, SigningKey.new())
    organisation.append(RootChangedBody(root.key.public), organisation.root)
    organisation.append(PolicyBody(b"p" * 32), root)
    assert organisation.verified().root_public == root.key.public
    entry = forged(organisation, PolicyBody(bytes(32)), organisation.root)
    assert refusal(organisation.add, entry) is DirectoryFault.BAD_SIGNATURE


def test_a_removed_member_does_not_come_back(organisation: Any) -> None:
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    assert not organisation.directory.holds(organisation.holder.id, "health")
    assert organisation.directory.grants_of(organisation.holder.id) == ()
    for body in (organisation.holder.body, MemberRemovedBody(organisation.holder.id)):
        entry = forged(organisation, body, organisation.custodian.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION


def test_new_keys_of_a_member_wait_for_a_new_grant(organisation: Any, person: Any) -> None:
    again = person(organisation.holder.id, "worker")
    organisation.append(again.body, organisation.custodian.signer)
    assert not organisation.directory.holds(again.id, "health")
    organisation.grant(again, organisation.root)
    assert organisation.directory.holds(again.id, "health")


def test_a_new_role_keeps_the_grants_of_unchanged_keys(organisation: Any) -> None:
    organisation.append(replace(organisation.holder.body, role="supervisor"), organisation.custodian.signer)
    assert organisation.directory.members[organisation.holder.id].role == "supervisor"
    assert organisation.directory.holds(organisation.holder.id, "health")


def test_a_holder_rotates_and_grants_the_new_key_to_herself(organisation: Any) -> None:
    organisation.kek = new_kek(organisation.id, "health", 2)
    organisation.drop = new_drop_key(organisation.id, "health", 2)
    organisation.append(organisation.compartment(), organisation.holder.signer)
    assert not organisation.directory.holds(organisation.holder.id, "health")
    organisation.grant(organisation.holder, organisation.holder.signer)
    assert organisation.directory.holds(organisation.holder.id, "health")
    assert set(organisation.directory.kids) == {("health", 1), ("health", 2)}


def test_a_holder_of_the_old_key_does_not_grant_the_new_one(organisation: Any) -> None:
    organisation.grant(organisation.reception, organisation.holder.signer)
    organisation.kek = new_kek(organisation.id, "health", 2)
    organisation.append(organisation.compartment(), organisation.holder.signer)
    assert (
        refusal(organisation.grant, organisation.reception, organisation.reception.signer)
        is DirectoryFault.NOT_ENTITLED
    )


def test_a_maker_whose_keys_were_reset_does_not_grant(organisation: Any, person: Any) -> None:
    organisation.kek = new_kek(organisation.id, "health", 2)
    organisation.append(organisation.compartment(), organisation.holder.signer)
    again = person(organisation.holder.id, "worker")
    organisation.append(again.body, organisation.custodian.signer)
    assert refusal(organisation.grant, again, again.signer) is DirectoryFault.NOT_ENTITLED


def rotated(organisation: Any) -> None:
    """The holder rotates `health` and grants herself the new key."""
    organisation.kek = new_kek(organisation.id, "health", organisation.kek.number + 1)
    organisation.drop = new_drop_key(organisation.id, "health", organisation.drop.public.number + 1)
    organisation.append(organisation.compartment(), organisation.holder.signer)
    organisation.grant(organisation.holder, organisation.holder.signer)


def test_a_retired_key_is_certified_and_granted_no_longer(organisation: Any) -> None:
    old = organisation.kek
    rotated(organisation)
    assert organisation.directory.retiring("health") == (1,)
    organisation.append(KekRetiredBody("health", 1), organisation.holder.signer)
    directory = organisation.directory
    assert directory.retiring("health") == ()
    assert set(directory.kids) == {("health", 2)}
    assert [grant.kek_no for grant in directory.grants_of(organisation.holder.id)] == [2]
    with pytest.raises(GrantRefused):
        make_grant(directory, old, organisation.reception.id, organisation.holder.signer)
    assert organisation.verified().kids == directory.kids


def test_a_holder_of_the_current_key_alone_retires_an_older_one(organisation: Any) -> None:
    organisation.grant(organisation.reception, organisation.holder.signer)
    rotated(organisation)
    for stranger in (organisation.reception, organisation.custodian):
        entry = forged(organisation, KekRetiredBody("health", 1), stranger.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
    for wrong in (KekRetiredBody("health", 2), KekRetiredBody("health", 3), KekRetiredBody("legal", 1)):
        entry = forged(organisation, wrong, organisation.holder.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(KekRetiredBody("health", 1), organisation.root)


def test_what_a_removed_member_held_is_exposed_until_it_is_retired(organisation: Any) -> None:
    organisation.grant(organisation.reception, organisation.holder.signer)
    assert organisation.directory.exposed == frozenset()
    organisation.append(MemberRemovedBody(organisation.reception.id), organisation.custodian.signer)
    assert organisation.directory.exposed == {("health", 1)}
    rotated(organisation)
    assert organisation.directory.exposed == {("health", 1)}
    organisation.append(KekRetiredBody("health", 1), organisation.holder.signer)
    assert organisation.directory.exposed == frozenset()


def test_a_compartment_is_founded_by_the_root_alone(organisation: Any) -> None:
    kek, drop = new_kek(organisation.id, "legal", 1), new_drop_key(organisation.id, "legal", 1).public
    body = CompartmentBody("legal", 1, kek.kid, 1, drop.public)
    entry = forged(organisation, body, organisation.holder.signer)
    assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED
    for wrong in (replace(body, kek_no=2), replace(body, drop_no=2)):
        entry = forged(organisation, wrong, organisation.root)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(body, organisation.root)


def test_a_compartment_is_not_rotated_by_a_member_without_its_key(organisation: Any) -> None:
    organisation.kek = new_kek(organisation.id, "health", 2)
    for stranger in (organisation.reception, organisation.custodian):
        entry = forged(organisation, organisation.compartment(), stranger.signer)
        assert refusal(organisation.add, entry) is DirectoryFault.NOT_ENTITLED


def test_a_key_and_its_number_change_together_and_by_one(organisation: Any) -> None:
    body = organisation.compartment()
    wrong = [
        body,
        replace(body, kek_no=2),
        replace(body, kid=b"k" * 32),
        replace(body, kek_no=3, kid=b"k" * 32),
        replace(body, kek_no=0, kid=b"k" * 32),
        replace(body, drop_no=2),
        replace(body, drop_public=b"d" * 32),
        replace(body, drop_no=2, drop_public=b"d" * 32, kid=b"k" * 32),
    ]
    for each in wrong:
        entry = forged(organisation, each, organisation.root)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(replace(body, drop_no=2, drop_public=b"d" * 32), organisation.holder.signer)


def test_a_grant_names_certified_keys_only(organisation: Any) -> None:
    fingerprint = organisation.directory.members[organisation.reception.id].fingerprint
    body = GrantBody("health", 1, organisation.kek.kid, organisation.reception.id, fingerprint, b"s" * 32)
    wrong = [
        replace(body, kid=b"k" * 32),
        replace(body, kek_no=2),
        replace(body, group="legal"),
        replace(body, member=b"X" * 16),
        replace(body, member_key_fp=b"f" * 32),
    ]
    for each in wrong:
        entry = forged(organisation, each, organisation.root)
        assert refusal(organisation.add, entry) is DirectoryFault.CONTRADICTION
    organisation.append(body, organisation.root)


def test_a_directory_rolled_back_below_the_floor_is_refused(organisation: Any) -> None:
    floor = organisation.directory.floor
    assert verify_directory(organisation.id, organisation.entries, organisation.fingerprint, floor)
    arguments = (organisation.id, organisation.entries[:-1], organisation.fingerprint, floor)
    assert refusal(verify_directory, *arguments) is DirectoryFault.ROLLED_BACK


def test_a_directory_forked_before_the_floor_is_refused(organisation: Any) -> None:
    fork = organisation.verified()
    organisation.append(PolicyBody(b"1" * 32), organisation.custodian.signer)
    floor = organisation.directory.floor
    fork = fork.extend([fork.next_entry(PolicyBody(b"2" * 32), organisation.custodian.signer)])
    assert refusal(fork.require_floor, floor) is DirectoryFault.ROLLED_BACK
    assert refusal(fork.require_floor, Floor(0, bytes(32))) is DirectoryFault.ROLLED_BACK


def test_extending_a_directory_leaves_the_earlier_one_as_it_was(organisation: Any) -> None:
    before = organisation.directory
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    assert before.holds(organisation.holder.id, "health")
    assert before.epoch + 1 == organisation.directory.epoch
    with pytest.raises(TypeError):
        before.members[b"X" * 16] = before.members[organisation.holder.id]


def _restored(position: int, part: bytes) -> bytes:
    parts = list(unpae(STORED[65:]))
    parts[position] = part
    return STORED[:65] + pae(*parts)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x02" + STORED[1:],
        STORED + b"\0",
        STORED[:-1],
        _restored(0, b"csm/directory/v2"),
        _restored(1, b"O" * 15),
        _restored(2, bytes(5)),
        _restored(3, bytes(31)),
        _restored(5, pae(b"x" * 32)),
        _restored(5, pae(b"x" * 32, b"y" * 31)),
        _restored(6, b"Root"),
    ],
)
def test_an_entry_in_another_form_is_refused(stored: bytes) -> None:
    assert refusal(DirectoryEntry.from_bytes, stored) is DirectoryFault.MALFORMED


def test_an_entry_of_an_unknown_kind_is_refused() -> None:
    for kind in (b"rooot", b"", b"\xff"):
        assert refusal(DirectoryEntry.from_bytes, _restored(4, kind)) is DirectoryFault.UNKNOWN_KIND


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_stored_entry_with_any_flipped_byte_is_refused(where: int, flip: int) -> None:
    stored = bytearray(STORED)
    stored[where % len(stored)] ^= flip
    with pytest.raises(DirectoryRefused):
        verify_directory(b"O" * 16, [DirectoryEntry.from_bytes(bytes(stored))], FINGERPRINT, None)


@pytest.mark.parametrize("professions", [("social", "jurist"), ("social", "social")])
def test_professions_have_one_form(professions: tuple[str, ...]) -> None:
    with pytest.raises(EncodingRefused):
        MemberBody(b"M" * 16, "worker", professions, b"d" * 32, b"s" * 32).parts()
