"""Each write of the signer broken both ways: lost, and done but reported as failed. The log goes on, and is one."""

from collections.abc import Iterable

import pytest
from sqlalchemy import Connection, select

from audit import tables
from audit.checkpoint import Checkpoint
from audit.errors import JournalRefused
from audit.follower import Follower
from audit.integrator import Pending, integrate
from audit.state import SignerState
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_database
from tests.audit.journal import LOG, ORIGIN, Journal, verify
from tests.audit.tampering import cut_back, tamper


class Broken(Exception):
    """What the writer is told, whatever became of the write."""


class BrokenState(SignerState):
    """Of which one write is lost, or done and reported as failed."""

    def __init__(self, journal: Journal, write: str, *, lost: bool) -> None:
        super().__init__(journal.directory)
        self._write_to_break, self._lost = write, lost

    def begin(self, origin: str) -> None:
        if self._write_to_break != "begin" or not self._lost:
            super().begin(origin)
        if self._write_to_break == "begin":
            raise Broken

    def publish(self, checkpoints: Iterable[Checkpoint]) -> None:
        if not self._lost:
            super().publish(checkpoints)
        raise Broken


def broken_round(journal: Journal, write: str, *, lost: bool) -> None:
    """A round of the integrator, of which this write is broken."""
    state = BrokenState(journal, write, lost=lost)

    def work(connection: Connection) -> list[Pending]:
        pending = integrate(connection, {LOG: [journal.signer]}, state)
        if write == "commit" and lost:
            raise Broken
        return pending

    pending = journal.run(work)
    if write == "commit":
        raise Broken
    state.publish([one.checkpoint for one in pending])


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "done but reported as failed"])
@pytest.mark.parametrize("write", ["begin", "commit", "publish"])
def test_a_write_of_the_signer_that_breaks_loses_nothing_and_doubles_nothing(
    journal: Journal, write: str, *, lost: bool
) -> None:
    entries = [journal.next_entry() for _ in range(3)]
    follower = Follower(LOG)
    journal.run(lambda connection: follower.follow(connection, [journal.key], verify))
    journal.write(*entries[:2])
    with pytest.raises(Broken):
        broken_round(journal, write, lost=lost)
    journal.write(entries[2])
    journal.integrate()
    query = select(tables.entry.c.entry_id).order_by(tables.entry.c.idx)
    stored = journal.run(lambda connection: connection.execute(query).scalars().all())
    assert stored == [entry.id for entry in entries]
    published = journal.state.last(ORIGIN)
    assert published is not None
    assert published.size == 3
    trust = Trust(keys=(journal.key,), trusted=(published,))
    report = journal.run(lambda connection: verify_database(connection, LOG, trust, verify))
    assert report.verdict is Verdict.VALID
    covered = journal.run(lambda connection: follower.follow(connection, [journal.key], verify))
    assert len(covered) == 3


def test_a_database_put_back_to_an_old_dump_is_neither_signed_nor_followed(journal: Journal) -> None:
    journal.grow(3)
    follower = Follower(LOG)
    journal.grow(4)
    journal.run(lambda connection: follower.follow(connection, [journal.key], verify))
    tamper(journal, cut_back(3))
    journal.write(journal.next_entry())
    with pytest.raises(JournalRefused, match="3 leaves and 7 were published"):
        journal.integrate()
    assert journal.run(lambda connection: follower.follow(connection, [journal.key], verify)) == []
