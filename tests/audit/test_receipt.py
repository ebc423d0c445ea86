"""Receipts in the form of C2SP tlog-proof."""

import pytest

from audit.errors import EntryNotFound, NoteRefused, NothingPublished, ProofRefused
from audit.log import prove_inclusion
from audit.receipt import HEADER, Receipt, verify_receipt
from audit.triggers import drop_triggers
from tests.audit.journal import LOG, Journal, verify


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
        ("index 5", "extra AAAA\nindex 5"),
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
