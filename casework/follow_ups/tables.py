"""Follow-ups: a clear head without meaning, and one sealed frame per field group and version."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, String, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

follow_up = Table(
    "follow_up",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("case_id", Id, nullable=False),
    Column("author_id", Id, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "author_id"], ["membership.org_id", "membership.id"]),
    Index("ix_follow_up_case", "org_id", "case_id", "occurred_at", "id"),
)

follow_up_frame = Table(
    "follow_up_frame",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("follow_up_id", Id, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("compartment", String(20), primary_key=True),
    Column("frame", SealedBytes, nullable=False),
    ForeignKeyConstraint(
        ["org_id", "follow_up_id", "version"],
        ["follow_up.org_id", "follow_up.id", "follow_up.version"],
        ondelete="CASCADE",
    ),
)
