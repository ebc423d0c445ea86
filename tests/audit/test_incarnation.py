"""A log that was restored goes on under another origin, says what it lost, and cannot hide it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from audit.checkpoint import Checkpoint, NoteSigner, parse_checkpoint
from audit.entry import Basis, Entry, LaneNumber
from audit.errors import JournalRefused
from audit.incarnation import (
    RESTORED_ACTION,
    begin_incarnation,
    is_earlier,
    marked,
    restored_at,
    stored_head,
    unmarked,
    wait_again,
)
from audit.integrator import integrate
from audit.log import record
from audit.trust import Trust
from audit.verdict import Report, Verdict
from audit.verifier import verify_database
from tests.audit.journal import LOG, ORIGIN, Journal, make_entry, rows, verify

STAMP = "20261122201500"
NEXT = "casework.test~20261122201500/journal/avec"
WRITER = "00000000-0000-4000-8000-000000000002"


def test_a_mark_names_a_moment_and_nothing_else() -> None:
    assert unmarked(NEXT) == ORIGIN
    assert marked("casework.test", STAMP) == f"casework.test~{STAMP}"
    assert marked(f"casework.test~{STAMP}", "20270101000000") == "casework.test~20270101000000"
    assert unmarked("casework.test~1/avec") == "casework.test~1/avec"
    assert is_earlier(ORIGIN, NEXT)
    assert not is_earlier(NEXT, ORIGIN)
    assert not is_earlier("other.test/avec", NEXT)


def test_a_marked_origin_says_when_it_was_restored() -> None:
    assert restored_at(NEXT) == datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
    assert restored_at("casework.test/journal/avec") is None


def restored() -> Entry:
    basis = Basis(policies=(), set="ab" * 32)
    lane = LaneNumber(n=1, writer=WRITER)
    return make_entry(action=RESTORED_ACTION, log=NEXT, basis=basis, count=9, subjects=(), lane=lane)


def continue_as_next(journal: Journal, first: Entry | None = None) -> list[bytes]:
    """Begin the incarnation with `first`, and integrate it with what waited; returns what waited."""

    def work(connection: Connection) -> list[bytes]:
        head = stored_head(connection, LOG)
        waiting = begin_incarnation(connection, LOG, NEXT)
        journal.state.publish([replace(head, origin=NEXT)])
        record(connection, LOG, first or restored())
        return waiting

    waiting = journal.run(work)
    journal.run(lambda connection: integrate(connection, {LOG: [next_signer(journal)]}, journal.state))
    return waiting


def next_signer(journal: Journal) -> NoteSigner:
    return NoteSigner(NEXT, journal.signer.signer)


def verdict(journal: Journal, *trusted: Checkpoint) -> Report:
    trust = Trust(keys=(journal.key,), trusted=trusted)
    return journal.run(lambda connection: verify_database(connection, LOG, trust, verify))


def test_a_restored_log_is_valid_under_the_key_of_before_and_says_where(journal: Journal) -> None:
    saved = parse_checkpoint(journal.grow(3, 4)[0]).checkpoint
    continue_as_next(journal)
    report = verdict(journal, saved)
    assert (report.verdict, report.origin, report.size) == (Verdict.VALID, NEXT, 8)
    assert any("restauré à l’écriture 7" in check.words for check in report.checks)


@pytest.mark.parametrize("size", [8, 30])
def test_a_checkpoint_of_what_was_lost_is_told_apart_from_a_rewritten_log(
    journal: Journal, size: int
) -> None:
    journal.grow(3, 4)
    continue_as_next(journal)
    report = verdict(journal, Checkpoint(ORIGIN, size, b"\1" * 32))
    assert report.verdict is Verdict.INCOMPLETE
    assert any("perdues" in check.words for check in report.checks)


def test_a_checkpoint_of_what_was_not_lost_must_still_agree(journal: Journal) -> None:
    journal.grow(3, 4)
    continue_as_next(journal)
    assert verdict(journal, Checkpoint(ORIGIN, 3, b"\1" * 32)).verdict is Verdict.INCONSISTENT


def test_a_log_that_went_back_to_before_a_restore_is_inconsistent(journal: Journal) -> None:
    journal.grow(3)
    assert verdict(journal, Checkpoint(NEXT, 5, b"\1" * 32)).verdict is Verdict.INCONSISTENT


def test_another_origin_without_its_first_entry_is_inconsistent(journal: Journal) -> None:
    journal.grow(3)
    continue_as_next(journal, _as(restored(), action="case.open"))
    report = verdict(journal)
    assert report.verdict is Verdict.INCONSISTENT
    assert report.first_wrong is not None
    assert report.first_wrong.index == 3


def _as(entry: Entry, **changes: str) -> Entry:
    values = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return Entry(**{**values, **changes})


def test_a_restored_log_is_not_another_log(journal: Journal) -> None:
    journal.grow(3)
    with pytest.raises(JournalRefused):
        continue_as_next(journal, _as(restored(), log="casework.test/journal/cidff"))


def test_what_waited_is_given_back_and_may_wait_again_in_its_order(journal: Journal) -> None:
    journal.grow(2)
    first, second = make_entry(lane=LaneNumber(n=3, writer=WRITER)), make_entry()
    journal.run(lambda connection: [record(connection, LOG, entry) for entry in (first, second)])

    def work(connection: Connection) -> tuple[list[bytes], list[bytes]]:
        waiting = begin_incarnation(connection, LOG, NEXT)
        wait_again(connection, LOG, waiting)
        return waiting, begin_incarnation(connection, LOG, NEXT)

    assert journal.run(work) == ([first.to_bytes(), second.to_bytes()],) * 2
    journal.run(lambda connection: wait_again(connection, LOG, []))
    assert len(journal.run(lambda connection: rows(connection, "audit_inbox"))) == 0


def test_the_origin_of_a_log_stays_out_of_reach_afterwards(journal: Journal) -> None:
    journal.grow(1)
    continue_as_next(journal)
    with pytest.raises(Exception, match="append-only"):
        journal.run(lambda connection: connection.exec_driver_sql("UPDATE audit_log SET origin = 'x'"))


def test_a_log_that_is_not_open_has_no_head(journal: Journal) -> None:
    with pytest.raises(JournalRefused):
        journal.run(lambda connection: stored_head(connection, bytes(16)))
