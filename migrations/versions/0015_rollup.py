"""The roll-up log: which head each of its leaves is, and what witnesses signed of it."""

import sqlalchemy as sa
from alembic import op

from audit.privileges import grant_rollup_privileges, revoke_rollup_privileges
from audit.triggers import create_rollup_triggers, drop_rollup_triggers

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_rollup",
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("head", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_audit_rollup"),
    )
    op.create_index("ix_audit_rollup_log", "audit_rollup", ["log", "idx"])
    op.create_table(
        "audit_cosignature",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("witness", sa.String(400), primary_key=True),
        sa.Column("line", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name="pk_audit_cosignature"),
    )
    dialect = op.get_bind().dialect.name
    statements = create_rollup_triggers(dialect)
    if dialect == "postgresql":
        statements += grant_rollup_privileges()
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    statements = drop_rollup_triggers(dialect)
    if dialect == "postgresql":
        statements += revoke_rollup_privileges()
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
    op.drop_table("audit_cosignature")
    op.drop_table("audit_rollup")
