"""Accounts, memberships, sessions and the memory of requests already carried out."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from casework.column_types import SEALED_TO, Id, Moment, SealedBytes
from casework.database import NAMING_CONVENTION, metadata

# One login of one organisation. A person of two organisations has two, kept apart.
account = Table(
    "account",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("login", String(100), nullable=False, unique=True),
    Column("active", Boolean(create_constraint=False), nullable=False),
    # 32 bytes, and 46 more where a second pepper seals them.
    Column("auth_hash", LargeBinary(78), nullable=False),
    Column("kdf_salt", LargeBinary(16), nullable=False),
    Column("kdf_memory_kib", Integer, nullable=False),
    Column("kdf_time", Integer, nullable=False),
    Column("kdf_parallelism", Integer, nullable=False),
    Column("pepper_id", LargeBinary(16), nullable=False),
    # The pepper that seals hash and keys once more, until their owner signs in (casework.identity.wrapping).
    Column("outer_pepper_id", LargeBinary(16), nullable=True),
    Column("totp_seed", SealedBytes, nullable=False),
    # The last time step accepted: a code is good once.
    Column("totp_step", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    # On what her professional secrecy rests; None while nobody has recorded it.
    Column("secrecy_basis", String(10), nullable=True),
    # Her leave: until when she cannot act from when on. Both or neither; it is over by itself.
    Column("away_since", Moment, nullable=True),
    Column("away_until", Moment, nullable=True),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    CheckConstraint("secrecy_basis IN ('profession', 'mission', 'contract')", name="secrecy_basis"),
)

# A membership is a person, an organisation and one role; its keys are the member's keys.
membership = Table(
    "membership",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("role", String(20), nullable=False),
    # Sorted, comma-separated; a closed vocabulary of a few words.
    Column("professions", String(100), nullable=False),
    Column("active", Boolean(create_constraint=False), nullable=False),
    Column("daily_key", SealedBytes, nullable=False),
    Column("signing_key", SealedBytes, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "account_id"], ["account.org_id", "account.id"]),
    CheckConstraint(
        "role IN ('worker', 'reception', 'supervisor', 'custodian', 'auditor', 'dpo')", name="role"
    ),
    Index("ix_membership_account", "org_id", "account_id"),
)

# What a member declared about herself: tokens for the auditor alone; until a holder of `index` made them, what they
# are made of. Nobody keeps what she wrote.
declaration = Table(
    "declaration",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("account_id", Id, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("tokens", SealedBytes, nullable=True, info={SEALED_TO: "journal"}),
    Column("waiting", SealedBytes, nullable=True, info={SEALED_TO: "index"}),
    ForeignKeyConstraint(["org_id", "account_id"], ["account.org_id", "account.id"]),
)

# New keys or a new second factor of an account, until somebody who heard eight words confirms them.
renewal = Table(
    "renewal",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("started_by", Id, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # From here on: what the member has prepared.
    Column("taken_up_at", Moment, nullable=True),
    Column("auth_hash", LargeBinary(32), nullable=True),
    Column("kdf_salt", LargeBinary(16), nullable=True),
    Column("kdf_memory_kib", Integer, nullable=True),
    Column("kdf_time", Integer, nullable=True),
    Column("kdf_parallelism", Integer, nullable=True),
    Column("pepper_id", LargeBinary(16), nullable=True),
    Column("totp_seed", SealedBytes, nullable=True),
    ForeignKeyConstraint(["org_id", "account_id"], ["account.org_id", "account.id"]),
    ForeignKeyConstraint(["org_id", "started_by"], ["membership.org_id", "membership.id"]),
    CheckConstraint("kind IN ('reset', 'factor', 'rotation')", name="kind"),
    Index("ix_renewal_account", "org_id", "account_id", unique=True),
)

renewed_key = Table(
    "renewed_key",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("renewal_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("daily_public", LargeBinary(32), nullable=False),
    Column("signing_public", LargeBinary(32), nullable=False),
    Column("daily_key", SealedBytes, nullable=False),
    Column("signing_key", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "renewal_id"], ["renewal.org_id", "renewal.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
)

# What was already done under a client's key, never what it said: a replay rebuilds its answer.
idempotency = Table(
    "idempotency",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("route", String(80), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("body_mac", LargeBinary(32), nullable=False),
    Column("resource_id", Id, nullable=True),
    Column("status", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
)

# Sessions are in no backup: an UNLOGGED table of its own schema on PostgreSQL, a file of its own on SQLite.
sessions_metadata = MetaData(naming_convention=NAMING_CONVENTION, schema="sessions")

session = Table(
    "session",
    sessions_metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("org_id", Id, nullable=False),
    Column("account_id", Id, nullable=False),
    Column("member_id", Id, nullable=True),
    # The role asked for at sign-in, until a membership is chosen.
    Column("role", String(20), nullable=True),
    Column("keys", SealedBytes, nullable=False),
    Column("step_up_keys", SealedBytes, nullable=True),
    Column("step_up_until", Moment, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("ix_session_account", "org_id", "account_id"),
)

# How often something was tried, by a keyed hash of who tried what: it names no login and no address.
attempt = Table(
    "attempt",
    sessions_metadata,
    Column("key", LargeBinary(32), primary_key=True),
    # A keyed hash of the login whose unlocking forgets the row.
    Column("subject", LargeBinary(32), nullable=True),
    Column("name", String(20), nullable=False),
    # The log that is told how many were refused: an organisation's id, or zeros for the deployment's own.
    Column("told_to", LargeBinary(16), nullable=False),
    Column("member_id", Id, nullable=True),
    Column("tries", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("blocked_until", Moment, nullable=True),
    Column("forget_at", Moment, nullable=False),
)
