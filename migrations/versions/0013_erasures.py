"""Requests for erasure; and behind the wall the service may delete a case, whose erasure was decided."""

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment, SealedBytes

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
# On top of the wall, for deletions alone: whoever holds the service's rights deletes no case at will.
_DECIDED = (
    "AS RESTRICTIVE FOR DELETE TO casework_app USING (EXISTS (SELECT 1 FROM erasure"
    " WHERE erasure.org_id = {table}.org_id AND erasure.case_id = {table}.{column} AND erasure.state = 'erased'))"
)
_DELETED = {"case_file": "id", "consent": "case_id"}
_GOES_WITH_IT = ("handoff_manifest", "handoff_side")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("case_id", Id),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("basis", sa.String(20), nullable=False),
        sa.Column("prepared_by", Id, nullable=False),
        sa.Column("prepared_at", Moment, nullable=False),
        sa.Column("decided_by", Id),
        sa.Column("decided_at", Moment),
        sa.Column("ground", sa.String(20)),
        sa.Column("keep_until", Moment),
        sa.Column("completed_at", Moment),
        sa.Column("motive", SealedBytes),
        sa.Column("certificate", SealedBytes),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_erasure_org_id")),
        *(
            sa.ForeignKeyConstraint(
                ["org_id", column],
                ["membership.org_id", "membership.id"],
                name=op.f(f"fk_erasure_org_id_{column}"),
            )
            for column in ("prepared_by", "decided_by")
        ),
        sa.CheckConstraint(
            "state IN ('prepared', 'refused', 'erased', 'complete')", name=op.f("ck_erasure_state")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_erasure")),
    )
    op.create_index("ix_erasure_case", "erasure", ["org_id", "case_id"])
    op.create_table(
        "erasure_owner",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("erasure_id", Id, nullable=False),
        sa.Column("owner_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "erasure_id"],
            ["erasure.org_id", "erasure.id"],
            name=op.f("fk_erasure_owner_org_id_erasure_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "erasure_id", "owner_id", name=op.f("pk_erasure_owner")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in _wall():
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _DELETED:
            op.get_bind().exec_driver_sql(f"DROP POLICY decided ON {table}")
        for table in (*_DELETED, *_GOES_WITH_IT):
            op.get_bind().exec_driver_sql(f"REVOKE DELETE ON {table} FROM casework_app")
    op.drop_table("erasure_owner")
    op.drop_table("erasure")


def _wall() -> list[str]:
    statements = []
    for table in ("erasure", "erasure_owner"):
        statements += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON {table} TO casework_app "
            f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
            f"GRANT SELECT, INSERT, UPDATE ON {table} TO casework_app",
        ]
    statements += [
        f"CREATE POLICY decided ON {table} {_DECIDED.format(table=table, column=column)}"
        for table, column in _DELETED.items()
    ]
    statements.append("GRANT DELETE ON erasure_owner TO casework_app")
    statements += [f"GRANT DELETE ON {table} TO casework_app" for table in (*_DELETED, *_GOES_WITH_IT)]
    return statements
