"""Retention: how long each organisation keeps its journal, and on PostgreSQL the pruner's role and rights."""

import sqlalchemy as sa
from alembic import op

from audit.privileges import PRUNER_ROLE, create_roles, grant_pruning, revoke_pruning

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("organisation") as batch:
        batch.add_column(sa.Column("journal_months", sa.SmallInteger, nullable=False, server_default="12"))
        batch.create_check_constraint(
            op.f("ck_organisation_journal_months"), "journal_months BETWEEN 6 AND 36"
        )
    _each(*create_roles([PRUNER_ROLE]), *grant_pruning())


def downgrade() -> None:
    _each(*revoke_pruning())
    with op.batch_alter_table("organisation") as batch:
        batch.drop_constraint(op.f("ck_organisation_journal_months"), type_="check")
        batch.drop_column("journal_months")


def _each(*statements: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for statement in statements:
            bind.exec_driver_sql(statement)
