"""Retention: how long each organisation keeps its journal, and on PostgreSQL the pruner's role and rights."""

from alembic import op

from audit.privileges import PRUNER_ROLE, create_roles, grant_pruning, revoke_pruning

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


# In place: SQLite's way of copying a table drops the old one, to which the rows of a filled database refer.
_ADD = (
    "ALTER TABLE organisation ADD COLUMN journal_months SMALLINT DEFAULT 12 NOT NULL"
    " CONSTRAINT ck_organisation_journal_months CHECK (journal_months BETWEEN 6 AND 36)"
)


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_ADD)
    _each(*create_roles([PRUNER_ROLE]), *grant_pruning())


def downgrade() -> None:
    _each(*revoke_pruning())
    op.drop_column("organisation", "journal_months")


def _each(*statements: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for statement in statements:
            bind.exec_driver_sql(statement)
