"""Renewals of keys and second factors, behind the same wall as every tenant's table."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"


def _wall(table: str) -> tuple[str, ...]:
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} TO casework_app USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO casework_app",
    )


def upgrade() -> None:
    op.create_table(
        "renewal",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("started_by", Id, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("taken_up_at", Moment),
        sa.Column("auth_hash", sa.LargeBinary(32)),
        sa.Column("kdf_salt", sa.LargeBinary(16)),
        sa.Column("kdf_memory_kib", sa.Integer()),
        sa.Column("kdf_time", sa.Integer()),
        sa.Column("kdf_parallelism", sa.Integer()),
        sa.Column("pepper_id", sa.LargeBinary(16)),
        sa.Column("totp_seed", SealedBytes),
        sa.CheckConstraint("kind IN ('reset', 'factor', 'rotation')", name=op.f("ck_renewal_kind")),
        sa.ForeignKeyConstraint(
            ["org_id", "account_id"],
            ["account.org_id", "account.id"],
            name=op.f("fk_renewal_org_id_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "started_by"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_renewal_org_id_started_by"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_renewal")),
    )
    op.create_index("ix_renewal_account", "renewal", ["org_id", "account_id"], unique=True)
    op.create_table(
        "renewed_key",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("renewal_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("daily_public", sa.LargeBinary(32), nullable=False),
        sa.Column("signing_public", sa.LargeBinary(32), nullable=False),
        sa.Column("daily_key", SealedBytes, nullable=False),
        sa.Column("signing_key", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "renewal_id"],
            ["renewal.org_id", "renewal.id"],
            name=op.f("fk_renewed_key_org_id_renewal_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_renewed_key_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "renewal_id", "member_id", name=op.f("pk_renewed_key")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in (*_wall("renewal"), *_wall("renewed_key")):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_table("renewed_key")
    op.drop_table("renewal")
