"""What is older than its period goes in an order that a kill cannot spoil; what stays verifies as before."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from audit import pruning
from audit.checkpoint import parse_checkpoint
from audit.entry import Outcome
from audit.errors import JournalRefused
from audit.log import record, sealed_detail
from audit.pruning import explained_below, prunable_below, prune_step, pruned_below
from audit.verdict import Verdict
from tests.audit.journal import LOG, START, Journal, only_on, rows
from tests.audit.tampering import tamper
from tests.audit.test_verifier import both, failed, trust

LATER = 10_000_000


def announce(journal: Journal, minimum: int | None, **changes: object) -> None:
    said = {"action": "log.prune", "count": minimum, "subjects": (), "actor": None, "role": None}
    journal.write(journal.next_entry(**{**said, **changes}))
    journal.integrate()


def prune(journal: Journal, minimum: int) -> int:
    """One step with the pruner's own rights, where there are roles."""
    return journal.run(lambda connection: prune_step(connection, LOG, minimum), "casework_pruner")


def prunable(journal: Journal, before: int) -> int:
    return journal.run(lambda connection: prunable_below(connection, LOG, before), "casework_pruner")


def count(journal: Journal, table: str) -> int:
    return len(journal.run(lambda connection: rows(connection, table)))


def test_what_is_pruned_goes_with_its_subjects_and_details_and_the_rest_verifies(journal: Journal) -> None:
    saved = parse_checkpoint(journal.grow(100)[0]).checkpoint
    old, recent = journal.next_entry(), journal.next_entry(time=journal.time + LATER)
    journal.run(lambda connection: record(connection, LOG, old, b"sealed"))
    journal.grow(200)
    journal.run(lambda connection: record(connection, LOG, recent, b"sealed too"))
    journal.integrate()
    announce(journal, 256)
    leaves = count(journal, "audit_leaf")

    assert prune(journal, 256) == 256
    assert count(journal, "audit_entry") == count(journal, "audit_subject") + 1 == leaves - 256
    assert count(journal, "audit_leaf") == leaves
    details = [journal.run(lambda view, e=e: sealed_detail(view, LOG, e.id)) for e in (old, recent)]
    assert details == [None, b"sealed too"]
    # What an auditor kept of the part that is gone is still proved, and the log goes on.
    journal.grow(3)
    for report in both(journal, trust(journal, trusted=(saved,))):
        assert (report.verdict, report.exit_code, failed(report)) == (Verdict.VALID_PRUNED, 10, set())


def test_whole_tiles_below_the_first_recent_entry_may_go(journal: Journal) -> None:
    journal.grow(600)
    # The entry of index i was made i + 1 steps after the start.
    found = {index: prunable(journal, START + (index + 1) * 1_000) for index in (0, 255, 256, 511, 512, 599)}
    assert found == {0: 0, 255: 0, 256: 256, 511: 256, 512: 512, 599: 512}


def test_an_old_entry_behind_a_recent_one_stays(journal: Journal) -> None:
    journal.grow(256)
    journal.write(journal.next_entry(time=journal.time + LATER))
    journal.integrate()
    journal.grow(300)
    assert prunable(journal, journal.time + 1) == 256


def test_the_newest_entry_stays_even_where_all_is_old(journal: Journal) -> None:
    assert prunable(journal, LATER) == 0
    journal.grow(512)
    assert prunable(journal, journal.time + LATER) == 256
    journal.grow(1)
    assert prunable(journal, journal.time + LATER) == 512


def test_what_no_checkpoint_covers_stays_and_announces_nothing(journal: Journal) -> None:
    journal.grow(300)
    announce(journal, 256)
    tamper(journal)
    journal.sql("DELETE FROM audit_checkpoint WHERE size > 1")
    assert prunable(journal, journal.time + LATER) == 0
    with pytest.raises(JournalRefused, match="no entry under a checkpoint"):
        prune(journal, 256)


@pytest.mark.parametrize("wrong", [{"count": 255}, {"outcome": Outcome.FAILED}, {"count": None}])
def test_nothing_goes_that_the_journal_did_not_announce(journal: Journal, wrong: dict[str, object]) -> None:
    journal.grow(300)
    announce(journal, 256, **wrong)
    with pytest.raises(JournalRefused, match="no entry under a checkpoint"):
        prune(journal, 256)
    assert count(journal, "audit_entry") == 301
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID


def test_a_kill_between_any_two_steps_leaves_a_journal_that_verifies(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "STEP", 256)
    journal.grow(700)

    def verdicts() -> set[Verdict]:
        return {report.verdict for report in both(journal, trust(journal))}

    journal.write(journal.next_entry(action="log.prune", count=512, subjects=()))
    assert verdicts() == {Verdict.VALID}
    journal.integrate()
    assert verdicts() == {Verdict.VALID}

    def killed(connection: Connection) -> None:
        prune_step(connection, LOG, 512)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.run(killed, "casework_pruner")
    assert (verdicts(), count(journal, "audit_entry")) == ({Verdict.VALID}, 701)
    assert (prune(journal, 512), verdicts(), count(journal, "audit_entry")) == (
        256,
        {Verdict.VALID_PRUNED},
        445,
    )
    # The next run finds what was announced, and ends what was begun; a run too many changes nothing.
    assert journal.run(lambda view: (explained_below(view, LOG), pruned_below(view, LOG))) == (512, 256)
    assert (prune(journal, 512), verdicts(), count(journal, "audit_entry")) == (
        512,
        {Verdict.VALID_PRUNED},
        189,
    )
    assert (prune(journal, 512), prune(journal, 256), count(journal, "audit_entry")) == (512, 512, 189)


def test_a_log_that_is_not_open_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalRefused, match="not open"):
        journal.run(lambda connection: prunable_below(connection, bytes(16), 0))


@only_on("postgresql")
def test_the_pruner_deletes_nothing_that_is_not_below_the_minimum_index(journal: Journal) -> None:
    assert not isinstance(journal.place, Path)
    entry = journal.next_entry()
    journal.run(lambda connection: record(connection, LOG, entry, b"sealed"))
    journal.grow(3)
    for table in ("audit_entry", "audit_subject"):
        with pytest.raises(DatabaseError, match="append-only"):
            journal.run(
                lambda view, table=table: view.execute(text(f"DELETE FROM {table}")), "casework_pruner"
            )
    journal.run(lambda view: view.execute(text("DELETE FROM audit_detail")), "casework_pruner")
    assert count(journal, "audit_detail") == 1
    for refused in (
        "UPDATE audit_log SET size = 0",
        "DELETE FROM audit_log",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_checkpoint",
        "SELECT * FROM audit_inbox",
        "INSERT INTO audit_inbox (log, entry) VALUES ('', '')",
        "INSERT INTO audit_detail (log, entry_id, sealed) VALUES ('', '', '')",
        "UPDATE audit_entry SET bytes = ''",
        "TRUNCATE audit_detail",
        "SELECT * FROM organisation",
        "SELECT * FROM case_file",
    ):
        with pytest.raises(DatabaseError, match="permission denied"):
            journal.run(lambda view, refused=refused: view.execute(text(refused)), "casework_pruner")
