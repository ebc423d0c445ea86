"""Requests for erasure: prepared by one person, decided by another, and what is left to say of it afterwards."""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, LargeBinary, String, Table

from casework.column_types import Id, Moment, SealedBytes
from casework.database import metadata

erasure = Table(
    "erasure",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    # Without a foreign key: the request outlives the case, and forgets which one it was when it is complete.
    Column("case_id", Id, nullable=True),
    Column("state", String(10), nullable=False),
    Column("basis", String(20), nullable=False),
    Column("prepared_by", Id, nullable=False),
    Column("prepared_at", Moment, nullable=False),
    Column("decided_by", Id, nullable=True),
    Column("decided_at", Moment, nullable=True),
    # Of a refusal: why, and until when it stands in the way of another request.
    Column("ground", String(20), nullable=True),
    Column("keep_until", Moment, nullable=True),
    Column("completed_at", Moment, nullable=True),
    # Under the pepper, over what was prepared, then over what was approved: whoever writes here alone makes none.
    Column("proof", LargeBinary(32), nullable=True),
    # Why it is asked for, and by which handoff the case came: sealed to the journal's readers, gone with the case.
    Column("motive", SealedBytes, nullable=True),
    # What was destroyed, in numbers: sealed to the journal's readers too.
    Column("certificate", SealedBytes, nullable=True),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    ForeignKeyConstraint(["org_id", "prepared_by"], ["membership.org_id", "membership.id"]),
    ForeignKeyConstraint(["org_id", "decided_by"], ["membership.org_id", "membership.id"]),
    CheckConstraint("state IN ('prepared', 'refused', 'erased', 'complete')", name="state"),
    Index("ix_erasure_case", "org_id", "case_id"),
)

# Whose halves are still to be destroyed, from the commit that erased the rows until that is done.
erasure_owner = Table(
    "erasure_owner",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("erasure_id", Id, primary_key=True),
    Column("owner_id", Id, primary_key=True),
    ForeignKeyConstraint(["org_id", "erasure_id"], ["erasure.org_id", "erasure.id"]),
)
