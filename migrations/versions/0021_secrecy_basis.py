"""On what a person's professional secrecy rests; nobody has said it yet of who is there."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# In place: SQLite's way of copying a table drops the old one, to which the rows of a filled database refer.
_ADD = (
    "ALTER TABLE account ADD COLUMN secrecy_basis VARCHAR(10)"
    " CONSTRAINT ck_account_secrecy_basis CHECK (secrecy_basis IN ('profession', 'mission', 'contract'))"
)


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_ADD)


def downgrade() -> None:
    op.drop_column("account", "secrecy_basis")
