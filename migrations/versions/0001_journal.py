"""The journal: its tables, its triggers, and on PostgreSQL its roles and row-level security."""

import sqlalchemy as sa
from alembic import op

from audit.privileges import create_roles, grant_privileges
from audit.triggers import create_triggers, drop_first_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _create_tables()
    statements = create_triggers(dialect)
    if dialect == "postgresql":
        statements += create_roles() + grant_privileges()
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    # The roles stay: they belong to the cluster, and another database of it may use them.
    for statement in drop_first_triggers(op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
    for table in (
        "audit_detail",
        "audit_checkpoint",
        "audit_subtree",
        "audit_subject",
        "audit_entry",
        "audit_leaf",
        "audit_log",
        "audit_inbox",
    ):
        op.drop_table(table)


def _log(*, primary_key: bool = True) -> sa.Column[bytes]:
    return sa.Column("log", sa.LargeBinary(16), primary_key=primary_key, nullable=False)


def _index() -> sa.Column[int]:
    return sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False)


def _create_tables() -> None:
    op.create_table(
        "audit_inbox",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.Identity(always=True),
            primary_key=True,
        ),
        _log(primary_key=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_inbox"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_log",
        _log(),
        sa.Column("origin", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("pruned", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_audit_log"),
        sa.UniqueConstraint("origin", name="uq_audit_log_origin"),
        # op.f: the name is complete, the convention is not applied to it again.
        sa.CheckConstraint(
            "pruned >= 0 AND pruned <= size AND pruned % 256 = 0", name=op.f("ck_audit_log_pruned")
        ),
    )
    op.create_table(
        "audit_leaf",
        _log(),
        _index(),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("log", "idx", name="pk_audit_leaf"),
    )
    op.create_table(
        "audit_entry",
        _log(),
        _index(),
        sa.Column("entry_id", sa.String(36), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(7), nullable=False),
        sa.Column("actor", sa.String(36)),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "idx", name="pk_audit_entry"),
        sa.UniqueConstraint("log", "entry_id", name="uq_audit_entry_entry_id"),
    )
    op.create_index("ix_audit_entry_time", "audit_entry", ["log", "time"])
    op.create_index("ix_audit_entry_actor", "audit_entry", ["log", "actor", "idx"])
    op.create_index("ix_audit_entry_action", "audit_entry", ["log", "action", "idx"])
    op.create_table(
        "audit_subject",
        _log(),
        sa.Column("pseudonym", sa.LargeBinary(32), primary_key=True),
        _index(),
        sa.PrimaryKeyConstraint("log", "pseudonym", "idx", name="pk_audit_subject"),
    )
    op.create_index("ix_audit_subject_idx", "audit_subject", ["log", "idx"])
    op.create_table(
        "audit_subtree",
        _log(),
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        _index(),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "idx", name="pk_audit_subtree"),
    )
    op.create_table(
        "audit_checkpoint",
        _log(),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name="pk_audit_checkpoint"),
    )
    op.create_table(
        "audit_detail",
        _log(),
        sa.Column("entry_id", sa.String(36), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "entry_id", name="pk_audit_detail"),
    )
