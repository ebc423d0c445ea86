"""What the service, the integrator and an auditor may do on PostgreSQL; the pruner: test_pruning."""

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


# Whoever makes it first: the roles are the cluster's, and tests run beside each other.
_MAKE = """DO $$ BEGIN CREATE ROLE casework_auditor_{name} LOGIN IN ROLE casework_auditor;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""


def auditor(journal: Journal, name: str) -> str:
    """The login of an auditor: its name says whose log it reads."""
    journal.place[0].sql(_MAKE.format(name=name))
    return f"casework_auditor_{name}"


def seen_by(journal: Journal, login: str, *before: str) -> list[int]:
    def work(connection: Connection) -> list[int]:
        for statement in before:
            connection.execute(text(statement))
        return [len(rows(connection, table)) for table in VISIBLE[:-1]]

    return journal.run(work, login)


def test_an_auditors_login_reads_the_log_that_its_name_says_and_no_other(journal: Journal) -> None:
    journal.grow(2)
    assert seen_by(journal, auditor(journal, LOG.hex())) == [1, 2, 2, 2, 1, 1]
    for other in (UUID(int=1).hex, "0" * 32, "x", LOG.hex()[:30]):
        assert seen_by(journal, auditor(journal, other)) == [0] * 6, other


def test_a_changed_setting_or_role_gives_an_auditor_no_other_log(journal: Journal) -> None:
    journal.grow(2)
    stranger = auditor(journal, UUID(int=1).hex)
    auditor(journal, LOG.hex())
    attempts = (f"SELECT set_config('casework.org', '{LOG.hex()}', true)", "SET ROLE casework_auditor")
    assert seen_by(journal, stranger, *attempts) == [0] * 6
    for refused in (
        f"SET ROLE casework_auditor_{LOG.hex()}",
        f"SET SESSION AUTHORIZATION casework_auditor_{LOG.hex()}",
        "SET ROLE casework_integrator",
    ):
        with pytest.raises(DatabaseError, match="permission denied"):
            seen_by(journal, stranger, refused)


def test_an_auditors_login_reads_nothing_but_logs_and_writes_nothing(journal: Journal) -> None:
    login = auditor(journal, LOG.hex())
    statements = [f"DELETE FROM {table}" for table in (*VISIBLE, "audit_inbox")]
    statements += [f"UPDATE {table} SET log = log" for table in (*VISIBLE, "audit_inbox")]
    statements += ["INSERT INTO audit_inbox (log, entry) VALUES ('', '')"]
    statements += [
        f"SELECT count(*) FROM {table}" for table in ("audit_inbox", "audit_detail", "case_file", "account")
    ]
    statements += ["SELECT find_login('x')", "SELECT find_session('x')"]
    for statement in statements:
        with pytest.raises(DatabaseError, match="permission denied"):
            journal.run(lambda connection, statement=statement: connection.execute(text(statement)), login)
