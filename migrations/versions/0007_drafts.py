"""Drafts, behind the same wall as every tenant's table."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
_WALL = (
    "ALTER TABLE draft ENABLE ROW LEVEL SECURITY",
    f"CREATE POLICY tenant ON draft TO casework_app USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON draft TO casework_app",
)


def upgrade() -> None:
    op.create_table(
        "draft",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("saved_at", Moment, nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_draft_org_id_member_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_draft_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_draft")),
    )
    op.create_index("ix_draft_member", "draft", ["org_id", "member_id", "case_id"])
    op.create_index("ix_draft_case", "draft", ["org_id", "case_id"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in _WALL:
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("draft")
