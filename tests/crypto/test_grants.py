from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic import generate_mnemonics

from crypto.ceremony import found_organisation
from crypto.directory import verify_directory
from crypto.directory_entries import (
    ROOT,
    CompartmentBody,
    GrantBody,
    KekRetiredBody,
    MemberRemovedBody,
    RecoveryBody,
)
from crypto.directory_rules import ApprovedRules
from crypto.drop import unwrap_drop_private
from crypto.errors import (
    AlgorithmRefused,
    DirectoryFault,
    DirectoryRefused,
    GrantRefused,
    SealBroken,
    SharesRefused,
)
from crypto.grant import make_grant, open_grant
from crypto.hpke import hpke_seal, new_key_pair
from crypto.kek import Kek, new_kek
from crypto.pae import pae
from crypto.recovery import (
    Split,
    join_shares,
    open_recovery_kek,
    recovery_key,
    root_key,
    seal_kek_to_recovery,
    split_seed,
)
from crypto.secret import Secret


def opened(organisation: Any, sealed: bytes | None = None, who: Any = None) -> Kek:
    member = who or organisation.holder
    (epoch,) = organisation.sealed
    given_bytes = organisation.sealed[epoch] if sealed is None else sealed
    return open_grant(organisation.directory, epoch, given_bytes, member.id, member.daily.private)


def certify(organisation: Any, sealed: bytes, person: Any) -> int:
    """Have the root certify bytes of our own making as a grant; return its epoch."""
    keys = organisation.directory.members[person.id]
    kek = organisation.kek
    body = GrantBody("health", 1, kek.kid, person.id, keys.fingerprint, sha256(sealed).digest())
    return int(organisation.append(body, organisation.root).epoch)


def test_a_granted_member_opens_the_certified_key(organisation: Any) -> None:
    assert opened(organisation) == organisation.kek


def test_a_holder_grants_and_the_new_holder_grants_on(organisation: Any, person: Any) -> None:
    organisation.grant(organisation.reception, organisation.holder.signer)
    other = person(b"W" * 16, "worker")
    organisation.append(other.body, organisation.custodian.signer)
    entry = organisation.grant(other, organisation.reception.signer)
    sealed = organisation.sealed[entry.epoch]
    assert open_grant(organisation.directory, entry.epoch, sealed, other.id, other.daily.private)


def test_an_unsigned_grant_is_refused(organisation: Any) -> None:
    before = organisation.directory
    entry, sealed = make_grant(
        before, organisation.kek, organisation.reception.id, organisation.holder.signer
    )
    reception = organisation.reception
    with pytest.raises(GrantRefused):  # sealed perfectly, certified by nobody
        open_grant(before, entry.epoch, sealed, reception.id, reception.daily.private)
    with pytest.raises(DirectoryRefused):
        before.extend([replace(entry, signature=bytes(64))])
    directory = before.extend([entry])
    assert open_grant(directory, entry.epoch, sealed, reception.id, reception.daily.private)


def test_a_granter_who_does_not_hold_the_group_is_refused(organisation: Any) -> None:
    for stranger in (organisation.reception, organisation.custodian):
        with pytest.raises(DirectoryRefused) as caught:
            organisation.grant(organisation.reception, stranger.signer)
        assert caught.value.fault is DirectoryFault.NOT_ENTITLED


def test_a_removed_granter_is_refused(organisation: Any) -> None:
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    with pytest.raises(DirectoryRefused) as caught:
        organisation.grant(organisation.reception, organisation.holder.signer)
    assert caught.value.fault is DirectoryFault.UNKNOWN_SIGNER


def test_a_removed_granter_who_kept_the_key_is_refused_whatever_she_signs(organisation: Any) -> None:
    """She knows the KEK for ever: no grant, no rotation and no retirement of hers counts."""
    organisation.grant(organisation.reception, organisation.holder.signer)
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    directory, old = organisation.directory, organisation.kek
    next_kek, drop = new_kek(organisation.id, "health", 2), organisation.drop.public
    rotation = CompartmentBody("health", 2, next_kek.kid, drop.number, drop.public)
    for body in (rotation, KekRetiredBody("health", 1)):
        with pytest.raises(DirectoryRefused) as caught:
            directory.next_entry(body, organisation.holder.signer)
        assert caught.value.fault is DirectoryFault.UNKNOWN_SIGNER
    organisation.append(rotation, organisation.reception.signer)
    for kek in (old, next_kek):
        with pytest.raises(DirectoryRefused) as caught:
            make_grant(organisation.directory, kek, organisation.custodian.id, organisation.holder.signer)
        assert caught.value.fault is DirectoryFault.UNKNOWN_SIGNER


def test_a_grant_of_a_removed_member_is_refused(organisation: Any) -> None:
    organisation.append(MemberRemovedBody(organisation.holder.id), organisation.custodian.signer)
    with pytest.raises(GrantRefused):
        opened(organisation)


def test_a_superseded_grant_is_refused(organisation: Any) -> None:
    first = organisation.sealed.copy()
    organisation.grant(organisation.holder, organisation.holder.signer)
    organisation.sealed = first
    with pytest.raises(GrantRefused):
        opened(organisation)


def test_a_planted_key_is_refused_though_everything_else_is_certified(organisation: Any) -> None:
    reception = organisation.reception
    directory = organisation.directory
    keys = directory.members[reception.id]
    info = pae(
        b"csm/grant/v1",
        organisation.id,
        b"health",
        b"\0\0\0\1",
        organisation.kek.kid,
        reception.id,
        keys.fingerprint,
        b"root",
        (directory.epoch + 1).to_bytes(4),
    )
    planted = new_kek(organisation.id, "health", 1)
    sealed = b"\1\1" + hpke_seal(keys.daily_public, info, planted.secret.reveal())
    epoch = certify(organisation, sealed, reception)
    with pytest.raises(GrantRefused):
        open_grant(organisation.directory, epoch, sealed, reception.id, reception.daily.private)


def test_a_key_that_the_directory_does_not_certify_is_not_granted(organisation: Any) -> None:
    for kek in (new_kek(organisation.id, "health", 1), new_kek(b"P" * 16, "health", 1)):
        with pytest.raises(GrantRefused):
            make_grant(organisation.directory, kek, organisation.reception.id, organisation.root)
    foreign = replace(organisation.kek, org=b"P" * 16)
    with pytest.raises(GrantRefused):
        make_grant(organisation.directory, foreign, organisation.reception.id, organisation.root)


def test_nothing_is_granted_to_a_member_whom_nobody_certified(organisation: Any) -> None:
    with pytest.raises(GrantRefused):
        make_grant(organisation.directory, organisation.kek, b"X" * 16, organisation.root)


def test_a_grant_opens_for_its_member_alone(organisation: Any) -> None:
    with pytest.raises(GrantRefused):
        opened(organisation, who=organisation.reception)
    organisation.holder.daily = new_key_pair()
    with pytest.raises(SealBroken):
        opened(organisation)


def test_a_grant_with_any_flipped_byte_is_refused(organisation: Any) -> None:
    (sealed,) = organisation.sealed.values()
    for at in range(len(sealed)):
        with pytest.raises(GrantRefused):
            opened(organisation, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


@pytest.mark.parametrize(
    ("sealed", "error"), [(b"", SealBroken), (b"\2\1" + bytes(80), SealBroken), (b"\1\3", AlgorithmRefused)]
)
def test_a_certified_grant_in_another_form_is_refused(
    organisation: Any, sealed: bytes, error: type[Exception]
) -> None:
    epoch = certify(organisation, sealed, organisation.reception)
    member = organisation.reception
    with pytest.raises(error):
        open_grant(organisation.directory, epoch, sealed, member.id, member.daily.private)


# Recovery


def test_recovery_opens_every_certified_key(organisation: Any) -> None:
    copy = seal_kek_to_recovery(organisation.directory, organisation.kek)
    private = recovery_key(organisation.seed).private
    assert open_recovery_kek(organisation.directory, "health", 1, copy, private) == organisation.kek


def test_a_recovery_copy_opens_for_its_own_key_alone(organisation: Any) -> None:
    directory, private = organisation.directory, organisation.recovery.private
    copy = seal_kek_to_recovery(directory, organisation.kek)
    for at in range(len(copy)):
        with pytest.raises((SealBroken, AlgorithmRefused)):
            open_recovery_kek(
                directory, "health", 1, copy[:at] + bytes([copy[at] ^ 1]) + copy[at + 1 :], private
            )
    with pytest.raises(SealBroken):
        open_recovery_kek(directory, "health", 1, copy, new_key_pair().private)
    with pytest.raises(GrantRefused):
        open_recovery_kek(directory, "health", 2, copy, private)


def test_a_planted_recovery_copy_is_refused(organisation: Any) -> None:
    directory = organisation.directory
    info = pae(
        b"csm/recovery-kek/v1",
        organisation.id,
        b"health",
        b"\0\0\0\1",
        organisation.kek.kid,
        directory.recovery_public,
    )
    planted = b"\1\1" + hpke_seal(directory.recovery_public, info, bytes(32))
    with pytest.raises(GrantRefused):
        open_recovery_kek(directory, "health", 1, planted, organisation.recovery.private)
    with pytest.raises(GrantRefused):
        seal_kek_to_recovery(directory, new_kek(organisation.id, "health", 1))


def test_a_copy_for_the_old_recovery_key_does_not_open_under_the_new_one(organisation: Any) -> None:
    copy = seal_kek_to_recovery(organisation.directory, organisation.kek)
    organisation.append(RecoveryBody(new_key_pair().public), organisation.root)
    with pytest.raises(SealBroken):
        open_recovery_kek(organisation.directory, "health", 1, copy, organisation.recovery.private)


SEED = Secret.random()
SHARES = split_seed(SEED)
FOREIGN = split_seed(Secret.random())


@pytest.mark.parametrize(("one", "two"), [(0, 1), (2, 0), (1, 2)])
def test_any_two_shares_give_the_seed(one: int, two: int) -> None:
    assert join_shares([SHARES[one], SHARES[two]]) == SEED


def test_a_share_has_36_words() -> None:
    assert {len(share.split()) for share in SHARES} == {36}


def test_a_larger_threshold_needs_that_many_shares() -> None:
    shares = split_seed(SEED, Split(needed=3, total=5))
    assert join_shares([shares[4], shares[0], shares[2]]) == SEED
    with pytest.raises(SharesRefused):
        join_shares(shares[:2])


@pytest.mark.parametrize(
    "shares",
    [
        [],
        SHARES[:1],
        SHARES,
        [SHARES[0], SHARES[0]],
        [SHARES[0], FOREIGN[1]],
        [SHARES[0], "not a share"],
        [SHARES[0], " ".join(SHARES[1].split()[:-1])],
        [SHARES[0], " ".join(reversed(SHARES[1].split()))],
    ],
    ids=["none", "one", "three", "twice", "foreign", "words", "short", "reversed"],
)
def test_wrong_shares_are_an_error_never_garbage(shares: list[str]) -> None:
    with pytest.raises(SharesRefused) as caught:
        join_shares(shares)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.integers(min_value=0, max_value=35), st.sampled_from(FOREIGN[0].split()))
def test_a_mistyped_word_is_an_error(at: int, word: str) -> None:
    words = SHARES[1].split()
    if words[at] == word:
        return
    words[at] = word
    with pytest.raises(SharesRefused):
        join_shares([SHARES[0], " ".join(words)])


def test_shares_made_under_a_passphrase_are_an_error_not_garbage() -> None:
    ((one, two),) = generate_mnemonics(1, [(2, 2)], bytes(36), b"passphrase", iteration_exponent=0)
    with pytest.raises(SharesRefused):
        join_shares([one, two])


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 3), (4, 3), (2, 17)])
def test_an_impossible_threshold_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(SharesRefused):
        Split(threshold, count)


# Founding


def test_a_founded_organisation_verifies_opens_and_is_recoverable(person: Any) -> None:
    org = b"F" * 16
    custodian, worker = person(b"C" * 16, "custodian"), person(b"H" * 16, "worker")
    founding = found_organisation(
        org,
        [custodian.body, worker.body],
        ["health", "social"],
        [(worker.id, "health"), (worker.id, "social")],
        policy_hash=b"p" * 32,
        journal_key=b"j" * 32,
    )
    directory = verify_directory(org, founding.entries, founding.fingerprint, founding.directory.floor)
    assert directory == founding.directory
    assert directory.rules == (ApprovedRules(1, b"p" * 32, 0, (ROOT,)),)
    assert directory.journal_key == b"j" * 32
    seed = join_shares([share.reveal().decode() for share in founding.shares[:2]])
    assert root_key(seed).public == directory.root_public
    for epoch, sealed in founding.grants.items():
        kek = open_grant(directory, epoch, sealed, worker.id, worker.daily.private)
        certified = directory.compartments[kek.group].drop
        wrapped = founding.wrapped_drops[kek.group]
        assert unwrap_drop_private(kek, 1, certified.public, wrapped).public == certified
        copy = founding.recovery_copies[kek.group]
        assert open_recovery_kek(directory, kek.group, 1, copy, recovery_key(seed).private) == kek
    assert founding.shares[0].reveal().decode() not in repr(founding)
    assert not directory.holds(custodian.id, "health")
