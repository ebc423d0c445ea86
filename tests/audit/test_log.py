"""Writing beside the data, and what a review finds."""

import pytest
from sqlalchemy import Connection

from audit.checkpoint import NoteSigner, parse_checkpoint
from audit.entry import Entry, Outcome, Subject
from audit.errors import EntryNotFound, EntryRefused, NothingPublished, ProofRefused
from audit.integrator import integrate, open_log
from audit.log import (
    Filters,
    count_entries,
    details_begin_with,
    entries,
    find_entry,
    latest_checkpoint,
    newest_time,
    prove_consistency,
    record,
    sealed_detail,
)
from audit.tree import verify_consistency
from tests.audit.journal import LOG, START, Journal, Key, make_entry, rows

ANNE, BERTHE = bytes([1]) * 32, bytes([2]) * 32
OTHER_ACTOR = "00000000-0000-4000-8000-00000000000b"


def of(*persons: bytes) -> tuple[Subject, ...]:
    return tuple(Subject(p=person.hex(), rows=()) for person in persons)


def test_an_entry_and_its_data_stand_or_fall_together(journal: Journal) -> None:
    def fails(connection: Connection) -> None:
        record(connection, LOG, make_entry(), b"sealed")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        journal.run(fails)
    for table in ("audit_inbox", "audit_detail"):
        assert journal.run(lambda connection, table=table: rows(connection, table)) == []


def test_what_the_schema_refuses_is_not_recorded(journal: Journal) -> None:
    with pytest.raises(EntryRefused):
        journal.write(make_entry(action="Marie Dupont"))
    assert journal.run(lambda connection: rows(connection, "audit_inbox")) == []


def test_a_detail_stands_apart_and_can_be_shredded(journal: Journal) -> None:
    entry, plain = journal.next_entry(), journal.next_entry()
    journal.run(lambda connection: record(connection, LOG, entry, b"sealed"))
    journal.write(plain)
    journal.integrate()
    assert journal.run(lambda connection: sealed_detail(connection, LOG, entry.id)) == b"sealed"
    assert journal.run(lambda connection: sealed_detail(connection, LOG, plain.id)) is None
    journal.sql("DELETE FROM audit_detail")
    assert journal.run(lambda connection: sealed_detail(connection, LOG, entry.id)) is None


def test_an_entry_of_another_log_is_not_found(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.write(entry)
    journal.integrate()
    with pytest.raises(EntryNotFound):
        journal.run(lambda connection: find_entry(connection, bytes(16), entry.id))


def test_a_log_without_entries_has_no_checkpoint(journal: Journal) -> None:
    with pytest.raises(NothingPublished):
        journal.run(lambda connection: latest_checkpoint(connection, LOG))


def test_pages_go_from_the_newest_down_to_the_first(journal: Journal) -> None:
    journal.grow(5)
    cursor, seen = None, []
    while True:
        page = journal.run(
            lambda connection, at=cursor: entries(connection, LOG, Filters(), cursor=at, limit=2)
        )
        seen.append([one.index for one in page.entries])
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [[4, 3], [2, 1], [0]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [3, 2, 1, 0]),
        (Filters(subjects=frozenset({ANNE})), [2, 0]),
        (Filters(subjects=frozenset({ANNE, BERTHE})), [2, 1, 0]),
        (Filters(subjects=frozenset()), []),
        (Filters(actor=OTHER_ACTOR), [3]),
        (Filters(action="case.list"), [2]),
        (Filters(outcome=Outcome.DENIED), [3]),
        (Filters(since=START + 2), [3, 2]),
        (Filters(until=START + 2), [1, 0]),
        (Filters(subjects=frozenset({ANNE}), until=START + 1), [0]),
    ],
)
def test_a_review_filters_by_what_stands_beside_the_bytes(
    journal: Journal, filters: Filters, expected: list[int]
) -> None:
    written: list[Entry] = [
        make_entry(subjects=of(ANNE), time=START),
        make_entry(subjects=of(BERTHE), time=START + 1),
        make_entry(subjects=of(ANNE, BERTHE), time=START + 2, action="case.list"),
        make_entry(subjects=(), time=START + 3, actor=OTHER_ACTOR, outcome=Outcome.DENIED),
    ]
    journal.write(*written)
    journal.integrate()
    page = journal.run(lambda connection: entries(connection, LOG, filters))
    assert [one.index for one in page.entries] == expected
    assert [one.entry for one in page.entries] == [written[index] for index in expected]


def test_a_person_is_looked_for_in_the_one_log_alone(journal: Journal) -> None:
    other, origin = bytes(16), "casework.test/journal/deployment"

    def two_logs(connection: Connection) -> None:
        open_log(connection, other, origin)
        record(connection, LOG, make_entry(subjects=of(BERTHE)))
        record(connection, other, make_entry(subjects=of(ANNE), log=origin))

    journal.run(two_logs)
    signers = {LOG: [journal.signer], other: [NoteSigner(origin, Key(2))]}
    journal.run(lambda connection: integrate(connection, signers, journal.state))
    of_anne = Filters(subjects=frozenset({ANNE}))
    assert journal.run(lambda connection: entries(connection, LOG, of_anne)).entries == ()
    assert len(journal.run(lambda connection: entries(connection, other, of_anne)).entries) == 1


def test_the_newest_checkpoint_continues_an_older_one(journal: Journal) -> None:
    old = parse_checkpoint(journal.grow(3)[0]).checkpoint
    journal.grow(6)
    proof, note = journal.run(lambda connection: prove_consistency(connection, LOG, old.size))
    new = parse_checkpoint(note).checkpoint
    verify_consistency(old.size, new.size, old.root, new.root, proof)
    for size in (0, 10):
        with pytest.raises(ProofRefused):
            journal.run(lambda connection, size=size: prove_consistency(connection, LOG, size))


def test_the_newest_time_is_the_latest_entrys_and_of_an_empty_log_none(journal: Journal) -> None:
    assert journal.run(lambda connection: newest_time(connection, LOG)) is None
    entry = journal.next_entry()
    journal.write(entry)
    journal.integrate()
    assert journal.run(lambda connection: newest_time(connection, LOG)) == entry.time


def test_what_matches_is_counted_up_to_a_bound_beside_the_size_of_the_log(journal: Journal) -> None:
    journal.grow(3)
    journal.write(journal.next_entry(outcome=Outcome.DENIED))
    journal.integrate()

    def count(filters: Filters, most: int, log: bytes = LOG) -> tuple[int, int]:
        return journal.run(lambda connection: count_entries(connection, log, filters, most=most))

    assert count(Filters(), 10) == (4, 4)
    assert count(Filters(), 2) == (2, 4)
    assert count(Filters(outcome=Outcome.DENIED), 10) == (1, 4)
    assert count(Filters(), 10, bytes(16)) == (0, 0)


def test_a_log_says_whether_a_detail_is_under_a_header(journal: Journal) -> None:
    for sealed in (b"old-1", b"new-2"):
        entry = journal.next_entry()
        journal.run(lambda connection, entry=entry, sealed=sealed: record(connection, LOG, entry, sealed))

    def begins(*headers: bytes, log: bytes = LOG) -> bool:
        return journal.run(lambda connection: details_begin_with(connection, log, headers))

    assert begins(b"old")
    assert begins(b"none", b"new-2")
    assert not begins(b"old-2")
    assert not begins(b"ld-1")
    assert not begins(b"old", log=bytes(16))
