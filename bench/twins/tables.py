"""casework's tables with plain columns, for the three twins on SQLAlchemy."""

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)

metadata = MetaData()
Moment = DateTime(timezone=True)


class Json(TypeDecorator[dict[str, Any]]):
    """A record as JSON text, read and written by msgspec."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, _dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, _dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else msgspec.json.decode(value, type=dict[str, Any])


organisation = Table(
    "organisation",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", String(40), nullable=False, unique=True),
)

account = Table(
    "account",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("login", String(100), nullable=False, unique=True),
    Column("active", Boolean, nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("totp_seed", String(64), nullable=False),
    Column("totp_step", BigInteger, nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)

membership = Table(
    "membership",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("role", String(20), nullable=False),
    Column("professions", String(100), nullable=False),
    Column("active", Boolean, nullable=False),
    ForeignKeyConstraint(["org_id", "account_id"], ["account.org_id", "account.id"]),
    Index("ix_membership_account", "org_id", "account_id"),
)

session = Table(
    "session",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=True),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("route", String(80), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("resource_id", Uuid, nullable=False),
    Column("created_at", Moment, nullable=False),
)

team = Table(
    "team",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("name", String(100), nullable=False),
)

team_member = Table(
    "team_member",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("team_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
)

case_file = Table(
    "case_file",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("status", String(10), nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("last_contact_at", Moment, nullable=False),
    # The name in lower case without accents, for LIKE.
    Column("search_name", String(200), nullable=False),
    ForeignKeyConstraint(["org_id"], ["organisation.id"]),
)


def _of_case(name: str, *columns: Any) -> Table:
    """A table of rows that belong to one case."""
    return Table(
        name,
        metadata,
        Column("org_id", Uuid, primary_key=True),
        Column("case_id", Uuid, primary_key=True),
        *columns,
        ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    )


case_group = _of_case(
    "case_group",
    Column("compartment", String(20), primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", Json, nullable=True),
)
assignment = _of_case(
    "assignment",
    Column("member_id", Uuid, primary_key=True),
    Column("since", Moment, nullable=False),
    Index("ix_assignment_member", "org_id", "member_id", "case_id"),
)
case_team = _of_case(
    "case_team",
    Column("team_id", Uuid, primary_key=True),
    Index("ix_case_team_team", "org_id", "team_id", "case_id"),
)
case_conflict = _of_case("case_conflict", Column("member_id", Uuid, primary_key=True))
break_glass = _of_case(
    "break_glass",
    Column("member_id", Uuid, primary_key=True),
    Column("expires_at", Moment, nullable=False),
    Index("ix_break_glass_member", "org_id", "member_id", "case_id"),
)

follow_up = Table(
    "follow_up",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("case_id", Uuid, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    ForeignKeyConstraint(["org_id", "case_id"], ["case_file.org_id", "case_file.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["org_id", "author_id"], ["membership.org_id", "membership.id"]),
    Index("ix_follow_up_case", "org_id", "case_id", "occurred_at", "id"),
)

follow_up_text = Table(
    "follow_up_text",
    metadata,
    Column("org_id", Uuid, primary_key=True),
    Column("follow_up_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("compartment", String(20), primary_key=True),
    Column("record", Json, nullable=False),
    ForeignKeyConstraint(
        ["org_id", "follow_up_id", "version"],
        ["follow_up.org_id", "follow_up.id", "follow_up.version"],
        ondelete="CASCADE",
    ),
)

handoff = Table(
    "handoff",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("from_org", Uuid, nullable=False),
    Column("to_org", Uuid, nullable=False),
    Column("from_case", Uuid, nullable=False),
    Column("to_case", Uuid, nullable=False),
    Column("state", String(20), nullable=False),
    Column("sent_at", Moment, nullable=False),
)
