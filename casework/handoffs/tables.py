"""Handoffs: one neutral row that every move locks, a row for each side, and sealed parts."""

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Index, Integer, LargeBinary, String, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

# Belongs to neither side and names no person: what both must agree on.
handoff = Table(
    "handoff",
    metadata,
    Column("id", Id, primary_key=True),
    Column("from_org", Id, nullable=False),
    Column("to_org", Id, nullable=False),
    Column("state", String(12), nullable=False),
    Column("consent_is_live", Boolean(create_constraint=False), nullable=False),
    Column("consent_expires_at", Moment, nullable=True),
    ForeignKeyConstraint(["from_org"], ["organisation.id"]),
    ForeignKeyConstraint(["to_org"], ["organisation.id"]),
)

handoff_side = Table(
    "handoff_side",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("side", String(8), nullable=False),
    Column("partner_id", Id, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("urgency", String(8), nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("sent_at", Moment, nullable=True),
    Column("moved_at", Moment, nullable=False),
    # When this side was last reminded that it owes an answer.
    Column("reminded_at", Moment, nullable=True),
    Column("content_digest", LargeBinary(32), nullable=False),
    # The sender's own case; never set on the receiver's side, whose case id is sealed to her.
    Column("case_id", Id, nullable=True),
    Column("case_sealed", SealedBytes, nullable=True),
    # Service, purpose and groups: sealed in the sender's case, and to the receiver's intake.
    Column("envelope", SealedBytes, nullable=False),
    # The receiver's coded answer, sealed to each side's intake.
    Column("reply", SealedBytes, nullable=True),
    # What the receiver needs to check a part: the consent it was sealed under, who signed, and her chain.
    Column("consent_id", Id, nullable=True),
    Column("consent_expires_at", Moment, nullable=True),
    Column("signer_id", Id, nullable=True),
    Column("chain", LargeBinary, nullable=True),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    ForeignKeyConstraint(["id"], ["handoff.id"]),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"]),
    Index("ix_handoff_side_box", "org_id", "side", "sent_at"),
    Index("ix_handoff_side_case", "org_id", "case_id"),
)

# The sender's frozen list of what will be sent, with the salt of its digest, sealed under each group's DEK.
handoff_manifest = Table(
    "handoff_manifest",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("handoff_id", Id, primary_key=True),
    Column("compartment", String(20), primary_key=True),
    Column("frame", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "handoff_id"], ["handoff_side.org_id", "handoff_side.id"]),
)

# The receiver's sealed parts, destroyed when opened (then re-encrypted in her case) or when consent goes.
handoff_part = Table(
    "handoff_part",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("handoff_id", Id, primary_key=True),
    Column("compartment", String(20), primary_key=True),
    Column("drop_number", Integer, nullable=False),
    Column("part", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "handoff_id"], ["handoff_side.org_id", "handoff_side.id"]),
)
