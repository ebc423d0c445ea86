"""A use of the shares: who is granted what, and that what the old shares gave is worth nothing afterwards."""

from collections.abc import Callable
from typing import Any

import pytest

from crypto.ceremony import Founding, Renewal, found_organisation, renew_recovery
from crypto.directory import Directory, verify_directory
from crypto.directory_entries import ROOT, EntrySigner, MemberRemovedBody, RecoveryBody
from crypto.errors import DirectoryFault, DirectoryRefused, GrantRefused, SealBroken, SharesRefused
from crypto.grant import open_grant
from crypto.kek import Kek, new_kek
from crypto.recovery import (
    Split,
    join_shares,
    open_recovery_kek,
    recovery_key,
    require_seed_in_force,
    root_key,
    seal_kek_to_recovery,
    set_mark,
)
from crypto.secret import Secret

ORG = b"F" * 16


class Founded:
    """An organisation in which a worker holds health, and its shares."""

    def __init__(self, person: Callable[..., Any]) -> None:
        self.custodian, self.worker = person(b"C" * 16, "custodian"), person(b"H" * 16, "worker")
        self.newcomer = person(b"N" * 16, "worker")
        self.founding: Founding = found_organisation(
            ORG,
            [self.custodian.body, self.worker.body],
            ["health", "social"],
            [(self.worker.id, "health")],
            policy_hash=b"p" * 32,
            journal_key=b"j" * 32,
        )
        self.directory: Directory = self.founding.directory
        self.seed = joined(self.founding)
        private = recovery_key(self.seed).private
        self.keks: list[Kek] = [
            open_recovery_kek(self.directory, group, 1, copy, private)
            for group, copy in self.founding.recovery_copies.items()
        ]

    def renew(self, seed: Secret | None = None, **given: Any) -> Renewal:
        grants = given.pop("grants", [(self.newcomer.id, kek) for kek in self.keks])
        newcomers = given.pop("newcomers", [self.newcomer.body])
        return renew_recovery(self.directory, seed or self.seed, newcomers, grants, **given)


def joined(made: Founding | Renewal, needed: int = 2) -> Secret:
    return join_shares([share.reveal().decode() for share in made.shares[:needed]])


@pytest.fixture
def founded(person: Any) -> Founded:
    return Founded(person)


def test_a_newcomer_is_certified_and_granted_every_key_given(founded: Founded) -> None:
    renewal = founded.renew(split=Split(3, 4))
    # From the fingerprint that the founding printed: the changed root leads back to it.
    entries = [*founded.founding.entries, *renewal.entries]
    directory = verify_directory(ORG, entries, founded.founding.fingerprint, founded.directory.floor)
    assert directory == renewal.directory
    opened = [
        open_grant(directory, epoch, sealed, founded.newcomer.id, founded.newcomer.daily.private)
        for epoch, sealed in renewal.grants.items()
    ]
    assert opened == founded.keks
    assert len(renewal.shares) == 4
    require_seed_in_force(directory, joined(renewal, 3))
    assert renewal.shares[0].reveal().decode() not in repr(renewal)


def test_an_existing_member_is_granted_without_a_newcomer(founded: Founded) -> None:
    renewal = founded.renew(newcomers=[], grants=[(founded.custodian.id, founded.keks[1])])
    assert renewal.directory.holds(founded.custodian.id, "social")


def test_the_old_seed_recovers_nothing_and_signs_nothing_after_a_renewal(founded: Founded) -> None:
    directory = founded.renew().directory
    with pytest.raises(SharesRefused):
        require_seed_in_force(directory, founded.seed)
    with pytest.raises(SharesRefused):
        renew_recovery(directory, founded.seed, [], [])
    with pytest.raises(DirectoryRefused) as caught:
        directory.next_entry(RecoveryBody(bytes(32)), EntrySigner(ROOT, root_key(founded.seed)))
    assert caught.value.fault is DirectoryFault.BAD_SIGNATURE


def test_copies_for_the_new_key_do_not_open_with_the_old_one_nor_the_other_way_round(
    founded: Founded,
) -> None:
    renewal = founded.renew()
    old, new = recovery_key(founded.seed).private, recovery_key(joined(renewal)).private
    for kek in founded.keks:
        copy = seal_kek_to_recovery(renewal.directory, kek)
        assert open_recovery_kek(renewal.directory, kek.group, 1, copy, new) == kek
        with pytest.raises(SealBroken):
            open_recovery_kek(renewal.directory, kek.group, 1, copy, old)
        former = founded.founding.recovery_copies[kek.group]
        with pytest.raises(SealBroken):
            open_recovery_kek(renewal.directory, kek.group, 1, former, new)


@pytest.mark.parametrize("which", ["root", "recovery", "both"])
def test_a_seed_must_give_both_root_and_recovery_key(founded: Founded, which: str) -> None:
    other = Secret.random()
    signer = EntrySigner(ROOT, root_key(founded.seed))
    directory = founded.directory
    if which == "recovery":
        entry = directory.next_entry(RecoveryBody(recovery_key(other).public), signer)
        directory = directory.extend([entry])
    seed = other if which == "both" else founded.seed
    if which == "root":
        require_seed_in_force(directory, seed)
        return
    with pytest.raises(SharesRefused):
        require_seed_in_force(directory, seed)


def test_another_seed_renews_nothing(founded: Founded) -> None:
    with pytest.raises(SharesRefused):
        founded.renew(Secret.random())


def test_a_key_that_is_not_certified_or_a_member_who_is_not_is_not_granted(founded: Founded) -> None:
    for member, kek in ((founded.worker.id, new_kek(ORG, "health", 1)), (b"X" * 16, founded.keks[0])):
        with pytest.raises(GrantRefused):
            founded.renew(grants=[(member, kek)])


def test_a_removed_member_does_not_come_back_as_a_newcomer(founded: Founded) -> None:
    entry = founded.directory.next_entry(MemberRemovedBody(founded.worker.id), founded.custodian.signer)
    founded.directory = founded.directory.extend([entry])
    with pytest.raises(DirectoryRefused):
        founded.renew(newcomers=[founded.worker.body])


def test_each_set_has_its_own_mark(founded: Founded) -> None:
    marks = [set_mark(one.recovery_public) for one in (founded.directory, founded.renew().directory)]
    assert (len(marks[0]), marks[0] == marks[1]) == (4, False)
