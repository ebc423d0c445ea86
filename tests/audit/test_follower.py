"""A writer follows its log from checkpoint to checkpoint; what does not lead there covers nothing."""

import pytest
from sqlalchemy import delete, select, update

from audit import follower as follower_module
from audit import tables
from audit.checkpoint import NoteSigner
from audit.errors import JournalRefused
from audit.follower import Follower
from audit.memory import Fate, Remembered, WriterMemory, fates
from audit.tree import leaf_hash
from tests.audit.journal import LOG, ORIGIN, Journal, Key, verify
from tests.audit.tampering import Tampering, alter, altered, remove, rewrite, tamper


def follow(journal: Journal, follower: Follower) -> list[bytes]:
    return journal.run(lambda connection: follower.follow(connection, [journal.key], verify))


def stored_leaves(journal: Journal) -> list[bytes]:
    query = select(tables.leaf.c.hash).order_by(tables.leaf.c.idx)
    return journal.run(lambda connection: [bytes(leaf) for leaf in connection.execute(query).scalars()])


def test_each_leaf_is_covered_once_and_in_order(journal: Journal) -> None:
    follower = Follower(LOG)
    assert follow(journal, follower) == []
    journal.grow(3)
    first = follow(journal, follower)
    journal.grow(2, 4)
    assert first + follow(journal, follower) == stored_leaves(journal)
    assert follow(journal, follower) == []


def test_what_stood_before_is_the_beginning(journal: Journal) -> None:
    journal.grow(5)
    follower = Follower(LOG)
    assert follow(journal, follower) == []
    journal.grow(2)
    assert follow(journal, follower) == stored_leaves(journal)[5:]


def test_a_long_way_is_followed_in_steps(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "MOST_LEAVES", 4)
    follower = Follower(LOG)
    follow(journal, follower)
    journal.grow(3, 3, 1)
    found = [follow(journal, follower) for _ in range(3)]
    assert [len(leaves) for leaves in found] == [3, 4, 0]


@pytest.mark.parametrize(
    "tampering",
    [
        pytest.param(remove(4, 4, "audit_leaf"), id="a leaf is gone"),
        pytest.param(
            lambda connection: connection.execute(
                update(tables.leaf).where(tables.leaf.c.idx == 4), {"hash": bytes(32)}
            ),
            id="a leaf is another",
        ),
        pytest.param(rewrite(1, NoteSigner(ORIGIN, Key(1))), id="computed anew under its own key"),
        pytest.param(rewrite(4, NoteSigner(ORIGIN, Key(2)), from_size=3), id="signed by another key"),
    ],
)
def test_what_does_not_continue_what_was_verified_covers_nothing(
    journal: Journal, tampering: Tampering
) -> None:
    follower = Follower(LOG)
    follow(journal, follower)
    journal.grow(3)
    assert len(follow(journal, follower)) == 3
    journal.grow(3)
    tamper(journal, tampering)
    with pytest.raises(JournalRefused):
        follow(journal, follower)


def test_a_tree_that_does_not_lead_to_its_checkpoint_is_no_beginning(journal: Journal) -> None:
    journal.grow(3)
    tamper(
        journal,
        lambda connection: connection.execute(
            update(tables.leaf).where(tables.leaf.c.idx == 2), {"hash": bytes(32)}
        ),
    )
    with pytest.raises(JournalRefused):
        follow(journal, Follower(LOG))


class Watch:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def elapsed(self) -> float:
        return self.seconds


def test_an_entry_is_missed_half_a_minute_after_its_commit_and_not_once_it_is_covered() -> None:
    watch = Watch()
    memory = WriterMemory(watch.elapsed)
    assert not memory.misses_one
    memory.remember(LOG, b"one", "id one")
    watch.seconds = 10
    memory.remember(LOG, b"two", "id two")
    watch.seconds = 30
    assert not memory.misses_one
    watch.seconds = 31
    assert memory.misses_one
    assert memory.missing() == [Remembered(LOG, b"one", "id one", 0)]
    memory.forget([b"one", b"of another writer"])
    assert not memory.misses_one
    assert not memory.holds(b"one")
    assert memory.holds(b"two")


def test_memory_says_when_it_holds_as_much_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.memory.MOST_REMEMBERED", 2)
    memory = WriterMemory(Watch().elapsed)
    memory.remember(LOG, b"one", "id")
    assert not memory.is_full
    memory.remember(LOG, b"two", "id")
    assert memory.is_full


def test_what_became_of_an_entry_is_told_apart(journal: Journal) -> None:
    entries = [journal.next_entry() for _ in range(5)]
    journal.write(*entries[:2])
    journal.integrate()
    tamper(journal, alter(1))
    journal.write(*entries[2:])

    def spoil(seq: int, raw: bytes) -> Tampering:
        return lambda connection: connection.execute(
            update(tables.inbox).where(tables.inbox.c.seq == seq), {"entry": raw}
        )

    third, fourth, _ = journal.run(
        lambda connection: (
            connection.execute(select(tables.inbox.c.seq).order_by(tables.inbox.c.seq)).scalars().all()
        )
    )
    journal.run(spoil(third, altered(entries[2].to_bytes())))
    journal.run(spoil(fourth, b"no entry"))
    expected = [Fate.WAITING, Fate.ALTERED, Fate.ALTERED, Fate.REMOVED, Fate.WAITING]
    for entry, fate in zip(entries, expected, strict=True):
        missing = [Remembered(LOG, leaf_hash(entry.to_bytes()), entry.id, 0)]
        found = journal.run(lambda connection, missing=missing: fates(connection, LOG, missing))
        assert found == {fate: 1}
    journal.run(lambda connection: connection.execute(delete(tables.inbox)))
    missing = [Remembered(LOG, leaf_hash(entries[4].to_bytes()), entries[4].id, 0)]
    assert journal.run(lambda connection: fates(connection, LOG, missing)) == {Fate.REMOVED: 1}
