"""What the two roles may do on PostgreSQL."""

from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from audit.integrator import integrate
from audit.log import find_entry, record, sealed_detail
from tests.audit.journal import LOG, Journal, rows

VISIBLE = (
    "audit_log",
    "audit_leaf",
    "audit_entry",
    "audit_subject",
    "audit_subtree",
    "audit_checkpoint",
    "audit_detail",
)
SET = text("SELECT set_config('casework.org', :org, true)")


@pytest.fixture
def engine_name() -> str:
    """Roles exist on PostgreSQL alone."""
    return "postgresql"


def test_the_app_role_reads_the_log_of_its_organisation_alone(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.run(lambda connection: record(connection, LOG, entry, b"sealed"), "casework_app")
    journal.grow(2)

    def seen(org: str | None) -> list[int]:
        def work(connection: Connection) -> list[int]:
            if org is not None:
                connection.execute(SET, {"org": org})
            return [len(rows(connection, table)) for table in VISIBLE]

        return journal.run(work, "casework_app")

    assert seen(LOG.hex()) == [1, 3, 3, 3, 1, 1, 1]
    assert seen(str(UUID(bytes=LOG))) == [1, 3, 3, 3, 1, 1, 1]
    for other in (UUID(int=1).hex, "", None):
        assert seen(other) == [0] * 7


def test_the_app_role_puts_entries_in_and_reads_them_once_integrated(journal: Journal) -> None:
    entry = journal.next_entry()
    journal.run(lambda connection: record(connection, LOG, entry, b"sealed"), "casework_app")
    signers = {LOG: [journal.signer]}
    journal.run(lambda connection: integrate(connection, signers, journal.state), "casework_integrator")

    def read(connection: Connection) -> bytes | None:
        connection.execute(SET, {"org": LOG.hex()})
        assert find_entry(connection, LOG, entry.id).entry == entry
        return sealed_detail(connection, LOG, entry.id)

    assert journal.run(read, "casework_app") == b"sealed"


@pytest.mark.parametrize("table", [*VISIBLE, "audit_inbox"])
@pytest.mark.parametrize("role", ["casework_app", "casework_integrator"])
def test_no_role_changes_or_deletes_what_is_integrated(journal: Journal, role: str, table: str) -> None:
    statements = [f"UPDATE {table} SET log = log", f"TRUNCATE {table}"]
    if (role, table) != ("casework_integrator", "audit_inbox"):
        statements.append(f"DELETE FROM {table}")
    for statement in statements:
        with pytest.raises(DatabaseError, match="permission denied"):
            journal.run(lambda connection, statement=statement: connection.execute(text(statement)), role)


def test_the_app_role_sees_no_inbox_and_integrates_nothing(journal: Journal) -> None:
    for statement in (
        "SELECT * FROM audit_inbox",
        "INSERT INTO audit_leaf (log, idx, hash) VALUES ('', 0, '')",
        "INSERT INTO audit_log (log, origin, size, pruned) VALUES ('', 'x', 0, 0)",
    ):
        with pytest.raises(DatabaseError, match="permission denied"):
            journal.run(
                lambda connection, statement=statement: connection.execute(text(statement)), "casework_app"
            )
