"""The minimum of case keys: signed into the directory, only ever raised, held on every opening."""

from dataclasses import replace
from typing import Any

import pytest

from crypto.algorithms import NO_MINIMUM, Algorithm, CaseMinimum
from crypto.dek import adopt_dek, new_dek, new_dek_to_drop, rewrap_dek, unwrap_dek
from crypto.directory import verify_directory
from crypto.directory_entries import ROOT, DirectoryEntry, EntrySigner, MinimumBody, sign_entry
from crypto.drop import new_drop_key
from crypto.errors import AlgorithmRefused, DirectoryFault, DirectoryRefused, EncodingRefused
from crypto.frame import seal_frame
from crypto.grant import open_grant
from crypto.kek import new_kek
from crypto.opener import FrameReader, open_frame
from crypto.place import Place
from crypto.recovery import open_recovery_kek, seal_kek_to_recovery
from crypto.secret import Secret
from crypto.signing import SigningKey

ORG, CASE, ROW = b"O" * 16, b"K" * 16, b"R" * 16
GCM, SIV = Algorithm.AES_256_GCM, Algorithm.AES_256_GCM_SIV
MADE = CaseMinimum(SIV, GCM)
RAISED = CaseMinimum(SIV, SIV)
KEK = new_kek(ORG, "health", 1)
RAISED_KEK = replace(KEK, minimum=RAISED)
PLACE = Place(ORG, 1, 2, ROW, 1)


def test_custodian_and_root_raise_the_minimum_and_every_kek_that_is_opened_carries_it(
    organisation: Any,
) -> None:
    assert organisation.directory.case_minimum == NO_MINIMUM == CaseMinimum(GCM, GCM)
    organisation.append(MinimumBody(SIV, GCM), organisation.custodian.signer)
    assert organisation.directory.case_minimum == MADE
    organisation.append(MinimumBody(SIV, SIV), EntrySigner(ROOT, organisation.root.key))
    assert organisation.verified().case_minimum == RAISED
    (epoch,) = organisation.sealed
    holder = organisation.holder
    granted = open_grant(
        organisation.directory, epoch, organisation.sealed[epoch], holder.id, holder.daily.private
    )
    copy = seal_kek_to_recovery(organisation.directory, organisation.kek)
    recovered = open_recovery_kek(organisation.directory, "health", 1, copy, organisation.recovery.private)
    assert granted.minimum == recovered.minimum == RAISED


@pytest.mark.parametrize(
    "body",
    [
        MinimumBody(GCM, GCM),
        MinimumBody(SIV, GCM),
        MinimumBody(GCM, SIV),
        MinimumBody(SIV, SIV),
        MinimumBody(Algorithm.X_WING, SIV),
        MinimumBody(0, 0),
    ],
)
def test_a_minimum_that_goes_down_stays_or_names_what_is_not_allowed_is_refused(
    organisation: Any, body: MinimumBody
) -> None:
    organisation.append(MinimumBody(SIV, SIV), organisation.custodian.signer)
    with pytest.raises(DirectoryRefused) as refused:
        organisation.directory.next_entry(body, organisation.custodian.signer)
    assert refused.value.fault is DirectoryFault.CONTRADICTION


def test_what_is_made_must_be_accepted(organisation: Any) -> None:
    with pytest.raises(DirectoryRefused) as refused:
        organisation.directory.next_entry(MinimumBody(GCM, SIV), organisation.custodian.signer)
    assert refused.value.fault is DirectoryFault.CONTRADICTION


def test_a_minimum_signed_by_a_holder_is_refused(organisation: Any) -> None:
    with pytest.raises(DirectoryRefused) as refused:
        organisation.directory.next_entry(MinimumBody(SIV, SIV), organisation.holder.signer)
    assert refused.value.fault is DirectoryFault.NOT_ENTITLED


def test_a_directory_whose_minimum_was_rolled_back_is_refused(organisation: Any) -> None:
    organisation.append(MinimumBody(SIV, SIV), organisation.custodian.signer)
    floor = organisation.directory.floor
    with pytest.raises(DirectoryRefused) as refused:
        verify_directory(ORG, organisation.entries[:-1], organisation.fingerprint, floor)
    assert refused.value.fault is DirectoryFault.ROLLED_BACK


def test_new_keys_are_made_under_the_minimum_and_open(organisation: Any) -> None:
    dek = new_dek(RAISED_KEK, CASE)
    assert (dek.row[1], new_dek(replace(KEK, minimum=MADE), CASE).row[1], new_dek(KEK, CASE).row[1]) == (
        2,
        2,
        1,
    )
    key = unwrap_dek(RAISED_KEK, CASE, 1, dek.row, dek.shred_part)
    frame = seal_frame(key, PLACE, b"note")
    assert frame[1] == 2
    assert open_frame(key, PLACE, frame) == b"note"
    reader = FrameReader(RAISED_KEK, 1, 2)
    assert reader.open(CASE, 1, dek.row, dek.shred_part, ROW, 1, frame) == b"note"


def test_a_key_row_below_the_minimum_is_refused_wherever_it_is_opened() -> None:
    old = new_dek(KEK, CASE)
    frame = seal_frame(old.key, PLACE, b"note")
    with pytest.raises(AlgorithmRefused):
        unwrap_dek(RAISED_KEK, CASE, 1, old.row, old.shred_part)
    with pytest.raises(AlgorithmRefused):
        FrameReader(RAISED_KEK, 1, 2).open(CASE, 1, old.row, old.shred_part, ROW, 1, frame)
    with pytest.raises(AlgorithmRefused):
        rewrap_dek(RAISED_KEK, replace(new_kek(ORG, "health", 2), minimum=RAISED), CASE, 1, old.row)
    drop = new_drop_key(ORG, "health", 1)
    with pytest.raises(AlgorithmRefused):
        adopt_dek(drop, RAISED_KEK, CASE, 1, new_dek_to_drop(drop.public, CASE).row)
    assert unwrap_dek(replace(KEK, minimum=MADE), CASE, 1, old.row, old.shred_part).algorithm is GCM


def test_a_frame_below_the_minimum_is_refused_under_a_key_above_it() -> None:
    dek = new_dek(RAISED_KEK, CASE)
    frame = seal_frame(dek.key, PLACE, b"note")
    with pytest.raises(AlgorithmRefused):
        open_frame(dek.key, PLACE, frame[:1] + bytes([GCM]) + frame[2:])


def test_the_golden_bytes_of_a_minimum() -> None:
    """PAE of two numbers; the key is 32 times 07, the entry the second of an organisation of 16 times O."""
    signer = EntrySigner(b"C" * 16, SigningKey.from_seed(Secret(b"\7" * 32)))
    entry = sign_entry(ORG, 2, b"p" * 32, MinimumBody(SIV, GCM), signer)
    assert entry.to_bytes().hex() == GOLDEN
    assert DirectoryEntry.from_bytes(bytes.fromhex(GOLDEN)) == entry
    assert (entry.body, entry.kind) == (MinimumBody(2, 1), "minimum")
    with pytest.raises(EncodingRefused):
        MinimumBody(-1, 0).parts()


GOLDEN = (
    "018cc84715c4242a73f7b59f4b21d20055fffbcb7b7b2d389be7bad353f4a4ddda9efc71a5704c75609ecd745f85eb1c"
    "4e191d2cccc9ad29c1ef1fcd2f873b3d0c0700000000000000100000000000000063736d2f6469726563746f72792f76"
    "3110000000000000004f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f0400000000000000000000022000000000000000707070"
    "707070707070707070707070707070707070707070707070707070707007000000000000006d696e696d756d20000000"
    "000000000200000000000000040000000000000000000002040000000000000000000001100000000000000043434343"
    "434343434343434343434343"
)
