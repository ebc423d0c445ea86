"""The rules that were proposed in an organisation; which of them are in force, its signed directory says."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"


def upgrade() -> None:
    op.create_table(
        "policy_set",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("phrases", sa.LargeBinary(), nullable=False),
        sa.Column("effective_at", Moment, nullable=False),
        sa.Column("proposed_at", Moment, nullable=False),
        sa.Column("proposed_by", Id, nullable=True),
        sa.Column("ended", sa.String(10), nullable=True),
        sa.Column("ended_at", Moment, nullable=True),
        sa.Column("ended_by", Id, nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_policy_set_org_id")),
        sa.ForeignKeyConstraint(
            ["org_id", "proposed_by"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_policy_set_org_id_proposed_by"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_policy_set")),
    )
    op.create_index("ix_policy_set_number", "policy_set", ["org_id", "number"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in (
            "ALTER TABLE policy_set ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON policy_set TO casework_app"
            f" USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
            # What was proposed stays what it was; that it was refused or withdrawn is added to it.
            "GRANT SELECT, INSERT ON policy_set TO casework_app",
            "GRANT UPDATE (ended, ended_at, ended_by) ON policy_set TO casework_app",
        ):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("policy_set")
