"""Of a request for erasure, what says under the pepper that it was prepared or approved as the row has it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("erasure", sa.Column("proof", sa.LargeBinary(32)))


def downgrade() -> None:
    op.drop_column("erasure", "proof")
