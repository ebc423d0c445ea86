"""A search, and whatever else goes through one group of every case, finds those rows without the other seven."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_case_group_compartment", "case_group", ["org_id", "compartment", "case_id"])


def downgrade() -> None:
    op.drop_index("ix_case_group_compartment", "case_group")
