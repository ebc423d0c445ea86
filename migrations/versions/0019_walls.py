"""An index for lists; on PostgreSQL the auditors' role, which reads one organisation's log beside the service."""

from alembic import op

from audit.privileges import AUDITOR_ROLE, create_roles, grant_auditing, revoke_auditing

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_case_conflict_member", "case_conflict", ["org_id", "member_id", "case_id"])
    _each(*create_roles([AUDITOR_ROLE]), *grant_auditing())


def downgrade() -> None:
    op.drop_index("ix_case_conflict_member", "case_conflict")
    _each(*revoke_auditing())


def _each(*statements: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        for statement in statements:
            bind.exec_driver_sql(statement)
