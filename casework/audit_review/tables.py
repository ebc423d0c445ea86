"""Reviews: what an auditor found of an entry. A row is never changed; another review stands beside it."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, String, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

review = Table(
    "review",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("entry_id", Id, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("reviewed_by", Id, nullable=False),
    Column("reviewed_at", Moment, nullable=False),
    # What the reviewer wrote: sealed to the journal's readers.
    Column("note", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    ForeignKeyConstraint(["org_id", "reviewed_by"], ["membership.org_id", "membership.id"]),
    Index("ix_review_entry", "org_id", "entry_id"),
)
