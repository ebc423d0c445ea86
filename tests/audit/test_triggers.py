"""The append-only rule in the database, on both engines."""

import sqlite3

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from audit.triggers import changed_triggers, drop_triggers, trigger_names
from tests.audit.journal import Journal, rows

APPEND_ONLY = ("audit_entry", "audit_leaf", "audit_subject", "audit_subtree", "audit_checkpoint")


def refused(journal: Journal, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        journal.sql(statement)


def names_in_the_database(connection: Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'audit%'"
    return set(connection.execute(text(query)).scalars())


def test_the_triggers_that_are_listed_stand_in_the_database(journal: Journal) -> None:
    assert journal.run(names_in_the_database) == trigger_names(journal.dialect)
    journal.sql(*drop_triggers(journal.dialect))
    assert journal.run(names_in_the_database) == set()


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_is_integrated_is_neither_changed_nor_deleted(journal: Journal, table: str) -> None:
    journal.grow(2)
    before = journal.run(lambda connection: rows(connection, table))
    refused(journal, f"UPDATE {table} SET log = log")
    refused(journal, f"DELETE FROM {table}")
    if journal.dialect == "postgresql":
        refused(journal, f"TRUNCATE {table}")
    assert before
    assert journal.run(lambda connection: rows(connection, table)) == before


@pytest.mark.parametrize("table", [*APPEND_ONLY, "audit_log"])
def test_a_row_is_not_replaced_by_another(journal: Journal, table: str) -> None:
    journal.grow(2)
    copy = f"SELECT * FROM {table} LIMIT 1"
    if journal.dialect == "sqlite":
        refused(journal, f"INSERT OR REPLACE INTO {table} {copy}")
        # Without the pragma SQLite fires no delete trigger for the row that goes.
        connection = sqlite3.connect(journal.place)
        connection.execute("PRAGMA recursive_triggers=OFF")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(f"INSERT OR REPLACE INTO {table} {copy}")
        connection.close()
        return
    if table == "audit_log":
        upsert = "ON CONFLICT (log) DO UPDATE SET size = 0"
    else:
        upsert = f"ON CONFLICT ON CONSTRAINT pk_{table} DO UPDATE SET log = EXCLUDED.log"
    refused(journal, f"INSERT INTO {table} {copy} {upsert}")


def test_an_entry_is_not_replaced_by_way_of_its_id(journal: Journal) -> None:
    journal.grow(2)
    again = "SELECT log, 9, entry_id, time, action, outcome, actor, bytes FROM audit_entry WHERE idx = 0"
    if journal.dialect == "sqlite":
        refused(journal, f"INSERT OR REPLACE INTO audit_entry {again}")
    else:
        with pytest.raises(DatabaseError):
            journal.sql(f"INSERT INTO audit_entry {again}")


def test_a_log_only_grows(journal: Journal) -> None:
    journal.grow(2)
    for statement in (
        "UPDATE audit_log SET size = 1",
        "UPDATE audit_log SET origin = 'casework.test/other'",
        "DELETE FROM audit_log",
    ):
        refused(journal, statement)
    journal.sql("UPDATE audit_log SET size = 256, pruned = 256")
    refused(journal, "UPDATE audit_log SET pruned = 0")


def test_only_whole_bundles_below_the_size_are_pruned(journal: Journal) -> None:
    journal.grow(2)
    for pruned in (1, 256):
        with pytest.raises(DatabaseError, match="ck_audit_log_pruned"):
            journal.sql(f"UPDATE audit_log SET pruned = {pruned}")


def test_bytes_below_the_pruned_index_alone_may_go(journal: Journal) -> None:
    journal.grow(257)
    journal.sql("UPDATE audit_log SET pruned = 256")
    refused(journal, "DELETE FROM audit_entry WHERE idx = 256")
    refused(journal, "DELETE FROM audit_leaf WHERE idx = 0")
    refused(journal, "UPDATE audit_entry SET action = 'x' WHERE idx = 0")
    journal.sql("DELETE FROM audit_entry WHERE idx < 256", "DELETE FROM audit_subject WHERE idx < 256")
    left = journal.run(lambda connection: [row.idx for row in rows(connection, "audit_entry")])
    assert left == [256]


def test_the_inbox_is_outside_the_rule(journal: Journal) -> None:
    journal.write(journal.next_entry())
    journal.sql("DELETE FROM audit_inbox")
    assert journal.integrate() == []


def test_triggers_that_are_gone_or_not_ours_are_named(journal: Journal) -> None:
    assert journal.run(changed_triggers) == []
    if journal.dialect == "sqlite":
        foreign = "CREATE TRIGGER audit_listener AFTER INSERT ON audit_entry BEGIN SELECT 1; END"
        gone = "DROP TRIGGER audit_leaf_no_delete"
    else:
        foreign = (
            "CREATE TRIGGER audit_listener BEFORE UPDATE ON audit_entry"
            " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        )
        gone = "DROP TRIGGER audit_leaf_no_change ON audit_leaf"
    journal.sql(foreign)
    assert journal.run(changed_triggers) == ["audit_listener"]
    journal.sql(gone)
    assert journal.run(changed_triggers) == [gone.split()[2], "audit_listener"]


def test_a_trigger_that_was_switched_off_or_emptied_is_named(journal: Journal) -> None:
    if journal.dialect == "sqlite":
        journal.sql(
            "DROP TRIGGER audit_leaf_no_delete",
            "CREATE TRIGGER audit_leaf_no_delete BEFORE DELETE ON audit_leaf BEGIN SELECT 1; END",
        )
        assert journal.run(changed_triggers) == ["audit_leaf_no_delete"]
    else:
        journal.sql("ALTER TABLE audit_leaf DISABLE TRIGGER audit_leaf_no_change")
        assert journal.run(changed_triggers) == ["audit_leaf_no_change"]
