"""The texts of an organisation's charter; which one is in force, its signed directory says."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"


def upgrade() -> None:
    op.create_table(
        "charter",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_charter_org_id")),
        sa.PrimaryKeyConstraint("org_id", "version", name=op.f("pk_charter")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in (
            "ALTER TABLE charter ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON charter TO casework_app USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
            # A text that was in force stays what it was.
            "GRANT SELECT, INSERT ON charter TO casework_app",
        ):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("charter")
