"""Cases, follow-ups, consents and handoffs."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = (
    "handoff",
    "case_file",
    "assignment",
    "break_glass",
    "case_conflict",
    "case_group",
    "case_team",
    "follow_up",
    "handoff_side",
    "consent",
    "follow_up_frame",
    "handoff_manifest",
    "handoff_part",
)


def upgrade() -> None:
    _handoff()
    _case_file()
    _assignment()
    _break_glass()
    _case_conflict()
    _case_group()
    _case_team()
    _follow_up()
    _handoff_side()
    _consent()
    _follow_up_frame()
    _handoff_manifest()
    _handoff_part()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _handoff() -> None:
    op.create_table(
        "handoff",
        sa.Column("id", Id, nullable=False),
        sa.Column("from_org", Id, nullable=False),
        sa.Column("to_org", Id, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("consent_is_live", sa.Boolean(), nullable=False),
        sa.Column("consent_expires_at", Moment),
        sa.ForeignKeyConstraint(["from_org"], ["organisation.id"], name=op.f("fk_handoff_from_org")),
        sa.ForeignKeyConstraint(["to_org"], ["organisation.id"], name=op.f("fk_handoff_to_org")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handoff")),
    )


def _case_file() -> None:
    op.create_table(
        "case_file",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", Id, nullable=False),
        sa.Column("last_contact_at", Moment, nullable=False),
        sa.Column("pseudonym_part", sa.LargeBinary(32), nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed', 'archived')", name=op.f("ck_case_file_status")),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_case_file_org_id_created_by"),
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_case_file_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_case_file")),
    )


def _assignment() -> None:
    op.create_table(
        "assignment",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_assignment_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_assignment_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "case_id", "member_id", name=op.f("pk_assignment")),
    )
    op.create_index("ix_assignment_member", "assignment", ["org_id", "member_id", "case_id"], unique=False)


def _break_glass() -> None:
    op.create_table(
        "break_glass",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_break_glass_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_break_glass_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_break_glass")),
    )
    op.create_index("ix_break_glass_member", "break_glass", ["org_id", "member_id", "case_id"], unique=False)


def _case_conflict() -> None:
    op.create_table(
        "case_conflict",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("member_id", Id, nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_case_conflict_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_case_conflict_org_id_member_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "case_id", "member_id", name=op.f("pk_case_conflict")),
    )


def _case_group() -> None:
    op.create_table(
        "case_group",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("dek", SealedBytes, nullable=False),
        sa.Column("dek_generation", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("frame", SealedBytes),
        sa.Column("legal_name", SealedBytes),
        sa.Column("arrival", SealedBytes),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_case_group_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "case_id", "compartment", name=op.f("pk_case_group")),
    )


def _case_team() -> None:
    op.create_table(
        "case_team",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("team_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_case_team_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"], ["team.org_id", "team.id"], name=op.f("fk_case_team_org_id_team_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "case_id", "team_id", name=op.f("pk_case_team")),
    )
    op.create_index("ix_case_team_team", "case_team", ["org_id", "team_id", "case_id"], unique=False)


def _follow_up() -> None:
    op.create_table(
        "follow_up",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("author_id", Id, nullable=False),
        sa.Column("occurred_at", Moment, nullable=False),
        sa.Column("recorded_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "author_id"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_follow_up_org_id_author_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_follow_up_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", "version", name=op.f("pk_follow_up")),
    )
    op.create_index(
        "ix_follow_up_case", "follow_up", ["org_id", "case_id", "occurred_at", "id"], unique=False
    )


def _handoff_side() -> None:
    op.create_table(
        "handoff_side",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("partner_id", Id, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("urgency", sa.String(8), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("sent_at", Moment),
        sa.Column("moved_at", Moment, nullable=False),
        sa.Column("content_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("case_id", Id),
        sa.Column("case_sealed", SealedBytes),
        sa.Column("envelope", SealedBytes, nullable=False),
        sa.Column("reply", SealedBytes),
        sa.Column("consent_id", Id),
        sa.Column("consent_expires_at", Moment),
        sa.Column("signer_id", Id),
        sa.Column("chain", sa.LargeBinary),
        sa.ForeignKeyConstraint(["id"], ["handoff.id"], name=op.f("fk_handoff_side_id")),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_handoff_side_org_id_case_id"),
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_handoff_side_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_handoff_side")),
    )
    op.create_index("ix_handoff_side_box", "handoff_side", ["org_id", "side", "sent_at"], unique=False)
    op.create_index("ix_handoff_side_case", "handoff_side", ["org_id", "case_id"], unique=False)


def _consent() -> None:
    op.create_table(
        "consent",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("case_id", Id, nullable=False),
        sa.Column("handoff_id", Id, nullable=False),
        sa.Column("content_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("recorded_by", Id, nullable=False),
        sa.Column("given_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("withdrawn_at", Moment),
        sa.Column("frame", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "case_id"],
            ["case_file.org_id", "case_file.id"],
            name=op.f("fk_consent_org_id_case_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "handoff_id"],
            ["handoff_side.org_id", "handoff_side.id"],
            name=op.f("fk_consent_org_id_handoff_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "recorded_by"],
            ["membership.org_id", "membership.id"],
            name=op.f("fk_consent_org_id_recorded_by"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_case", "consent", ["org_id", "case_id"], unique=False)
    op.create_index("ix_consent_handoff", "consent", ["org_id", "handoff_id"], unique=False)


def _follow_up_frame() -> None:
    op.create_table(
        "follow_up_frame",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("follow_up_id", Id, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("frame", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "follow_up_id", "version"],
            ["follow_up.org_id", "follow_up.id", "follow_up.version"],
            name=op.f("fk_follow_up_frame_org_id_follow_up_id_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "follow_up_id", "version", "compartment", name=op.f("pk_follow_up_frame")
        ),
    )


def _handoff_manifest() -> None:
    op.create_table(
        "handoff_manifest",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("handoff_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("frame", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "handoff_id"],
            ["handoff_side.org_id", "handoff_side.id"],
            name=op.f("fk_handoff_manifest_org_id_handoff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "handoff_id", "compartment", name=op.f("pk_handoff_manifest")),
    )


def _handoff_part() -> None:
    op.create_table(
        "handoff_part",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("handoff_id", Id, nullable=False),
        sa.Column("compartment", sa.String(20), nullable=False),
        sa.Column("drop_number", sa.Integer, nullable=False),
        sa.Column("part", SealedBytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "handoff_id"],
            ["handoff_side.org_id", "handoff_side.id"],
            name=op.f("fk_handoff_part_org_id_handoff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "handoff_id", "compartment", name=op.f("pk_handoff_part")),
    )
