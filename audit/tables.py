"""The journal's tables. Nothing outside `audit` reads or writes them, and no foreign key leads out.

A log's id is 16 bytes: the organisation's id, zeros for the deployment's own log, ones (0xFF) for the roll-up log.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

DEPLOYMENT_LOG = bytes(16)
ROLLUP_LOG = b"\xff" * 16

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _log(*, primary_key: bool = True) -> Column[bytes]:
    return Column("log", LargeBinary(16), primary_key=primary_key, nullable=False)


def _index() -> Column[int]:
    return Column("idx", BigInteger, primary_key=True, autoincrement=False)


# Entries that are committed with their data and wait for the integrator; outside the append-only rule.
inbox = Table(
    "audit_inbox",
    metadata,
    # SQLite numbers rows itself only where the key is declared INTEGER.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True),
    _log(primary_key=False),
    Column("entry", LargeBinary, nullable=False),
    # Never reuse a drained number: the order of two entries must not depend on when the inbox was empty.
    sqlite_autoincrement=True,
)

# One row a log: how many leaves are integrated, and below which index the bytes may be pruned.
log = Table(
    "audit_log",
    metadata,
    _log(),
    Column("origin", String(200), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("pruned", BigInteger, nullable=False),
    # Whole entry bundles (tlog-tiles): a bundle is there or it is not.
    CheckConstraint("pruned >= 0 AND pruned <= size AND pruned % 256 = 0", name="pruned"),
)

leaf = Table("audit_leaf", metadata, _log(), _index(), Column("hash", LargeBinary(32), nullable=False))

# The bytes, and beside them what review queries need of them.
entry = Table(
    "audit_entry",
    metadata,
    _log(),
    _index(),
    Column("entry_id", String(36), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("action", String(100), nullable=False),
    Column("outcome", String(7), nullable=False),
    Column("actor", String(36)),
    Column("bytes", LargeBinary, nullable=False),
    UniqueConstraint("log", "entry_id", name="uq_audit_entry_entry_id"),
    Index("ix_audit_entry_time", "log", "time"),
    Index("ix_audit_entry_actor", "log", "actor", "idx"),
    Index("ix_audit_entry_action", "log", "action", "idx"),
)

subject = Table(
    "audit_subject",
    metadata,
    _log(),
    Column("pseudonym", LargeBinary(32), primary_key=True),
    _index(),
    # Whole: by (log, idx) alone SQLite would rather read every person of the log for each entry.
    Index("ix_audit_subject_idx", "log", "idx", "pseudonym"),
)

# Full subtrees above the leaves, so that a proof or the next root costs a few rows.
subtree = Table(
    "audit_subtree",
    metadata,
    _log(),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    _index(),
    Column("hash", LargeBinary(32), nullable=False),
)

checkpoint = Table(
    "audit_checkpoint",
    metadata,
    _log(),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", String, nullable=False),
)

# The sealed half of an entry; it may be shredded.
detail = Table(
    "audit_detail",
    metadata,
    _log(),
    Column("entry_id", String(36), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# What the leaves of the roll-up log are: of which log, in which hour since 1970, and the three lines of its head.
rollup = Table(
    "audit_rollup",
    metadata,
    _index(),
    _log(primary_key=False),
    Column("hour", BigInteger, nullable=False),
    Column("head", String, nullable=False),
    Index("ix_audit_rollup_log", "log", "idx"),
)

# What witnesses signed of the roll-up's checkpoints, by the witness's verification key.
cosignature = Table(
    "audit_cosignature",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", String(400), primary_key=True),
    Column("line", String, nullable=False),
)
