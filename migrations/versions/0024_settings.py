"""An organisation's opening hours, closed days and managed networks, behind the same wall."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
_OF_SETTINGS = ("opening_hours", "closed_day", "managed_network")


def upgrade() -> None:
    op.create_table(
        "org_settings",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_org_settings_org_id")),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_org_settings")),
    )
    op.create_table(
        "opening_hours",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("weekday", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("opens", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("closes", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["org_settings.org_id"], name=op.f("fk_opening_hours_org_id")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_opening_hours_weekday")),
        sa.CheckConstraint(
            "0 <= opens AND opens < closes AND closes <= 1440", name=op.f("ck_opening_hours_minutes")
        ),
        sa.PrimaryKeyConstraint("org_id", "weekday", "opens", name=op.f("pk_opening_hours")),
    )
    op.create_table(
        "closed_day",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["org_settings.org_id"], name=op.f("fk_closed_day_org_id")),
        sa.PrimaryKeyConstraint("org_id", "day", name=op.f("pk_closed_day")),
    )
    op.create_table(
        "managed_network",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("first", sa.LargeBinary(16), nullable=False),
        sa.Column("last", sa.LargeBinary(16), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["org_settings.org_id"], name=op.f("fk_managed_network_org_id")),
        sa.PrimaryKeyConstraint("org_id", "first", "last", name=op.f("pk_managed_network")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("org_settings", *_OF_SETTINGS):
            rights = "SELECT, INSERT, UPDATE" if table == "org_settings" else "SELECT, INSERT, DELETE"
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant ON {table} TO casework_app "
                f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
                f"GRANT {rights} ON {table} TO casework_app",
            ):
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for table in (*_OF_SETTINGS, "org_settings"):
        op.drop_table(table)
