"""Relation flags: marks of each case, tokens of members' declarations, the key of both; behind the same wall."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
_TABLES = ("case_relation", "declaration", "relation_key")


def upgrade() -> None:
    op.add_column("case_group", sa.Column("related", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "case_relation",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("of_group", sa.String(20), nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_case_relation_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("of_group IN ('identity', 'contact')", name=op.f("ck_case_relation_of_group")),
        sa.PrimaryKeyConstraint("org_id", "case_id", "of_group", name=op.f("pk_case_relation")),
    )
    op.create_table(
        "declaration",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("declared_at", Moment, nullable=False),
        sa.Column("tokens", SealedBytes),
        sa.Column("waiting", SealedBytes),
        sa.ForeignKeyConstraint(
            ["org_id", "account_id"],
            ["account.org_id", "account.id"],
            name=op.f("fk_declaration_org_id_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "account_id", name=op.f("pk_declaration")),
    )
    op.create_table(
        "relation_key",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("wrapped", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_relation_key_org_id")),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_relation_key")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant ON {table} TO casework_app "
                f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
                # Nothing is deleted but with its case.
                f"GRANT SELECT, INSERT, UPDATE ON {table} TO casework_app",
            ):
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("case_group", "related")
