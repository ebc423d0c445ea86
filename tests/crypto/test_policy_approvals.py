"""Entries of the directory by which an organisation's members approve its rules."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crypto.directory import verify_directory
from crypto.directory_agreements import PolicyApprovalBody
from crypto.directory_entries import (
    ROOT,
    DirectoryEntry,
    EntrySigner,
    MemberRemovedBody,
    PolicyBody,
    sign_entry,
)
from crypto.directory_rules import ApprovedRules
from crypto.errors import DirectoryFault, EncodingRefused
from tests.crypto.test_directory import forged, refusal

FILE, OTHER = b"f" * 32, b"o" * 32
NOW = 1_800_000_000
FIRST = PolicyApprovalBody(1, FILE, 0)
SECOND = PolicyApprovalBody(2, OTHER, NOW)
GOLDEN = Path(__file__).parent / "golden" / "policy_approval.json"


@pytest.fixture
def house(organisation: Any, person: Any) -> Any:
    """The organisation with two supervisors and a data-protection officer."""
    organisation.supervisor = person(b"S" * 16, "supervisor")
    organisation.other = person(b"T" * 16, "supervisor")
    organisation.dpo = person(b"D" * 16, "dpo")
    for joined in (organisation.supervisor, organisation.other, organisation.dpo):
        organisation.append(joined.body, organisation.custodian.signer)
    return organisation


def test_the_first_set_is_the_roots_and_the_next_takes_two_members(house: Any) -> None:
    assert (house.directory.rules, house.directory.rules_at(NOW)) == ((), None)
    house.append(FIRST, house.root)
    founding = ApprovedRules(1, FILE, 0, (ROOT,))
    assert house.directory.rules_at(0) == founding
    house.append(SECOND, house.supervisor.signer)
    assert house.directory.rules == (founding,)
    assert house.directory.approvals == {SECOND: (house.supervisor.id,)}
    house.append(SECOND, house.dpo.signer)
    approved = ApprovedRules(2, OTHER, NOW, (house.supervisor.id, house.dpo.id))
    directory = house.verified()
    assert (directory.rules, directory.approvals) == ((founding, approved), {})
    # Before its day the one before stays in force.
    assert [directory.rules_at(moment) for moment in (NOW - 1, NOW)] == [founding, approved]
    assert [directory.next_change_of_rules(moment) for moment in (NOW - 1, NOW)] == [NOW, None]


def test_a_later_set_that_begins_sooner_takes_the_place_of_one_that_waits_for_its_day(house: Any) -> None:
    house.append(FIRST, house.root)
    for body in (SECOND, PolicyApprovalBody(3, FILE, NOW - 10)):
        house.append(body, house.supervisor.signer)
        house.append(body, house.dpo.signer)
    assert [house.directory.rules_at(moment).number for moment in (NOW - 11, NOW - 10, NOW)] == [1, 3, 3]


def test_an_organisation_that_had_no_approvals_begins_with_two_members(house: Any) -> None:
    for signer in (house.supervisor, house.other):
        house.append(FIRST, signer.signer)
    assert house.verified().rules_at(0).approvers == (house.supervisor.id, house.other.id)
    # The root that was left out signs nothing afterwards.
    entry = forged(house, SECOND, house.root)
    assert refusal(house.add, entry) is DirectoryFault.NOT_ENTITLED


def test_the_same_member_does_not_sign_twice(house: Any) -> None:
    house.append(FIRST, house.root)
    house.append(SECOND, house.supervisor.signer)
    entry = forged(house, SECOND, house.supervisor.signer)
    assert refusal(house.add, entry) is DirectoryFault.CONTRADICTION


def test_two_signatures_of_different_files_or_days_are_one_of_each(house: Any) -> None:
    house.append(FIRST, house.root)
    for body in (SECOND, replace(SECOND, text_hash=FILE), replace(SECOND, effective=NOW + 1)):
        house.append(body, house.supervisor.signer)
    house.append(replace(SECOND, effective=NOW + 2), house.dpo.signer)
    assert [rules.number for rules in house.directory.rules] == [1]
    assert len(house.directory.approvals) == 4


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_a_number_that_was_used_or_leaves_one_out_is_refused(house: Any, number: int) -> None:
    house.append(FIRST, house.root)
    entry = forged(house, replace(SECOND, number=number), house.supervisor.signer)
    assert refusal(house.add, entry) is DirectoryFault.CONTRADICTION


def test_a_replayed_signature_of_an_older_set_is_refused(house: Any) -> None:
    """The entry of then names the entry before it: put at the end, it follows nothing."""
    house.append(FIRST, house.root)
    signed = [house.append(SECOND, signer.signer) for signer in (house.supervisor, house.dpo)]
    assert refusal(house.add, signed[0]) is DirectoryFault.GAP
    entry = replace(signed[0], epoch=house.directory.epoch + 1, previous=house.directory.head)
    assert refusal(house.add, entry) is DirectoryFault.BAD_SIGNATURE


@pytest.mark.parametrize("name", ["custodian", "holder", "reception"])
def test_whoever_may_not_approve_is_refused(house: Any, name: str) -> None:
    house.append(FIRST, house.root)
    entry = forged(house, SECOND, getattr(house, name).signer)
    assert refusal(house.add, entry) is DirectoryFault.NOT_ENTITLED


def test_a_signature_over_another_organisations_approval_is_refused(house: Any) -> None:
    house.append(FIRST, house.root)
    directory, signer = house.directory, house.supervisor.signer
    there = sign_entry(b"P" * 16, directory.epoch + 1, directory.head, SECOND, signer)
    assert refusal(house.add, there) is DirectoryFault.WRONG_ORGANISATION
    assert refusal(house.add, replace(there, org=directory.org)) is DirectoryFault.BAD_SIGNATURE
    # Nor is a colleague's signature hers.
    stolen = EntrySigner(house.dpo.id, house.supervisor.signing)
    assert refusal(house.add, forged(house, SECOND, stolen)) is DirectoryFault.BAD_SIGNATURE


def test_the_root_signs_no_set_after_the_first(house: Any) -> None:
    house.append(FIRST, house.root)
    assert refusal(house.add, forged(house, SECOND, house.root)) is DirectoryFault.NOT_ENTITLED


def test_a_signature_goes_with_the_member_her_role_or_her_keys(house: Any, person: Any) -> None:
    house.append(FIRST, house.root)
    anew = person(house.supervisor.id, "supervisor").body
    for change in (
        MemberRemovedBody(house.other.id),
        replace(house.dpo.body, role="auditor"),
        anew,
    ):
        member = change.member
        signer = next(one for one in (house.supervisor, house.other, house.dpo) if one.id == member)
        house.append(SECOND, signer.signer)
        house.append(change, house.custodian.signer)
        assert house.directory.approvals == {}
    entry = forged(house, SECOND, house.other.signer)
    assert refusal(house.add, entry) is DirectoryFault.UNKNOWN_SIGNER
    assert [rules.number for rules in house.verified().rules] == [1]


def test_a_signature_stays_where_her_professions_alone_change(house: Any) -> None:
    house.append(FIRST, house.root)
    house.append(SECOND, house.supervisor.signer)
    house.append(replace(house.supervisor.body, professions=("jurist",)), house.custodian.signer)
    house.append(SECOND, house.dpo.signer)
    assert [rules.number for rules in house.directory.rules] == [1, 2]


def test_what_a_custodian_alone_signs_puts_no_rules_in_force(house: Any) -> None:
    house.append(PolicyBody(OTHER), house.custodian.signer)
    assert house.directory.rules_at(NOW) is None
    house.append(FIRST, house.root)
    entry = forged(house, PolicyBody(OTHER), house.custodian.signer)
    assert refusal(house.add, entry) is DirectoryFault.CONTRADICTION


@pytest.mark.parametrize(
    "body",
    [replace(FIRST, number=-1), replace(FIRST, text_hash=b"x"), replace(FIRST, effective=2**64)],
)
def test_an_approval_of_a_wrong_width_is_not_signed(house: Any, body: PolicyApprovalBody) -> None:
    with pytest.raises(EncodingRefused):
        forged(house, body, house.root)


def test_golden_bytes_of_an_approval() -> None:
    golden = {key: bytes.fromhex(value) for key, value in json.loads(GOLDEN.read_text("utf-8")).items()}
    entry = DirectoryEntry.from_bytes(golden["approval"])
    assert entry.body == PolicyApprovalBody(1, golden["text_hash"], 0)
    chain = [DirectoryEntry.from_bytes(golden["root"]), entry]
    directory = verify_directory(entry.org, chain, golden["fingerprint"], None)
    assert (directory.head, directory.rules_at(0)) == (
        golden["head"],
        ApprovedRules(1, golden["text_hash"], 0, (ROOT,)),
    )
    assert entry.to_bytes() == golden["approval"]
