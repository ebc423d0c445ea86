"""Which pepper seals an account's keys once more, until their owner signs in."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("outer_pepper_id", sa.LargeBinary(16), nullable=True))


def downgrade() -> None:
    op.drop_column("account", "outer_pepper_id")
