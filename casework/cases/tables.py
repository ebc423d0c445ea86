"""Cases, their sealed groups, and who is near them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from casework.column_types import SEALED_TO, Id, Moment, SealedBytes
from casework.database import metadata

case_file = Table(
    "case_file",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("status", String(10), nullable=False),
    Column("restricted", Boolean(create_constraint=False), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Id, nullable=False),
    Column("last_contact_at", Moment, nullable=False),
    # One half of the pseudonym under which the journal knows the person; the other is in the shred store.
    Column("pseudonym_part", LargeBinary(32), nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
    ForeignKeyConstraint(["org_id", "created_by"], ["membership.org_id", "membership.id"]),
    CheckConstraint("status IN ('open', 'closed', 'archived')", name="status"),
)

# A row for each of the eight groups from the day the case is opened, so that its existence tells nothing.
case_group = Table(
    "case_group",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("compartment", String(20), primary_key=True),
    # The stable id that the group's frame is bound to.
    Column("id", Id, nullable=False),
    Column("dek", SealedBytes, nullable=False),
    Column("dek_generation", Integer, nullable=False),
    # Which of the case's halves in the shred store the key needs. Greater than its generation where the next holder
    # who may is to renew the key: the one who renewed the others could not open it.
    Column("half", Integer, nullable=False, server_default="1"),
    Column("version", Integer, nullable=False),
    Column("frame", SealedBytes, nullable=True),
    # Of the identity group alone: civil status has a frame, and a permission, of its own.
    Column("legal_name", SealedBytes, nullable=True),
    # At which version its marks in `case_relation` were sealed.
    Column("related", Integer, nullable=False, server_default="0"),
    # At which version it was compared with declared conflicts. Behind its version, the next holder of `index` who
    # opens it compares it, and seals its marks.
    Column("compared", Integer, nullable=False, server_default="0"),
    # What an accepted handoff brought for this group, until the first authorised holder opens it.
    Column("arrival", SealedBytes, nullable=True),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    # For what goes through one group of every case: else the other seven, with their frames, are read as well.
    Index("ix_case_group_compartment", "org_id", "compartment", "case_id"),
)

# What the auditor compares with members' declarations, sealed to the journal: one size, whatever it holds.
case_relation = Table(
    "case_relation",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    # Of which group: the row is sealed in another compartment than that.
    Column("of_group", String(20), primary_key=True),
    Column("sealed", SealedBytes, nullable=False, info={SEALED_TO: "journal"}),
    # What declared conflicts are matched with; none where nobody wrote or opened the group since there are any.
    Column("matched", LargeBinary(512), nullable=True),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    CheckConstraint("of_group IN ('identity', 'contact')", name="of_group"),
)

assignment = Table(
    "assignment",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("since", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    Index("ix_assignment_member", "org_id", "member_id", "case_id"),
)

_REASONS = "reason IN ('unassigned', 'reassigned', 'restricted', 'recovered', 'team_closed')"

# From when until when somebody was assigned who is no more, and why it ended.
past_assignment = Table(
    "past_assignment",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("since", Moment, primary_key=True),
    Column("until", Moment, nullable=False),
    Column("reason", String(20), nullable=False, server_default="unassigned"),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    CheckConstraint(_REASONS, name="reason"),
)

case_team = Table(
    "case_team",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("team_id", Id, primary_key=True),
    Column("since", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
    Index("ix_case_team_team", "org_id", "team_id", "case_id"),
)

past_case_team = Table(
    "past_case_team",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("team_id", Id, primary_key=True),
    Column("since", Moment, primary_key=True),
    Column("until", Moment, nullable=False),
    Column("reason", String(20), nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
    CheckConstraint(_REASONS, name="reason"),
)

# A person with whom somebody of the organisation declared a conflict of interest: marks, under a random salt.
declared_conflict = Table(
    "declared_conflict",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("marks", LargeBinary(512), nullable=False),
    ForeignKeyConstraint(["org_id", "account_id"], ["account.org_id", "account.id"]),
    Index("ix_declared_conflict_account", "org_id", "account_id"),
)

# Whom a declared conflict closes which case to: made where either is written, gone when it is withdrawn.
case_conflict = Table(
    "case_conflict",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("conflict_id", Id, primary_key=True),
    # By which group it was found, and is found anew whenever that is written; `case`: entered by hand.
    Column("of_group", String(20), primary_key=True),
    Column("since", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    # For lists, which leave out what she has a conflict with: else everybody's conflicts are read each time.
    Index("ix_case_conflict_member", "org_id", "member_id", "case_id"),
    ForeignKeyConstraint(["org_id", "conflict_id"], ["declared_conflict.org_id", "declared_conflict.id"]),
    CheckConstraint("of_group IN ('identity', 'contact', 'case')", name="of_group"),
)

break_glass = Table(
    "break_glass",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("case_id", Id, nullable=False),
    Column("member_id", Id, nullable=False),
    Column("expires_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    Index("ix_break_glass_member", "org_id", "member_id", "case_id"),
)

# The named part of a restricted case, sealed to each of its named members. The signed directory says who they are.
named_seal = Table(
    "named_seal",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("member_id", Id, primary_key=True),
    Column("sealed", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "member_id"], ["membership.org_id", "membership.id"]),
    Index("ix_named_seal_member", "org_id", "member_id", "case_id"),
)

named_recovery = Table(
    "named_recovery",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("case_id", Id, primary_key=True),
    Column("sealed", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
)

# A note that only the readers it names can open: whom it names stands inside the frame.
member_note = Table(
    "member_note",
    metadata,
    Column("org_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("case_id", Id, nullable=False),
    Column("author_id", Id, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("compartment", String(20), nullable=False),
    Column("frame", SealedBytes, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "author_id"], ["membership.org_id", "membership.id"]),
    Index("ix_member_note_case", "org_id", "case_id", "id"),
)
