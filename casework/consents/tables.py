"""Consents: immutable grants to exactly one content and one receiver."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

consent = Table(
    "consent",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("case_id", Id, nullable=False),
    Column("handoff_id", Id, nullable=False),
    Column("content_digest", LargeBinary(32), nullable=False),
    Column("recorded_by", Id, nullable=False),
    Column("given_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("withdrawn_at", Moment, nullable=True),
    # Means, witness, language, representative, her own words: sealed in the case's intake group.
    Column("frame", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "handoff_id"], ["handoff_side.org_id", "handoff_side.id"]),
    ForeignKeyConstraint(["org_id", "recorded_by"], ["membership.org_id", "membership.id"]),
    Index("ix_consent_handoff", "org_id", "handoff_id"),
    Index("ix_consent_case", "org_id", "case_id"),
)
