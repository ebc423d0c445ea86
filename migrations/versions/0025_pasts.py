"""Teams have a past and an end, of their members and of their cases, and what ended says why."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
_REASONS = "reason IN ('unassigned', 'reassigned', 'restricted', 'recovered', 'team_closed')"
# A team that had a case, or a member, before this: since the case or the organisation began.
_BEGINNINGS = {
    "case_team": "UPDATE case_team SET since = "
    "(SELECT created_at FROM case_file AS f WHERE f.org_id = case_team.org_id AND f.id = case_team.case_id)",
    "team_member": "UPDATE team_member SET since = "
    "(SELECT created_at FROM organisation AS o WHERE o.id = team_member.org_id)",
}


def upgrade() -> None:
    with op.batch_alter_table("past_assignment") as batch:
        batch.add_column(sa.Column("reason", sa.String(20), nullable=False, server_default="unassigned"))
        batch.create_check_constraint(op.f("ck_past_assignment_reason"), _REASONS)
    op.add_column("team", sa.Column("closed_at", Moment, nullable=True))
    for table, beginning in _BEGINNINGS.items():
        op.add_column(table, sa.Column("since", Moment, nullable=True))
        op.execute(beginning)
        with op.batch_alter_table(table) as batch:
            batch.alter_column("since", existing_type=Moment(), nullable=False)
    op.create_table(
        "past_case_team",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_past_case_team_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"], ["team.org_id", "team.id"], name=op.f("fk_past_case_team_org_id_team_id")
        ),
        sa.CheckConstraint(_REASONS, name=op.f("ck_past_case_team_reason")),
        sa.PrimaryKeyConstraint("org_id", "case_id", "team_id", "since", name=op.f("pk_past_case_team")),
    )
    op.create_table(
        "past_team_member",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"], ["team.org_id", "team.id"], name=op.f("fk_past_team_member_org_id_team_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_past_team_member_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "team_id", "member_id", "since", name=op.f("pk_past_team_member")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("past_case_team", "past_team_member"):
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant ON {table} TO casework_app "
                f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
                # What ended is never changed.
                f"GRANT SELECT, INSERT ON {table} TO casework_app",
            ):
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("past_team_member")
    op.drop_table("past_case_team")
    op.drop_column("team", "closed_at")
    for table in _BEGINNINGS:
        with op.batch_alter_table(table) as batch:
            batch.drop_column("since")
    with op.batch_alter_table("past_assignment") as batch:
        batch.drop_constraint(op.f("ck_past_assignment_reason"), type_="check")
        batch.drop_column("reason")
