"""Counters of tries, beside the sessions: unlogged on PostgreSQL, in the sessions file on SQLite."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "attempt",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("subject", sa.LargeBinary(32)),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("told_to", sa.LargeBinary(16), nullable=False),
        sa.Column("member_id", Id),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("blocked_until", Moment),
        sa.Column("forget_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempt"),
        schema="sessions",
        prefixes=["UNLOGGED"] if on_postgresql else [],
        # On SQLite the file outlives a database that is restored to an older revision.
        if_not_exists=True,
    )
    if on_postgresql:
        # Without a wall: a try has no organisation before its login is known, and the row names nobody.
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON sessions.attempt TO casework_app")


def downgrade() -> None:
    op.drop_table("attempt", schema="sessions")
