"""Reviews of journal entries, assignments that ended, and a whole index of who stands in an entry."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
# What was reviewed stays so, and a past assignment too: neither is changed.
_TABLES = ("review", "past_assignment")


def upgrade() -> None:
    op.drop_index("ix_audit_subject_idx", "audit_subject")
    op.create_index("ix_audit_subject_idx", "audit_subject", ["log", "idx", "pseudonym"])
    op.create_table(
        "past_assignment",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_past_assignment_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_past_assignment_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "case_id", "member_id", "since", name=op.f("pk_past_assignment")),
    )
    op.create_table(
        "review",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("entry_id", Id, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("reviewed_by", Id, nullable=False),
        sa.Column("reviewed_at", Moment, nullable=False),
        sa.Column("note", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_review_org_id")),
        sa.ForeignKeyConstraint(
            ["org_id", "reviewed_by"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_review_org_id_reviewed_by"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_review")),
    )
    op.create_index("ix_review_entry", "review", ["org_id", "entry_id"])
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant ON {table} TO casework_app "
                f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
                f"GRANT SELECT, INSERT ON {table} TO casework_app",
            ):
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("review")
    op.drop_table("past_assignment")
    op.drop_index("ix_audit_subject_idx", "audit_subject")
    op.create_index("ix_audit_subject_idx", "audit_subject", ["log", "idx"])
