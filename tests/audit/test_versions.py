"""What a log has seen of each row: its highest version, and whether one was written twice."""

from sqlalchemy import Connection

from audit.entry import Outcome, Row, Subject
from audit.versions import SeenRows, seen_rows
from tests.audit.journal import LOG, Journal
from tests.audit.tampering import put, tamper

ANNE, NOTE, FILE = "01" * 32, "0a" * 32, "0b" * 32
CORRECT, READ = "note.correct", "note.read"


def write(journal: Journal, action: str, *rows: tuple[str, int], outcome: Outcome = Outcome.ALLOWED) -> None:
    subject = Subject(p=ANNE, rows=tuple(Row(r=row, v=version) for row, version in rows))
    journal.write(journal.next_entry(action=action, subjects=(subject,), outcome=outcome))


def seen(journal: Journal) -> SeenRows:
    def read(connection: Connection) -> SeenRows:
        return seen_rows(connection, LOG, {CORRECT}, {READ})

    journal.integrate()
    return journal.run(read)


def test_the_highest_version_of_each_row_is_seen_whatever_was_done_with_it(journal: Journal) -> None:
    write(journal, CORRECT, (NOTE, 2))
    write(journal, READ, (NOTE, 3), (FILE, 1))
    write(journal, READ, (NOTE, 1))
    write(journal, READ, (NOTE, 1))
    assert seen(journal) == SeenRows({NOTE: 3, FILE: 1}, set(), {ANNE: {NOTE, FILE}})


def test_a_version_that_was_written_twice_is_named(journal: Journal) -> None:
    for version in (1, 2, 3, 3):
        write(journal, CORRECT, (NOTE, version), (FILE, version + int(version == 3)))
    write(journal, CORRECT, (FILE, 5))
    assert seen(journal) == SeenRows({NOTE: 3, FILE: 5}, {NOTE, FILE}, {})


def test_what_was_refused_wrote_nothing(journal: Journal) -> None:
    write(journal, CORRECT, (NOTE, 2))
    write(journal, CORRECT, (NOTE, 2), outcome=Outcome.DENIED)
    assert seen(journal).written_twice == set()


def test_what_is_no_entry_is_passed_over(journal: Journal) -> None:
    write(journal, CORRECT, (NOTE, 2))
    write(journal, CORRECT, (NOTE, 3))
    journal.integrate()
    tamper(journal, lambda connection: put(connection, {1: b"{}"}))
    assert seen(journal).newest == {NOTE: 2}
