"""Revision 0001 is what `audit.tables` says, and leaves nothing behind."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from audit.tables import metadata
from casework.schema import downgrade, upgrade
from tests.audit.journal import Journal


def differences(connection: Connection) -> list[object]:
    def only_the_journal(
        _object: object, name: str | None, kind: str, _reflected: object, _compared: object
    ) -> bool:
        return kind != "table" or name in metadata.tables

    options = {"compare_type": True, "include_object": only_the_journal}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_the_migrated_tables_are_those_of_the_code(journal: Journal) -> None:
    assert journal.run(differences) == []


def test_the_history_goes_down_to_nothing_and_up_again(journal: Journal) -> None:
    journal.run(lambda connection: downgrade(connection, "base"))
    left = journal.run(lambda connection: set(inspect(connection).get_table_names()))
    assert not left & metadata.tables.keys()
    # On PostgreSQL the copy of the template belongs to the superuser, and so does its schema.
    journal.run(upgrade, "postgres")
    assert journal.run(differences, "postgres") == []
