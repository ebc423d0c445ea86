"""From when until when an account is on leave."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Moment

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("away_since", Moment, nullable=True))
    op.add_column("account", sa.Column("away_until", Moment, nullable=True))


def downgrade() -> None:
    op.drop_column("account", "away_until")
    op.drop_column("account", "away_since")
