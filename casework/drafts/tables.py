"""Drafts: sealed under a key of the member's own, beside the case that they are about."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

draft = Table(
    "draft",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("member_id", Id, nullable=False),
    Column("case_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("saved_at", Moment, nullable=False),
    Column("sealed", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    Index("ix_draft_member", "org_id", "member_id", "case_id"),
    # The deletion of a case looks for them.
    Index("ix_draft_case", "org_id", "case_id"),
)
