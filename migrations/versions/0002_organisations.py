"""Organisations, their keys, partners and teams; accounts and memberships."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "deployment",
    "organisation",
    "account",
    "drop_key",
    "kek_recovery",
    "key_directory",
    "partner",
    "team",
    "key_grant",
    "membership",
    "idempotency",
    "team_member",
)


def upgrade() -> None:
    _deployment()
    _organisation()
    _account()
    _drop_key()
    _kek_recovery()
    _key_directory()
    _partner()
    _team()
    _key_grant()
    _membership()
    _idempotency()
    _team_member()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _deployment() -> None:
    op.create_table(
        "deployment",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_deployment_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )


def _organisation() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", Id, nullable=False),
        sa.Column("slug", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("root_fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("journal_key", sa.String(400), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("slug", name=op.f("uq_organisation_slug")),
    )


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("login", sa.String(100), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("auth_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("kdf_salt", sa.LargeBinary(16), nullable=False),
        sa.Column("kdf_memory_kib", sa.Integer, nullable=False),
        sa.Column("kdf_time", sa.Integer, nullable=False),
        sa.Column("kdf_parallelism", sa.Integer, nullable=False),
        sa.Column("pepper_id", sa.LargeBinary(16), nullable=False),
        sa.Column("totp_seed", SealedBytes, nullable=False),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_account_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )


def _drop_key() -> None:
    op.create_table(
        "drop_key",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("kek_no", sa.Integer, nullable=False),
        sa.Column("public", sa.LargeBinary(32), nullable=False),
        sa.Column("private", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_drop_key_org_id")),
        sa.PrimaryKeyConstraint("org_id", "compartment", "number", name=op.f("pk_drop_key")),
    )


def _kek_recovery() -> None:
    op.create_table(
        "kek_recovery",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("kek_no", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_kek_recovery_org_id")),
        sa.PrimaryKeyConstraint("org_id", "compartment", "kek_no", name=op.f("pk_kek_recovery")),
    )


def _key_directory() -> None:
    op.create_table(
        "key_directory",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_key_directory_org_id")),
        sa.PrimaryKeyConstraint("org_id", "epoch", name=op.f("pk_key_directory")),
    )


def _partner() -> None:
    op.create_table(
        "partner",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("partner_id", Id, nullable=False),
        sa.Column("slug", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("root_fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("head", sa.LargeBinary(32), nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
        sa.Column("valid_until", Moment, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_partner_org_id")),
        sa.PrimaryKeyConstraint("org_id", "partner_id", name=op.f("pk_partner")),
    )
    op.create_index("ix_partner_slug", "partner", ["org_id", "slug"], unique=True)


def _team() -> None:
    op.create_table(
        "team",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_team_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_team")),
    )


def _key_grant() -> None:
    op.create_table(
        "key_grant",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("kek_no", sa.Integer, nullable=False),
        sa.Column("sealed", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "epoch"],
            ["key_directory.org_id", "key_directory.epoch"],
            name=op.f("fk_key_grant_org_id_epoch"),
        ),
        sa.PrimaryKeyConstraint("org_id", "epoch", name=op.f("pk_key_grant")),
    )
    op.create_index("ix_key_grant_member", "key_grant", ["org_id", "member_id"], unique=False)


def _membership() -> None:
    op.create_table(
        "membership",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("professions", sa.String(100), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("daily_key", SealedBytes, nullable=False),
        sa.Column("signing_key", SealedBytes, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.CheckConstraint(
            "role IN ('worker', 'reception', 'supervisor', 'custodian', 'auditor', 'dpo')",
            name=op.f("ck_membership_role"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "account_id"],
            ["account.org_id", "account.id"],
            name=op.f("fk_membership_org_id_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_membership")),
    )
    op.create_index("ix_membership_account", "membership", ["org_id", "account_id"], unique=False)


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("route", sa.String(80), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("body_mac", sa.LargeBinary(32), nullable=False),
        sa.Column("resource_id", Id),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_idempotency_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "member_id", "route", "key", name=op.f("pk_idempotency")),
    )


def _team_member() -> None:
    op.create_table(
        "team_member",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_team_member_org_id_member_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"], ["team.org_id", "team.id"], name=op.f("fk_team_member_org_id_team_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "team_id", "member_id", name=op.f("pk_team_member")),
    )
    op.create_index("ix_team_member_member", "team_member", ["org_id", "member_id", "team_id"], unique=False)
