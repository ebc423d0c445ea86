"""Whoever changes the journal is found, and the first wrong entry is named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from audit import tables
from audit.bundle import write_bundle
from audit.checkpoint import Checkpoint, NoteSigner, parse_checkpoint, sign_checkpoint
from audit.entry import Entry, LaneNumber, Outcome
from audit.trust import Trust
from audit.verdict import CheckName, Report, Verdict
from audit.verifier import verify_bundle, verify_database
from tests.audit import second, tampering
from tests.audit.journal import LOG, ORIGIN, Journal, Key, make_entry, only_on, verify
from tests.audit.tampering import Tampering, tamper

STRANGER = NoteSigner(ORIGIN, Key(66))


def trust(journal: Journal, **changes: Any) -> Trust:
    return replace(Trust(keys=(journal.key,)), **changes)


def export(journal: Journal) -> Path:
    path = journal.directory / "journal.zip"
    journal.run(lambda connection: write_bundle(connection, LOG, path))
    return path


def both(journal: Journal, trusted: Trust) -> tuple[Report, Report]:
    """The verdict on the tables themselves, and on the bundle that is made of them."""
    live = journal.run(lambda connection: verify_database(connection, LOG, trusted, verify))
    bundle = export(journal)
    bundled = verify_bundle(bundle, trusted, verify)
    assert second.exit_code(bundle, trusted) == bundled.exit_code, bundled
    return live, bundled


def entry_id(journal: Journal, index: int) -> str:
    return journal.run(lambda connection: Entry.from_bytes(tampering.stored_bytes(connection)[index]).id)


def failed(report: Report) -> set[CheckName]:
    return {check.name for check in report.checks if not check.passed}


def test_an_untouched_journal_is_valid(journal: Journal) -> None:
    notes = journal.grow(3, 4, 2)
    saved = parse_checkpoint(notes[1]).checkpoint
    for report in both(journal, trust(journal, trusted=(saved,))):
        assert (report.verdict, report.exit_code, report.first_wrong) == (Verdict.VALID, 0, None)
        assert (report.origin, report.size, failed(report)) == (ORIGIN, 9, set())
        assert len(report.checks) == 7
        assert report.verdict.words == "journal valide"


def test_a_journal_of_many_tiles_is_valid(journal: Journal) -> None:
    journal.grow(255, 1, 1, 300)
    done: list[tuple[int, int]] = []
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID
    verify_bundle(export(journal), trust(journal), verify, lambda read, size: done.append((read, size)))
    assert done == [(256, 557), (512, 557), (557, 557)]


IN_ALL = ("audit_entry", "audit_leaf", "audit_subject")


@pytest.mark.parametrize(
    ("act", "verdict", "index"),
    [
        pytest.param(tampering.alter(4), Verdict.INCONSISTENT, 4, id="changed"),
        pytest.param(
            lambda connection: tampering.put(connection, {4: b"{}"}), Verdict.INCONSISTENT, 4, id="garbled"
        ),
        pytest.param(tampering.swap(4, 6), Verdict.INCONSISTENT, 4, id="swapped"),
        pytest.param(tampering.remove(5, 5, "audit_entry"), Verdict.INCOMPLETE, 5, id="deleted"),
        pytest.param(tampering.remove(5, 5, *IN_ALL), Verdict.INCOMPLETE, 5, id="deleted-with-its-hash"),
        pytest.param(tampering.remove(7, 8, *IN_ALL), Verdict.INCOMPLETE, 7, id="truncated"),
        pytest.param(tampering.remove(0, 8, *IN_ALL), Verdict.INCOMPLETE, 0, id="emptied"),
        pytest.param(tampering.remove(5, 5, "audit_leaf"), Verdict.INCOMPLETE, 5, id="hash-deleted"),
        pytest.param(
            lambda connection: connection.execute(
                update(tables.leaf).where(tables.leaf.c.idx == 4), {"hash": bytes([1]) * 32}
            ),
            Verdict.INCONSISTENT,
            4,
            id="hash-changed",
        ),
        pytest.param(
            tampering.rewrite(4, STRANGER, from_size=9), Verdict.INCONSISTENT, 3, id="tree-recomputed"
        ),
        pytest.param(tampering.rewrite(4, STRANGER, from_size=3), Verdict.INCONSISTENT, 3, id="signed-anew"),
        pytest.param(tampering.rewrite(4, STRANGER), Verdict.INCONSISTENT, 0, id="all-signed-anew"),
        pytest.param(
            tampering.rewrite(8, STRANGER, from_size=7), Verdict.INCONSISTENT, 7, id="newest-signed-anew"
        ),
        pytest.param(
            lambda connection: connection.execute(update(tables.log), {"size": 9, "origin": "x"}),
            Verdict.VALID,
            None,
            id="nothing-that-was-logged",
        ),
    ],
)
def test_tampering_is_found_and_the_first_wrong_entry_named(
    journal: Journal, act: Tampering, verdict: Verdict, index: int | None
) -> None:
    journal.grow(3, 4, 2)
    tamper(journal, act)
    for report in both(journal, trust(journal)):
        assert report.verdict is verdict
        assert (report.first_wrong.index if report.first_wrong else None) == index


def test_the_first_wrong_entry_is_named_by_its_id(journal: Journal) -> None:
    journal.grow(3, 4, 2)
    changed, after_agreed = entry_id(journal, 4), entry_id(journal, 3)
    tamper(journal, tampering.alter(4))
    for report in both(journal, trust(journal)):
        assert report.first_wrong.entry_id == changed
        assert failed(report) == {CheckName.TREE, CheckName.HISTORY}
    journal.run(tampering.rewrite(4, STRANGER))
    journal.run(tampering.set_note(3, sign_checkpoint(_head_at(journal, 3), [journal.signer])))
    for report in both(journal, trust(journal)):
        assert (report.first_wrong.index, report.first_wrong.entry_id) == (3, after_agreed)


def _head_at(journal: Journal, size: int) -> Checkpoint:
    def work(connection: Connection) -> str:
        chosen = tables.checkpoint.c.size == size
        return str(connection.execute(tables.checkpoint.select().where(chosen)).one().note)

    return parse_checkpoint(journal.run(work)).checkpoint


def test_entries_swapped_with_their_hashes_are_found(journal: Journal) -> None:
    journal.grow(3, 4, 2)
    tamper(journal, tampering.swap_with_leaves(4, 6))
    live, bundled = both(journal, trust(journal))
    # The stored subtrees narrow it in the database; the bundle has only the checkpoints.
    assert (live.verdict, live.first_wrong.index) == (Verdict.INCONSISTENT, 4)
    assert (bundled.verdict, bundled.first_wrong.index) == (Verdict.INCONSISTENT, 3)


def test_a_checkpoint_narrows_what_a_subtree_accuses(journal: Journal) -> None:
    journal.grow(5, 4)
    tamper(journal, tampering.swap_with_leaves(5, 7))
    for report in both(journal, trust(journal)):
        # The first subtree that differs covers 4 and 5; the checkpoint at 5 clears 4.
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 5)


def test_a_log_cut_back_to_an_older_state_is_found_by_a_kept_checkpoint_alone(journal: Journal) -> None:
    saved = parse_checkpoint(journal.grow(3, 4, 2)[2]).checkpoint
    tamper(journal, tampering.cut_back(7))
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID
    for report in both(journal, trust(journal, trusted=(saved,))):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 7)
        assert failed(report) == {CheckName.HISTORY}


def test_a_log_rewritten_under_its_own_key_is_found_by_a_kept_checkpoint_alone(journal: Journal) -> None:
    notes = journal.grow(3, 4, 2)
    tamper(journal, tampering.rewrite(4, journal.signer))
    early, late = (parse_checkpoint(note).checkpoint for note in notes[:2])
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID
    for report in both(journal, trust(journal, trusted=(late, early))):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 3)


def test_the_signers_state_finds_it_too(journal: Journal) -> None:
    journal.grow(3, 4)
    kept = journal.state.last(ORIGIN)
    tamper(journal, tampering.rewrite(4, journal.signer))
    for report in both(journal, trust(journal, trusted=(kept,))):
        assert report.verdict is Verdict.INCONSISTENT


def test_without_a_key_or_a_checkpoint_nothing_is_valid(journal: Journal) -> None:
    journal.grow(3)
    for report in both(journal, Trust()):
        assert (report.verdict, report.exit_code) == (Verdict.INCOMPLETE, 20)
        assert failed(report) == {CheckName.SIGNATURES}


def test_a_kept_checkpoint_alone_vouches_for_what_it_covers(journal: Journal) -> None:
    first, second = (parse_checkpoint(note).checkpoint for note in journal.grow(3, 4))
    for report in both(journal, Trust(trusted=(second,))):
        assert report.verdict is Verdict.VALID
    for report in both(journal, Trust(trusted=(first,))):
        assert report.verdict is Verdict.INCOMPLETE
    empty = replace(first, size=0)
    for report in both(journal, Trust(trusted=(empty,))):
        assert report.verdict is Verdict.INCONSISTENT


def test_the_key_or_the_checkpoint_of_another_log_vouches_for_nothing(journal: Journal) -> None:
    head = parse_checkpoint(journal.grow(3)[0]).checkpoint
    other = NoteSigner("casework.test/journal/cidff", Key(1))
    for report in both(journal, Trust(keys=(other.key,))):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 0)
    foreign = replace(head, origin=other.name)
    for report in both(journal, trust(journal, trusted=(foreign,))):
        assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {CheckName.HISTORY})


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(tampering.set_note(3, "not a note"), id="malformed"),
        pytest.param(
            tampering.set_note(3, sign_checkpoint(Checkpoint(ORIGIN, 8, bytes(32)), [STRANGER])), id="order"
        ),
        pytest.param(
            tampering.set_note(3, sign_checkpoint(Checkpoint("x", 3, bytes(32)), [STRANGER])), id="origin"
        ),
    ],
)
def test_an_earlier_checkpoint_out_of_place_is_found(journal: Journal, act: Tampering) -> None:
    journal.grow(3, 4, 2)
    tamper(journal, act)
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.INCONSISTENT
        assert CheckName.HISTORY in failed(report)


def test_an_earlier_checkpoint_that_another_key_signed_is_found(journal: Journal) -> None:
    journal.grow(3, 4)
    tamper(journal, tampering.set_note(3, sign_checkpoint(_head_at(journal, 3), [STRANGER])))
    for report in both(journal, trust(journal)):
        # The entries are those that the newest checkpoint covers: none of them is wrong.
        assert (report.verdict, report.first_wrong) == (Verdict.INCONSISTENT, None)
        assert failed(report) == {CheckName.SIGNATURES}


def test_an_earlier_checkpoint_that_is_made_up_accuses_no_entry(journal: Journal) -> None:
    journal.grow(3, 4)
    tamper(journal, tampering.set_note(3, sign_checkpoint(Checkpoint(ORIGIN, 3, bytes(32)), [STRANGER])))
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.first_wrong) == (Verdict.INCONSISTENT, None)
        assert failed(report) == {CheckName.SIGNATURES, CheckName.HISTORY}


def test_a_malformed_newest_checkpoint_is_a_verdict(journal: Journal) -> None:
    journal.grow(3)
    tamper(journal, tampering.set_note(3, "not a note"))
    report = journal.run(lambda connection: verify_database(connection, LOG, trust(journal), verify))
    assert (report.verdict, report.origin) == (Verdict.INCONSISTENT, None)


def test_a_log_without_a_checkpoint_is_incomplete(journal: Journal) -> None:
    report = journal.run(lambda connection: verify_database(connection, LOG, trust(journal), verify))
    assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.FORM})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor = NULL WHERE idx = 4",
        "UPDATE audit_entry SET action = 'case.list' WHERE idx = 4",
        "UPDATE audit_entry SET outcome = 'denied' WHERE idx = 4",
        "UPDATE audit_entry SET time = time + 1 WHERE idx = 4",
        "UPDATE audit_entry SET entry_id = '00000000-0000-4000-8000-0000000000ee' WHERE idx = 4",
        "DELETE FROM audit_subject WHERE idx = 4",
    ],
)
def test_an_entry_hidden_from_reviewers_is_found_in_the_database(journal: Journal, statement: str) -> None:
    journal.grow(3, 4)
    tamper(journal)
    journal.sql(statement)
    live, bundled = both(journal, trust(journal))
    assert (live.verdict, live.first_wrong.index) == (Verdict.INCONSISTENT, 4)
    assert failed(live) == {CheckName.ENTRIES}
    assert bundled.verdict is Verdict.VALID


def test_a_changed_subtree_is_found_in_the_database(journal: Journal) -> None:
    journal.grow(9)
    tamper(journal)
    journal.sql("DELETE FROM audit_subtree WHERE level = 1 AND idx = 3")
    live, _ = both(journal, trust(journal))
    assert (live.verdict, live.first_wrong.index) == (Verdict.INCONSISTENT, 6)


def test_a_changed_tile_above_the_leaves_is_found_in_both(journal: Journal) -> None:
    journal.grow(520)
    tamper(journal)
    journal.sql("DELETE FROM audit_subtree WHERE level = 8 AND idx = 1")
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 256)


@pytest.mark.parametrize(
    "act",
    [
        lambda connection: connection.execute(update(tables.log), {"size": 4}),
        lambda connection: connection.execute(insert(tables.leaf), {"log": LOG, "idx": 3, "hash": bytes(32)}),
        lambda connection: connection.execute(
            insert(tables.leaf), {"log": LOG, "idx": -1, "hash": bytes(32)}
        ),
    ],
)
def test_rows_that_no_checkpoint_covers_are_found_in_the_database(journal: Journal, act: Tampering) -> None:
    journal.grow(3)
    tamper(journal, act)
    live, _ = both(journal, trust(journal))
    assert (live.verdict, live.first_wrong.index) == (Verdict.INCONSISTENT, 3)


@only_on("sqlite")
def test_text_in_a_column_of_bytes_is_found_in_sqlite(journal: Journal) -> None:
    journal.grow(3, 4)
    tamper(journal)
    journal.sql("UPDATE audit_entry SET bytes = replace(bytes, 'allowed', 'denied') WHERE idx = 4")
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 4)


def test_an_entry_longer_than_any_entry_is_found(journal: Journal) -> None:
    journal.grow(3)
    tamper(journal, lambda connection: tampering.put(connection, {1: b" " * 70_000}))
    for report in both(journal, trust(journal)):
        assert report.verdict > Verdict.STALE
        assert report.first_wrong.index == 1


def test_an_entry_taken_from_the_inbox_leaves_a_hole_in_its_lane(journal: Journal) -> None:
    journal.grow(2)
    journal.write(journal.next_entry())
    journal.sql("DELETE FROM audit_inbox")
    journal.grow(1)
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID
    journal.time += 31_000_000
    journal.grow(1)
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCOMPLETE, 2)
        assert failed(report) == {CheckName.LANES}
        assert any("pas d’écriture 3" in check.words for check in report.checks)


def test_a_number_that_was_rolled_back_is_no_hole(journal: Journal) -> None:
    journal.grow(1)
    journal.lane.void(journal.lane.next())
    journal.grow(1)
    journal.time += 31_000_000
    journal.grow(1)
    for report in both(journal, trust(journal)):
        assert report.verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"lane": LaneNumber(n=1, writer="0" * 8)}, CheckName.LANES),
        ({"time": make_entry().time - 60_000_001}, CheckName.TIME),
    ],
)
def test_a_number_used_twice_or_a_clock_set_back_is_found(
    journal: Journal, changes: dict[str, Any], check: CheckName
) -> None:
    lane = LaneNumber(n=1, writer="0" * 8)
    journal.write(make_entry(lane=lane), make_entry(**{"lane": LaneNumber(n=2, writer="0" * 8), **changes}))
    journal.integrate()
    wrong = entry_id(journal, 1)
    for report in both(journal, trust(journal)):
        assert (report.verdict, failed(report)) == (Verdict.INCONSISTENT, {check})
        assert (report.first_wrong.index, report.first_wrong.entry_id) == (1, wrong)


def _tree_of(journal: Journal, *raws: bytes) -> None:
    """A log whose signer signed whatever stood there."""
    tamper(journal, tampering.remove(0, 99, "audit_leaf"))

    def work(connection: Connection) -> None:
        for index, raw in enumerate(raws):
            tampering.put(connection, {index: raw})

    journal.run(work)
    journal.run(tampering.rewrite(len(raws), journal.signer))


@pytest.mark.parametrize("wrong", ["twice", "foreign", "form"])
def test_what_was_signed_and_should_not_have_been_is_found(journal: Journal, wrong: str) -> None:
    journal.grow(3)
    raws = journal.run(tampering.stored_bytes)
    raw = {
        "twice": raws[0],
        "foreign": raws[1].replace(ORIGIN.encode(), b"casework.test/journal/cidff"),
        "form": raws[1] + b" ",
    }[wrong]
    _tree_of(journal, raws[0], raw)
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.first_wrong.index) == (Verdict.INCONSISTENT, 1)
        assert CheckName.ENTRIES in failed(report)


def prune(journal: Journal, index: int) -> None:
    journal.sql(
        f"UPDATE audit_log SET pruned = {index}",
        f"DELETE FROM audit_entry WHERE idx < {index}",
        f"DELETE FROM audit_subject WHERE idx < {index}",
    )


def test_a_pruned_journal_still_verifies(journal: Journal) -> None:
    journal.grow(300)
    journal.write(journal.next_entry(action="log.prune", count=256, subjects=(), actor=None, role=None))
    journal.integrate()
    prune(journal, 256)
    for report in both(journal, trust(journal)):
        assert (report.verdict, report.exit_code, failed(report)) == (Verdict.VALID_PRUNED, 10, set())


@pytest.mark.parametrize("changes", [{"count": 255}, {"outcome": Outcome.FAILED}, {"action": "log.close"}])
def test_pruning_that_the_journal_does_not_explain_is_found(
    journal: Journal, changes: dict[str, Any]
) -> None:
    journal.grow(300)
    journal.write(journal.next_entry(**{"action": "log.prune", "count": 256, **changes}))
    journal.integrate()
    prune(journal, 256)
    for report in both(journal, trust(journal)):
        assert (report.verdict, failed(report)) == (Verdict.INCOMPLETE, {CheckName.PRUNING})
        assert report.first_wrong.index == changes.get("count", 0)


def test_a_journal_whose_newest_entry_is_too_old_is_stale(journal: Journal) -> None:
    journal.grow(3)
    for age, verdict in ((10, Verdict.STALE), (1_000, Verdict.VALID)):
        for report in both(journal, trust(journal, max_age=age, now=journal.time + 500)):
            assert report.verdict is verdict
            assert (CheckName.FRESHNESS in failed(report)) is (verdict is Verdict.STALE)
