"""One round: drain, append, check against what was published, sign."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, insert, select

from audit import tables
from audit.checkpoint import NoteSigner, parse_checkpoint, verify_checkpoint
from audit.errors import JournalRefused
from audit.integrator import ADVISORY_LOCK, Pending, hold_off, integrate, open_log
from audit.log import find_entry, record
from audit.tree import Frontier, leaf_hash
from audit.triggers import drop_triggers
from casework import postgres
from tests.audit.journal import LOG, ORIGIN, Journal, Key, make_entry, only_on, rows, verify

OTHER = bytes(16)
OTHER_ORIGIN = "casework.test/journal/deployment"


def test_a_round_appends_the_inbox_in_order_and_signs_the_root(journal: Journal) -> None:
    written = [journal.next_entry() for _ in range(5)]
    journal.write(*written)
    (pending,) = journal.integrate()
    frontier = Frontier()
    for entry in written:
        frontier.append(leaf_hash(entry.to_bytes()))
    note = parse_checkpoint(pending.note)
    verify_checkpoint(note, [journal.key], verify)
    assert (note.checkpoint.size, note.checkpoint.root) == (5, frontier.root())
    for index, entry in enumerate(written):
        found = journal.run(lambda connection, entry=entry: find_entry(connection, LOG, entry.id))
        assert (found.index, found.entry, found.raw) == (index, entry, entry.to_bytes())
    assert journal.run(lambda connection: rows(connection, "audit_inbox")) == []


def test_the_order_is_that_of_the_numbers_and_not_of_the_pages(journal: Journal) -> None:
    written = [journal.next_entry() for _ in range(3)]
    journal.write(*written)
    # PostgreSQL moves an updated row behind the others.
    journal.sql("UPDATE audit_inbox SET log = log WHERE seq = (SELECT min(seq) FROM audit_inbox)")
    journal.integrate()
    for index, entry in enumerate(written):
        found = journal.run(lambda connection, entry=entry: find_entry(connection, LOG, entry.id))
        assert found.index == index


def test_nothing_waiting_signs_nothing(journal: Journal) -> None:
    assert journal.integrate() == []


def test_rounds_continue_one_tree(journal: Journal) -> None:
    notes = journal.grow(3, 1, 4)
    assert [parse_checkpoint(note).checkpoint.size for note in notes] == [3, 4, 8]


def test_a_batch_is_bounded(journal: Journal) -> None:
    journal.write(*(journal.next_entry() for _ in range(5)))
    signers = {LOG: [journal.signer]}
    (first,) = journal.run(lambda connection: integrate(connection, signers, journal.state, batch=3))
    assert first.checkpoint.size == 3
    (second,) = journal.run(lambda connection: integrate(connection, signers, journal.state, batch=3))
    assert second.checkpoint.size == 5


def test_each_log_grows_alone_and_one_without_a_signer_waits(journal: Journal) -> None:
    def two_logs(connection: Connection) -> None:
        open_log(connection, OTHER, OTHER_ORIGIN)
        for number in range(2):
            record(connection, OTHER, make_entry(log=OTHER_ORIGIN))
            record(connection, LOG, make_entry(count=number))

    journal.run(two_logs)
    (mine,) = journal.integrate()
    assert (mine.log, mine.checkpoint.size) == (LOG, 2)
    both = {LOG: [journal.signer], OTHER: [NoteSigner(OTHER_ORIGIN, Key(2))]}
    (other,) = journal.run(lambda connection: integrate(connection, both, journal.state))
    assert (other.log, other.checkpoint.origin, other.checkpoint.size) == (OTHER, OTHER_ORIGIN, 2)


@only_on("postgresql")
def test_only_one_process_integrates_at_a_time(journal: Journal) -> None:
    journal.write(journal.next_entry())
    cluster, name = journal.place

    def while_held(connection: Connection) -> None:
        assert connection.execute(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))).scalar_one()
        other = f"SELECT pg_try_advisory_xact_lock({ADVISORY_LOCK})"
        assert cluster.sql(other, name).strip() == "f"

    journal.run(while_held)
    assert len(journal.integrate()) == 1


def test_whoever_holds_off_keeps_every_round_away(journal: Journal) -> None:
    journal.write(journal.next_entry())

    def while_held(connection: Connection) -> None:
        hold_off(connection)
        # In SQLite a transaction that reads sees one state throughout: nothing is to be held off.
        if journal.dialect == "postgresql":
            cluster, name = journal.place
            other = f"SELECT pg_try_advisory_xact_lock({ADVISORY_LOCK})"
            assert cluster.sql(other, name).strip() == "f"

    journal.run(while_held)
    assert len(journal.integrate()) == 1


@only_on("postgresql")
def test_a_process_that_is_not_elected_leaves_the_inbox_alone(journal: Journal) -> None:
    journal.write(journal.next_entry())
    cluster, name = journal.place

    async def both() -> tuple[list[Pending], list[Pending]]:
        engine = postgres.make_engine(cluster.url(name, "casework_integrator"), pool_size=2)
        signers = {LOG: [journal.signer]}
        try:
            async with engine.begin() as first, engine.begin() as second:
                won = await first.run_sync(integrate, signers, journal.state)
                lost = await second.run_sync(integrate, signers, journal.state)
                return won, lost
        finally:
            await engine.dispose()

    won, lost = asyncio.run(both())
    assert (len(won), lost) == (1, [])


def test_a_rolled_back_database_is_not_signed(journal: Journal) -> None:
    journal.grow(2)
    ahead = parse_checkpoint(journal.grow(3)[0]).checkpoint
    # As if the database were an older copy: the state remembers more than it holds.
    journal.state.publish([replace(ahead, size=9)])
    journal.write(journal.next_entry())
    with pytest.raises(JournalRefused, match="5 leaves and 9 were published"):
        journal.integrate()


def test_a_rewritten_database_is_not_signed(journal: Journal) -> None:
    journal.grow(4)
    journal.sql(
        *drop_triggers(journal.dialect),
        "UPDATE audit_leaf SET hash = (SELECT b.hash FROM audit_leaf b WHERE b.idx = 1) WHERE idx = 0",
    )
    journal.sql(
        "UPDATE audit_subtree SET hash = (SELECT b.hash FROM audit_leaf b WHERE b.idx = 1) WHERE level = 2"
    )
    journal.write(journal.next_entry())
    with pytest.raises(JournalRefused, match="not the one that was published at size 4"):
        journal.integrate()


def test_a_missing_hash_is_refused(journal: Journal) -> None:
    journal.grow(3)
    journal.sql(*drop_triggers(journal.dialect), "DELETE FROM audit_leaf WHERE idx = 2")
    journal.write(journal.next_entry())
    with pytest.raises(JournalRefused, match="level 0, index 2 is missing"):
        journal.integrate()
    journal.sql("DELETE FROM audit_subtree")
    with pytest.raises(JournalRefused, match="level 1, index 0 is missing"):
        journal.integrate()


def test_a_crash_after_the_commit_leaves_a_log_that_goes_on(journal: Journal) -> None:
    journal.grow(2)
    journal.write(journal.next_entry())
    signers = {LOG: [journal.signer]}
    # Committed, and the process dies before it has the state remember the head.
    journal.run(lambda connection: integrate(connection, signers, journal.state))
    assert journal.state.last(ORIGIN).size == 2
    journal.grow(1)
    assert journal.state.last(ORIGIN).size == 4


def test_a_crash_before_the_commit_leaves_everything_as_it_was(journal: Journal) -> None:
    journal.write(journal.next_entry())

    def crash(connection: Connection) -> None:
        integrate(connection, {LOG: [journal.signer]}, journal.state)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        journal.run(crash)
    assert journal.state.last(ORIGIN) is None
    assert journal.run(lambda connection: len(rows(connection, "audit_inbox"))) == 1
    assert [one.checkpoint.size for one in journal.integrate()] == [1]


def test_a_log_that_the_state_does_not_know_is_not_signed(journal: Journal) -> None:
    journal.grow(2)
    journal.write(journal.next_entry())
    (journal.directory / "journal-signer.json").unlink()
    with pytest.raises(JournalRefused, match="does not know it"):
        journal.integrate()


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"{}", "not an entry"), (make_entry(log="casework.test/other").to_bytes(), "of another log")],
)
def test_what_is_no_entry_of_the_log_is_not_signed(journal: Journal, raw: bytes, words: str) -> None:
    journal.run(
        lambda connection: connection.execute(insert(tables.inbox).inline(), {"log": LOG, "entry": raw})
    )
    with pytest.raises(JournalRefused, match=words) as refused:
        journal.integrate()
    assert refused.value.log == LOG


def test_an_id_that_is_taken_is_not_signed(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.write(entry, entry)
    with pytest.raises(JournalRefused, match="id is taken"):
        journal.integrate()


def test_a_log_that_is_not_open_is_refused(journal: Journal) -> None:
    journal.run(lambda connection: record(connection, OTHER, make_entry(log=OTHER_ORIGIN)))
    with pytest.raises(JournalRefused, match="not open"):
        journal.run(lambda connection: integrate(connection, {OTHER: [journal.signer]}, journal.state))
