"""Declared conflicts of interest, and what a case is matched with; each closed case knows which one closes it."""

import os
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic import op

from casework.column_types import Id, Moment

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Unset is NULL and an emptied setting is '': both see no row.
_OWN = "(SELECT nullif(current_setting('casework.org', true), '')::uuid)"
_CONFLICT = sa.table(
    "case_conflict",
    sa.column("org_id", Id),
    sa.column("case_id", Id),
    sa.column("member_id", Id),
    sa.column("conflict_id", Id),
    sa.column("of_group", sa.String),
    sa.column("since", Moment),
)
_DECLARED = sa.table(
    "declared_conflict",
    sa.column("org_id", Id),
    sa.column("id", Id),
    sa.column("account_id", Id),
    sa.column("declared_at", Moment),
    sa.column("salt", sa.LargeBinary),
    sa.column("marks", sa.LargeBinary),
)
_MEMBERSHIP = sa.table(
    "membership", sa.column("org_id", Id), sa.column("id", Id), sa.column("account_id", Id)
)


def upgrade() -> None:
    connection = op.get_bind()
    # What somebody entered by hand: no route did.
    of = (_CONFLICT.c.org_id == _MEMBERSHIP.c.org_id) & (_CONFLICT.c.member_id == _MEMBERSHIP.c.id)
    entered = connection.execute(
        sa.select(
            _CONFLICT.c.org_id,
            _CONFLICT.c.case_id,
            _CONFLICT.c.member_id,
            _CONFLICT.c.since,
            _MEMBERSHIP.c.account_id,
        ).join_from(_CONFLICT, _MEMBERSHIP, of)
    ).all()
    op.add_column("case_relation", sa.Column("matched", sa.LargeBinary(512), nullable=True))
    # Nothing was compared yet: whoever next opens a case does it.
    op.add_column("case_group", sa.Column("compared", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "declared_conflict",
        sa.Column("org_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("declared_at", Moment, nullable=False),
        sa.Column("salt", sa.LargeBinary(32), nullable=False),
        sa.Column("marks", sa.LargeBinary(512), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "account_id"],
            ["account.org_id", "account.id"],
            name=op.f("fk_declared_conflict_org_id_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_declared_conflict")),
    )
    op.create_index("ix_declared_conflict_account", "declared_conflict", ["org_id", "account_id"])
    op.drop_table("case_conflict")
    _make_case_conflict(
        sa.Column("conflict_id", Id, nullable=False),
        sa.Column("of_group", sa.String(20), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "conflict_id"],
            ["declared_conflict.org_id", "declared_conflict.id"],
            name=op.f("fk_case_conflict_org_id_conflict_id"),
        ),
        sa.CheckConstraint(
            "of_group IN ('identity', 'contact', 'case')", name=op.f("ck_case_conflict_of_group")
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "case_id", "member_id", "conflict_id", "of_group", name=op.f("pk_case_conflict")
        ),
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE declared_conflict ENABLE ROW LEVEL SECURITY")
        connection.exec_driver_sql(
            "CREATE POLICY tenant ON declared_conflict TO casework_app "
            f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})"
        )
        # What was declared is withdrawn, never changed.
        connection.exec_driver_sql("GRANT SELECT, INSERT, DELETE ON declared_conflict TO casework_app")
    declared: dict[tuple[UUID, UUID], UUID] = {}
    for row in entered:
        account = row.org_id, row.account_id
        if account not in declared:
            declared[account] = uuid4()
            values = {
                "org_id": row.org_id,
                "id": declared[account],
                "account_id": row.account_id,
                "declared_at": row.since,
                # Marks of nobody: nothing is found by it, and what it closes stays closed until it is withdrawn.
                "salt": os.urandom(32),
                "marks": os.urandom(512),
            }
            connection.execute(sa.insert(_DECLARED).values(values))
        # Of the case as such: what was entered by hand stays when an identity is written.
        kept = {"org_id": row.org_id, "case_id": row.case_id, "member_id": row.member_id, "since": row.since}
        kept |= {"conflict_id": declared[account], "of_group": "case"}
        connection.execute(sa.insert(_CONFLICT).values(kept))


def downgrade() -> None:
    connection = op.get_bind()
    columns = (_CONFLICT.c.org_id, _CONFLICT.c.case_id, _CONFLICT.c.member_id)
    closed = connection.execute(
        sa.select(*columns, sa.func.min(_CONFLICT.c.since).label("since")).group_by(*columns)
    ).all()
    op.drop_table("case_conflict")
    _make_case_conflict(
        sa.PrimaryKeyConstraint("org_id", "case_id", "member_id", name=op.f("pk_case_conflict"))
    )
    for row in closed:
        connection.execute(sa.insert(_CONFLICT).values(**row._asdict()))
    op.drop_table("declared_conflict")
    op.drop_column("case_relation", "matched")
    op.drop_column("case_group", "compared")


def _make_case_conflict(*more: sa.schema.SchemaItem) -> None:
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
        *more,
    )
    op.create_index("ix_case_conflict_member", "case_conflict", ["org_id", "member_id", "case_id"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in (
            "ALTER TABLE case_conflict ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY tenant ON case_conflict TO casework_app "
            f"USING (org_id = {_OWN}) WITH CHECK (org_id = {_OWN})",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON case_conflict TO casework_app",
        ):
            op.get_bind().exec_driver_sql(statement)
