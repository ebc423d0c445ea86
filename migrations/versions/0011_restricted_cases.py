"""Restricted cases and member-only notes, behind the same wall as every tenant's table."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
# A note is never deleted by the service but with its case.
_RIGHTS = {
    "named_seal": "SELECT, INSERT, UPDATE, DELETE",
    "named_recovery": "SELECT, INSERT, UPDATE, DELETE",
    "member_note": "SELECT, INSERT, UPDATE",
}


def _of_a_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["org_id", "case_id"],
        ["case_file.org_id", "case_file.id"],
        name=op.f(f"fk_{table}_org_id_case_id"),
        ondelete="CASCADE",
    )


def _of_a_member(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["org_id", column],
        ["membership.org_id", "membership.id"],
        name=op.f(f"fk_{table}_org_id_{column}"),
    )


def upgrade() -> None:
    op.add_column("case_group", sa.Column("half", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "named_seal",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        _of_a_case("named_seal"),
        _of_a_member("named_seal", "member_id"),
        sa.PrimaryKeyConstraint("org_id", "case_id", "member_id", name=op.f("pk_named_seal")),
    )
    op.create_index("ix_named_seal_member", "named_seal", ["org_id", "member_id", "case_id"])
    op.create_table(
        "named_recovery",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        _of_a_case("named_recovery"),
        sa.PrimaryKeyConstraint("org_id", "case_id", name=op.f("pk_named_recovery")),
    )
    op.create_table(
        "member_note",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("author_id", Id, nullable=False),
        sa.Column("written_at", Moment, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("frame", SealedBytes, nullable=False),
        _of_a_case("member_note"),
        _of_a_member("member_note", "author_id"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_member_note")),
    )
    op.create_index("ix_member_note_case", "member_note", ["org_id", "case_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        for table, rights in _RIGHTS.items():
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant ON {table} TO casework_app "
                f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
                f"GRANT {rights} ON {table} TO casework_app",
            ):
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for table in _RIGHTS:
        op.drop_table(table)
    op.drop_column("case_group", "half")
