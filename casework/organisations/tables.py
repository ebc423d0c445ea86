"""Organisations, their key directory, their compartments' keys and the partners they have compared cards with."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

# One row that says what this database is; `serve` refuses a demo outside loopback.
deployment = Table(
    "deployment",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
    Column("is_demo", Boolean(create_constraint=False), nullable=False),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

organisation = Table(
    "organisation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slug", String(40), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("root_fingerprint", LargeBinary(32), nullable=False),
    Column("journal_key", String(400), nullable=False),
    Column("created_at", Moment, nullable=False),
    # How long the entries of its journal are kept: CNIL 2021-122, six to twelve months, three years at most.
    Column("journal_months", SmallInteger, nullable=False, server_default="12"),
    CheckConstraint("journal_months BETWEEN 6 AND 36", name="journal_months"),
)

# The signed, hash-chained list: one number (epoch) per change.
key_directory = Table(
    "key_directory",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# A grant is certified by the directory entry of its epoch; the sealed KEK stands here.
key_grant = Table(
    "key_grant",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("member_id", Id, nullable=False),
    Column("compartment", String(20), nullable=False),
    Column("kek_no", Integer, nullable=False),
    Column("sealed", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "epoch"], ["key_directory.org_id", "key_directory.epoch"]),
    Index("ix_key_grant_member", "org_id", "member_id"),
)

drop_key = Table(
    "drop_key",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("compartment", String(20), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kek_no", Integer, nullable=False),
    Column("public", LargeBinary(32), nullable=False),
    Column("private", SealedBytes, nullable=False),
    # A drop key is renewed each month; the one before it may go once every process seals to the new one.
    Column("made_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# Every KEK is also sealed to the organisation's recovery key, from the first day.
kek_recovery = Table(
    "kek_recovery",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("compartment", String(20), primary_key=True),
    Column("kek_no", Integer, primary_key=True, autoincrement=False),
    Column("sealed", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# The key of relation tokens, under the KEK of `index`; made by the first holder who needs it.
relation_key = Table(
    "relation_key",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("wrapped", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# The reader's own row about another organisation: the root it compared, and the chain it last accepted.
partner = Table(
    "partner",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("partner_id", Id, primary_key=True),
    Column("slug", String(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("root_fingerprint", LargeBinary(32), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("valid_until", Moment, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    Index("ix_partner_slug", "org_id", "slug", unique=True),
)

# The texts of the charter, by version, in UTF-8; which one is in force, the signed directory says, by its hash.
charter = Table(
    "charter",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("text", LargeBinary, nullable=False),
    Column("published_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# How often an organisation's settings were changed: of two who change them at once the second is told.
org_settings = Table(
    "org_settings",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

# When the organisation is open, in minutes of a day in Paris: Monday is 0. Without any row it always is.
opening_hours = Table(
    "opening_hours",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("weekday", SmallInteger, primary_key=True, autoincrement=False),
    Column("opens", SmallInteger, primary_key=True, autoincrement=False),
    Column("closes", SmallInteger, nullable=False),
    ForeignKeyConstraint(["org_id"], ["org_settings.org_id"]),
    CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
    CheckConstraint("0 <= opens AND opens < closes AND closes <= 1440", name="minutes"),
)

closed_day = Table(
    "closed_day",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("day", Date, primary_key=True),
    ForeignKeyConstraint(["org_id"], ["org_settings.org_id"]),
)

# The networks whose machines the organisation manages, as their first and last address (RFC 4291, IPv4 mapped).
# Without any row they are those of the deployment.
managed_network = Table(
    "managed_network",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("first", LargeBinary(16), primary_key=True),
    Column("last", LargeBinary(16), primary_key=True),
    ForeignKeyConstraint(["org_id"], ["org_settings.org_id"]),
)

# Sets of rules that were proposed. Which one is in force, the signed directory says, by the hash of its text; the
# phrases are what the organisation tries it with.
policy_set = Table(
    "policy_set",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("text_hash", LargeBinary(32), nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("phrases", LargeBinary, nullable=False),
    Column("effective_at", Moment, nullable=False),
    Column("proposed_at", Moment, nullable=False),
    # The set of the founding was proposed by nobody.
    Column("proposed_by", Id),
    # Refused or withdrawn: the directory, and not this, says what was approved.
    Column("ended", String(10)),
    Column("ended_at", Moment),
    Column("ended_by", Id),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    ForeignKeyConstraint(["org_id", "proposed_by"], ["membership.org_id", "membership.id"]),
    Index("ix_policy_set_number", "org_id", "number"),
)

team = Table(
    "team",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("closed_at", Moment, nullable=True),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

team_member = Table(
    "team_member",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("team_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("since", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    Index("ix_team_member_member", "org_id", "member_id", "team_id"),
)

# From when until when somebody belonged to a team who does no more.
past_team_member = Table(
    "past_team_member",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("team_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("since", Moment, primary_key=True),
    Column("until", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
)
