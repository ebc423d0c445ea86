"""Receipts in the form of C2SP tlog-proof."""

from dataclasses import replace

import pytest

from audit.checkpoint import Checkpoint, sign_checkpoint
from audit.errors import EntryNotFound, NoteRefused, NothingPublished, ProofRefused
from audit.incarnation import marked
from audit.log import prove_inclusion
from audit.receipt import HEADER, Receipt, verify_receipt
from audit.tree import leaf_hash
from audit.triggers import drop_triggers
from tests.audit.journal import LOG, ORIGIN, Journal, make_entry, verify


def test_each_entry_has_a_receipt_that_verifies_offline(journal: Journal) -> None:
    written = [journal.next_entry() for _ in range(7)]
    journal.write(*written[:5])
    journal.integrate()
    journal.write(*written[5:])
    journal.integrate()
    for index, entry in enumerate(written):
        text = journal.run(lambda connection, entry=entry: prove_inclusion(connection, LOG, entry.id))
        head, found = verify_receipt(text, entry.to_bytes(), [journal.key], verify)
        assert (head.size, found) == (7, index)
        with pytest.raises(ProofRefused):
            verify_receipt(text, written[index - 1].to_bytes(), [journal.key], verify)
        with pytest.raises(NoteRefused):
            verify_receipt(text, entry.to_bytes(), [], verify)


def test_a_receipt_is_all_that_a_verifier_needs(journal: Journal) -> None:
    entries = [journal.next_entry() for _ in range(3)]
    journal.write(*entries)
    journal.integrate()
    text = journal.run(lambda connection: prove_inclusion(connection, LOG, entries[1].id))
    assert Receipt.parse(text).entry == entries[1].to_bytes()
    assert verify_receipt(text, None, [journal.key], verify)[1] == 1
    other = str(replace(Receipt.parse(text), entry=entries[2].to_bytes()))
    bare = str(replace(Receipt.parse(text), entry=None))
    for refused, raw in ((other, None), (other, entries[1].to_bytes()), (bare, None)):
        with pytest.raises(ProofRefused):
            verify_receipt(refused, raw, [journal.key], verify)
    assert verify_receipt(bare, entries[1].to_bytes(), [journal.key], verify)[1] == 1


def test_a_key_vouches_for_receipts_from_after_a_restore(journal: Journal) -> None:
    entry = make_entry().to_bytes()
    later = replace(journal.signer, name=marked(ORIGIN.partition("/")[0], "2" * 14) + "/journal/avec")
    note = sign_checkpoint(Checkpoint(later.name, 1, leaf_hash(entry)), [later])
    assert (
        verify_receipt(str(Receipt(0, (), note, entry)), None, [journal.key], verify)[0].origin == later.name
    )


def test_there_is_no_receipt_before_the_entry_is_integrated(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.write(entry)
    with pytest.raises(EntryNotFound):
        journal.run(lambda connection: prove_inclusion(connection, LOG, entry.id))


def test_there_is_no_receipt_without_a_checkpoint(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.write(entry)
    journal.integrate()
    journal.sql(*drop_triggers(journal.dialect), "DELETE FROM audit_checkpoint")
    with pytest.raises(NothingPublished):
        journal.run(lambda connection: prove_inclusion(connection, LOG, entry.id))


RECEIPT = f"{HEADER}\nindex 5\n{'A' * 43}=\n\norigin\n6\nroot\n\n— name c2ln\n"


def test_a_receipt_reads_back_as_it_is_written() -> None:
    receipt = Receipt.parse(RECEIPT)
    assert (receipt.index, receipt.proof, str(receipt)) == (5, (bytes(32),), RECEIPT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HEADER, "c2sp.org/tlog-proof@v2"),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5", "index five"),
        ("index 5", f"index {'5' * 9000}"),
        ("index 5\n", ""),
        ("index 5", "extra AAB=\nindex 5"),
        ("index 5", "extra AAAA\nextra AAAA\nindex 5"),
        ("\nindex 5", "\nextra AAAA"),
        ("\n\n", "\n"),
        ("AAA=", "AAB="),
        ("AAA=", "!!!="),
        ("AAA=\n", "AAA=\n" + f"{'A' * 43}=\n" * 64),
        (f"\nindex 5\n{'A' * 43}=", ""),
    ],
)
def test_a_malformed_receipt_is_refused(old: str, new: str) -> None:
    assert old in RECEIPT
    with pytest.raises(ProofRefused):
        Receipt.parse(RECEIPT.replace(old, new))
