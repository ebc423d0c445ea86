"""The roll-up log: an hour's heads as leaves, what it proves, and what it refuses to go on from."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DatabaseError

from audit import tables
from audit.bundle import write_bundle
from audit.checkpoint import (
    Checkpoint,
    NoteSigner,
    SignatureType,
    VerificationKey,
    cosign,
    parse_checkpoint,
    parse_text,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from audit.errors import JournalRefused, NoteRefused, NothingPublished
from audit.integrator import integrate, log_is_open, open_log
from audit.log import latest_checkpoint, record
from audit.receipt import Receipt
from audit.rollup import (
    cosigned_size,
    keep_cosignature,
    note_at,
    prove_rolled_up,
    roll_up,
    rolled_up_heads,
    verify_rollup,
)
from audit.tables import ROLLUP_LOG
from audit.tree import leaf_hash, verify_inclusion
from audit.triggers import drop_triggers
from audit.trust import Trust
from audit.verdict import Verdict
from audit.verifier import verify_bundle
from casework import postgres
from tests.audit.journal import LOG, ORIGIN, Journal, Key, make_entry, only_on, verify
from tests.audit.tampering import rewrite, tamper

ROLLUP_ORIGIN = "casework.test/journal/rollup"
OTHER = bytes(16)
OTHER_ORIGIN = "casework.test/journal/deployment"
SIGNER = NoteSigner(ROLLUP_ORIGIN, Key(7))
WITNESS = NoteSigner("witness.example/w", Key(8), SignatureType.COSIGNATURE)


@pytest.fixture
def rolled(journal: Journal) -> Journal:
    """A log with two entries; the roll-up is open and empty."""
    journal.run(lambda connection: open_log(connection, ROLLUP_LOG, ROLLUP_ORIGIN))
    journal.grow(2)
    return journal


def roll(journal: Journal, hour: int) -> bool:
    """What the service does once in an hour."""
    stands = journal.run(lambda connection: roll_up(connection, SIGNER, journal.state, hour))
    if stands:
        journal.state.publish([parse_checkpoint(note(journal)).checkpoint])
    return stands


def note(journal: Journal) -> str:
    return journal.run(lambda connection: latest_checkpoint(connection, ROLLUP_LOG))


def size(journal: Journal) -> int:
    return parse_checkpoint(note(journal)).checkpoint.size


def test_an_hour_gives_each_log_a_leaf_in_the_order_of_its_id_whether_it_grew_or_not(rolled: Journal) -> None:
    def another(connection: Connection) -> None:
        open_log(connection, OTHER, OTHER_ORIGIN)
        record(connection, OTHER, make_entry(log=OTHER_ORIGIN))

    rolled.run(another)
    both = {OTHER: [NoteSigner(OTHER_ORIGIN, Key(2))]}
    pending = rolled.run(lambda connection: integrate(connection, both, rolled.state))
    rolled.state.publish([one.checkpoint for one in pending])
    assert [roll(rolled, 1), roll(rolled, 2)] == [True, True]
    rolled.grow(1)
    assert roll(rolled, 3)
    rows = rolled.run(
        lambda connection: connection.execute(
            select(tables.rollup.c.log, tables.rollup.c.hour, tables.rollup.c.head).order_by(
                tables.rollup.c.idx
            )
        ).all()
    )
    assert [(bytes(row.log), row.hour, parse_text(row.head).size) for row in rows] == [
        (OTHER, 1, 1),
        (LOG, 1, 2),
        (OTHER, 2, 1),
        (LOG, 2, 2),
        (OTHER, 3, 1),
        (LOG, 3, 3),
    ]
    verify_checkpoint(parse_checkpoint(note(rolled)), [SIGNER.key], verify)
    published = rolled.state.last(ROLLUP_ORIGIN)
    assert rolled.run(lambda connection: verify_rollup(connection, SIGNER.key, published, verify)) == 6


def test_an_hour_is_rolled_up_once_whoever_restarts_or_stands_beside(rolled: Journal) -> None:
    assert [roll(rolled, 7), roll(rolled, 7)] == [True, True]
    assert size(rolled) == 1
    # A clock that ran ahead for a while does not silence the roll-up for years.
    assert roll(rolled, 6)
    assert size(rolled) == 2


def test_nothing_published_is_not_rolled_up(journal: Journal) -> None:
    journal.run(lambda connection: open_log(connection, ROLLUP_LOG, ROLLUP_ORIGIN))
    assert not roll(journal, 1)
    with pytest.raises(NothingPublished):
        note(journal)


@only_on("postgresql")
def test_a_process_that_is_not_elected_rolls_nothing_up(rolled: Journal) -> None:
    cluster, name = rolled.place

    async def both() -> tuple[bool, bool]:
        engine = postgres.make_engine(cluster.url(name, "casework_integrator"), pool_size=2)
        try:
            async with engine.begin() as first, engine.begin() as second:
                done = await first.run_sync(roll_up, SIGNER, rolled.state, 1)
                return done, await second.run_sync(roll_up, SIGNER, rolled.state, 1)
        finally:
            await engine.dispose()

    assert asyncio.run(both()) == (True, False)
    assert size(rolled) == 1


def test_without_the_log_nothing_is_rolled_up(journal: Journal) -> None:
    journal.grow(1)
    assert not journal.run(lambda connection: log_is_open(connection, ROLLUP_LOG))
    with pytest.raises(JournalRefused, match="not open"):
        roll(journal, 1)


def test_a_commit_that_was_lost_leaves_the_hour_to_be_rolled_up(rolled: Journal) -> None:
    def crash(connection: Connection) -> None:
        roll_up(connection, SIGNER, rolled.state, 1)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        rolled.run(crash)
    assert rolled.state.last(ROLLUP_ORIGIN) is None
    assert roll(rolled, 1)
    assert size(rolled) == 1


def test_a_commit_that_was_reported_as_failed_is_gone_on_from(rolled: Journal) -> None:
    """Committed, and the state never heard of it: the next hour proves that it continues what was published."""
    roll(rolled, 1)
    rolled.run(lambda connection: roll_up(connection, SIGNER, rolled.state, 2))
    published = rolled.state.last(ROLLUP_ORIGIN)
    assert published is not None
    assert published.size == 1
    assert roll(rolled, 3)
    assert size(rolled) == 3


def test_a_roll_up_that_was_cut_back_is_not_signed(rolled: Journal) -> None:
    roll(rolled, 1)
    before = rolled.state.last(ROLLUP_ORIGIN)
    assert before is not None
    rolled.state.publish([Checkpoint(ROLLUP_ORIGIN, 2, bytes(32))])
    with pytest.raises(JournalRefused, match="1 leaves and 2 were published"):
        roll(rolled, 2)


def test_a_log_that_was_rewritten_with_its_key_and_its_state_contradicts_the_roll_up(rolled: Journal) -> None:
    """The roll-up is what witnesses vouch for: its leaf of the old tree stands, and the new tree is refused."""
    roll(rolled, 1)
    tamper(rolled, rewrite(0, rolled.signer))
    forged = parse_checkpoint(rolled.run(lambda connection: latest_checkpoint(connection, LOG))).checkpoint
    (rolled.directory / "journal-signer.json").unlink()
    published = parse_checkpoint(note(rolled)).checkpoint
    rolled.state.publish([forged, published])
    rolled.grow(1)
    with pytest.raises(JournalRefused, match="not the one that was published at size 2") as refused:
        roll(rolled, 2)
    assert refused.value.log == LOG


def test_a_log_that_is_shorter_than_its_leaf_is_refused(rolled: Journal) -> None:
    roll(rolled, 1)
    rolled.sql(*drop_triggers(rolled.dialect))
    longer = Checkpoint(ORIGIN, 9, bytes(32)).text
    rolled.run(lambda connection: connection.execute(update(tables.rollup), {"head": longer}))
    with pytest.raises(JournalRefused, match="at size 9"):
        roll(rolled, 2)


def test_a_leaf_that_is_no_head_is_refused(rolled: Journal) -> None:
    roll(rolled, 1)
    rolled.sql(*drop_triggers(rolled.dialect))
    rolled.run(lambda connection: connection.execute(update(tables.rollup), {"head": "x"}))
    with pytest.raises(JournalRefused, match="not a head"):
        roll(rolled, 2)
    with pytest.raises(NoteRefused):
        rolled.run(lambda connection: rolled_up_heads(connection, LOG))


def test_a_new_incarnation_of_a_log_does_not_continue_the_old_leaf(rolled: Journal) -> None:
    roll(rolled, 1)
    rolled.sql(*drop_triggers(rolled.dialect))
    other = Checkpoint("casework.test/journal~20261122201500/avec", 2, bytes(32))
    rolled.run(lambda connection: connection.execute(update(tables.rollup), {"head": other.text}))
    assert roll(rolled, 2)
    heads = rolled.run(lambda connection: rolled_up_heads(connection, LOG))
    assert [head.origin for head in heads] == [ORIGIN, other.origin]


def test_a_bundle_proves_the_newest_head_that_a_witness_has_seen(rolled: Journal, tmp_path: Path) -> None:
    roll(rolled, 1)
    line = cosign(parse_checkpoint(note(rolled)).checkpoint, WITNESS, 1_700_000_000)
    for _ in range(2):
        rolled.run(lambda connection: keep_cosignature(connection, 1, WITNESS.key, line))
    rolled.grow(1)
    roll(rolled, 2)
    assert rolled.run(lambda connection: cosigned_size(connection, WITNESS.key)) == 1
    other = VerificationKey("witness.example/x", WITNESS.key.public, SignatureType.COSIGNATURE)
    assert rolled.run(lambda connection: cosigned_size(connection, other)) == 0
    found = rolled.run(lambda connection: prove_rolled_up(connection, LOG))
    assert found is not None
    receipt = Receipt.parse(found.proof)
    parsed = parse_checkpoint(receipt.note)
    head = parsed.checkpoint
    assert verify_cosignature(parsed, WITNESS.key, verify) == 1_700_000_000
    verify_checkpoint(parsed, [SIGNER.key], verify)
    verify_inclusion(receipt.index, head.size, leaf_hash(found.leaf.encode()), receipt.proof, head.root)
    assert (parse_text(found.leaf).size, head.size) == (2, 1)
    # The verifier takes such a bundle.
    path = tmp_path / "bundle.zip"
    rolled.run(lambda connection: write_bundle(connection, LOG, path))
    assert verify_bundle(path, Trust(keys=(rolled.key,)), verify).verdict is Verdict.VALID


def test_without_a_witness_a_bundle_proves_the_newest_head(rolled: Journal) -> None:
    assert rolled.run(lambda connection: prove_rolled_up(connection, LOG)) is None
    roll(rolled, 1)
    assert rolled.run(lambda connection: prove_rolled_up(connection, OTHER)) is None
    rolled.grow(1)
    roll(rolled, 2)
    found = rolled.run(lambda connection: prove_rolled_up(connection, LOG))
    assert found is not None
    assert parse_text(found.leaf).size == 3
    assert Receipt.parse(found.proof).index == 1


def test_a_damaged_roll_up_proves_nothing_and_keeps_no_bundle_from_being_written(rolled: Journal) -> None:
    roll(rolled, 1)
    roll(rolled, 2)
    rolled.sql(*drop_triggers(rolled.dialect))
    of_rollup = tables.leaf.c.log == ROLLUP_LOG
    rolled.run(lambda connection: connection.execute(delete(tables.leaf).where(of_rollup)))
    assert rolled.run(lambda connection: prove_rolled_up(connection, LOG)) is None
    with pytest.raises(NothingPublished):
        rolled.run(lambda connection: note_at(connection, 9))


Act = Callable[[Connection], object]


def _of_rollup(table: Any, **values: Any) -> Act:
    return lambda connection: connection.execute(
        update(table).where(table.c.log == ROLLUP_LOG, table.c.idx == 0), values
    )


def _foreign_note(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint(ROLLUP_ORIGIN, 3, bytes(32)), [NoteSigner(ROLLUP_ORIGIN, Key(9))])
    table = tables.checkpoint
    connection.execute(update(table).where(table.c.log == ROLLUP_LOG, table.c.size == 3), {"note": note})


def _other_origin(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint("x.test", 3, bytes(32)), [NoteSigner("x.test", Key(7))])
    table = tables.checkpoint
    connection.execute(update(table).where(table.c.log == ROLLUP_LOG, table.c.size == 3), {"note": note})


def _other_root(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint(ROLLUP_ORIGIN, 3, bytes(32)), [SIGNER])
    table = tables.checkpoint
    connection.execute(update(table).where(table.c.log == ROLLUP_LOG, table.c.size == 3), {"note": note})


def _without_last_note(connection: Connection) -> None:
    table = tables.checkpoint
    connection.execute(delete(table).where(table.c.log == ROLLUP_LOG, table.c.size == 3))


def _note_beyond(connection: Connection) -> None:
    note = sign_checkpoint(Checkpoint(ROLLUP_ORIGIN, 4, bytes(32)), [SIGNER])
    connection.execute(insert(tables.checkpoint), {"log": ROLLUP_LOG, "size": 4, "note": note})


@pytest.mark.parametrize(
    "act",
    [
        lambda connection: connection.execute(
            update(tables.rollup).where(tables.rollup.c.idx == 1), {"head": "x"}
        ),
        lambda connection: connection.execute(delete(tables.rollup).where(tables.rollup.c.idx == 0)),
        lambda connection: connection.execute(delete(tables.rollup).where(tables.rollup.c.idx == 2)),
        _of_rollup(tables.leaf, hash=bytes(32)),
        _of_rollup(tables.subtree, hash=bytes(32)),
        lambda connection: connection.execute(
            update(tables.log).where(tables.log.c.log == ROLLUP_LOG), {"size": 4}
        ),
        _foreign_note,
        _other_origin,
        _other_root,
        _without_last_note,
        _note_beyond,
    ],
)
def test_what_somebody_changed_in_the_roll_up_is_found(rolled: Journal, act: Act) -> None:
    for hour in (1, 2, 3):
        roll(rolled, hour)
    check = rolled.run(lambda connection: verify_rollup(connection, SIGNER.key, None, verify))
    assert check == 3
    tamper(rolled, act)
    with pytest.raises(JournalRefused):
        rolled.run(lambda connection: verify_rollup(connection, SIGNER.key, None, verify))


@pytest.mark.parametrize(("published", "root"), [(2, bytes(32)), (4, bytes(32))])
def test_a_roll_up_that_is_not_what_was_published_is_found(
    rolled: Journal, published: int, root: bytes
) -> None:
    for hour in (1, 2, 3):
        roll(rolled, hour)
    head = Checkpoint(ROLLUP_ORIGIN, published, root)
    with pytest.raises(JournalRefused):
        rolled.run(lambda connection: verify_rollup(connection, SIGNER.key, head, verify))


def test_an_empty_roll_up_is_sound(journal: Journal) -> None:
    journal.run(lambda connection: open_log(connection, ROLLUP_LOG, ROLLUP_ORIGIN))
    assert journal.run(lambda connection: verify_rollup(connection, SIGNER.key, None, verify)) == 0


@pytest.mark.parametrize("table", ["audit_rollup", "audit_cosignature"])
def test_what_was_rolled_up_and_what_a_witness_signed_only_grows(rolled: Journal, table: str) -> None:
    roll(rolled, 1)
    rolled.run(lambda connection: keep_cosignature(connection, 1, WITNESS.key, "line\n"))
    statements = [
        f"UPDATE {table} SET {'hour' if table == 'audit_rollup' else 'size'} = 5",
        f"DELETE FROM {table}",
    ]
    if rolled.dialect == "postgresql":
        statements.append(f"TRUNCATE {table}")
    else:
        statements.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"):
            rolled.sql(statement)


@only_on("postgresql")
def test_an_organisation_reads_the_roll_up_and_no_head_but_its_own(rolled: Journal) -> None:
    roll(rolled, 1)
    rolled.run(
        lambda connection: keep_cosignature(connection, 1, WITNESS.key, "line\n"), "casework_integrator"
    )

    def seen(org: UUID) -> list[int]:
        def work(connection: Connection) -> list[int]:
            connection.execute(select(func.set_config("casework.org", org.hex, True)))
            counted = [
                select(func.count()).select_from(table).where(table.c.log == ROLLUP_LOG)
                for table in (tables.log, tables.leaf, tables.checkpoint)
            ]
            counted += [
                select(func.count()).select_from(table) for table in (tables.rollup, tables.cosignature)
            ]
            return [connection.execute(query).scalar_one() for query in counted]

        return rolled.run(work, "casework_app")

    assert seen(UUID(bytes=LOG)) == [1, 1, 1, 1, 1]
    assert seen(UUID(int=1)) == [1, 1, 1, 0, 1]
    for statement in (
        "INSERT INTO audit_rollup (idx, log, hour, head) VALUES (9, '', 0, '')",
        "INSERT INTO audit_cosignature (size, witness, line) VALUES (9, '', '')",
    ):
        with pytest.raises(DatabaseError, match="permission denied"):
            rolled.run(
                lambda connection, statement=statement: connection.exec_driver_sql(statement), "casework_app"
            )
    for role in ("casework_app", "casework_integrator"):
        for statement in ("UPDATE audit_rollup SET hour = 1", "DELETE FROM audit_cosignature"):
            with pytest.raises(DatabaseError, match="permission denied"):
                rolled.run(
                    lambda connection, statement=statement: connection.exec_driver_sql(statement), role
                )


@pytest.mark.parametrize("text", ["", "x", "a\n1\n", "a\n1\nx\n", Checkpoint("a", 1, bytes(32)).text[:-1]])
def test_what_is_no_head_is_not_read_as_one(text: str) -> None:
    with pytest.raises(NoteRefused):
        parse_text(text)
