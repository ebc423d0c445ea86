"""What every table obeys: keys that begin with the organisation, and nothing in the clear without a reason."""

from sqlalchemy import ForeignKeyConstraint, LargeBinary, MetaData, String, Table

import casework.schema
from audit.tables import metadata as audit_metadata
from casework.column_types import SealedBytes
from casework.columns import Column
from casework.database import metadata
from casework.identity.tables import sessions_metadata
from casework.shreds import shreds_metadata
from tests.conventions.clear_columns import CLEAR_COLUMNS

EVERY: tuple[MetaData, ...] = (metadata, sessions_metadata, shreds_metadata, audit_metadata)

# Tables of ours that belong to no organisation, each for a reason.
NO_TENANT = {
    "deployment": "one row for the whole database",
    "organisation": "the organisations themselves: its key is the tenant",
    "sessions.attempt": "a try has no organisation before its login is known, and its row names nobody",
    "handoff": "belongs to two: the neutral row that every move locks",
}
# Tables whose key does not begin with the organisation, each for a reason.
OTHER_KEY = {"sessions.session": "found by the hash of a token before its organisation is known"}
# Foreign keys of a tenant's table that lead to a table without one.
TO_NO_TENANT = {
    ("handoff_side", "handoff"): "both sides hang on the neutral row",
}

# Numbers that once bound a sealed value; one that is retired stays here for ever.
COLUMN_NUMBERS = {
    "CASE_GROUP_FRAME": (1, 1),
    "CASE_GROUP_ARRIVAL": (1, 2),
    "CASE_LEGAL_NAME": (1, 3),
    "FOLLOW_UP_FRAME": (2, 1),
    "CONSENT_FRAME": (3, 1),
    "HANDOFF_ENVELOPE": (4, 1),
    "HANDOFF_CASE": (4, 2),
    "HANDOFF_REPLY": (4, 3),
    "HANDOFF_MANIFEST": (5, 1),
    "JOURNAL_DETAIL": (6, 1),
    "DRAFT": (7, 1),
    "MEMBER_NOTE": (9, 1),
    "ERASURE_MOTIVE": (8, 1),
    "ERASURE_CERTIFICATE": (8, 2),
    "CASE_RELATION": (10, 1),
    "REVIEW_NOTE": (11, 1),
    "DECLARATION_TOKENS": (12, 1),
    "DECLARATION_WAITING": (12, 2),
}


def tables(*of: MetaData) -> list[Table]:
    assert casework.schema.__doc__, "registers every slice's tables"
    return [table for one in of for table in one.sorted_tables]


def foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys))


def test_every_table_has_an_organisation_or_a_reason() -> None:
    without = {
        table.fullname
        for table in tables(metadata, sessions_metadata, shreds_metadata)
        if "org_id" not in table.c
    }
    assert without == NO_TENANT.keys()


def test_the_key_of_every_tenants_table_begins_with_the_organisation() -> None:
    other = {
        table.fullname
        for table in tables(metadata, sessions_metadata, shreds_metadata)
        if "org_id" in table.c and next(iter(table.primary_key.columns)).name != "org_id"
    }
    assert other == OTHER_KEY.keys()


def test_every_foreign_key_between_tenants_tables_carries_the_organisation() -> None:
    """A row of one organisation cannot point at another's."""
    astray = []
    for table in tables(metadata):
        for key in foreign_keys(table):
            pairs = {element.parent.name: element.column.name for element in key.elements}
            other = key.referred_table
            if "org_id" in table.c and "org_id" in other.c:
                if pairs.get("org_id") != "org_id":
                    astray.append((table.name, pairs))
            elif "org_id" in table.c and other.name == "organisation":
                assert pairs == {"org_id": "id"}
            elif "org_id" in table.c:
                assert (table.name, other.name) in TO_NO_TENANT
    assert astray == []


def test_every_tenants_row_hangs_on_its_organisation() -> None:
    """By itself, or by the first of the rows that it hangs on."""

    def hangs(table: Table) -> bool:
        return any(
            key.referred_table.name == "organisation" or hangs(key.referred_table)
            for key in foreign_keys(table)
            if "org_id" in key.column_keys
        )

    loose = [table.name for table in tables(metadata) if "org_id" in table.c and not hangs(table)]
    assert loose == []


def test_no_foreign_key_leads_out_of_the_journal_or_into_it() -> None:
    ours = {table.name for table in tables(metadata)}
    for table in tables(audit_metadata, sessions_metadata, shreds_metadata):
        assert foreign_keys(table) == []
    assert ours.isdisjoint(table.name for table in tables(audit_metadata))


def test_every_column_in_the_clear_has_a_reason() -> None:
    clear = {
        table.fullname: [column.name for column in table.c if not isinstance(column.type, SealedBytes)]
        for table in tables(*EVERY)
    }
    assert {name: list(columns) for name, columns in CLEAR_COLUMNS.items()} == clear
    assert all(reason for columns in CLEAR_COLUMNS.values() for reason in columns.values())


def test_a_text_in_the_clear_has_a_length_too_short_for_a_story() -> None:
    """What someone wrote of a person is sealed; a code, a slug or a name of an organisation is short."""
    for table in tables(metadata, sessions_metadata, shreds_metadata):
        for column in table.c:
            if isinstance(column.type, String):
                assert column.type.length is not None, (table.name, column.name)
                assert column.type.length <= 400, (table.name, column.name)


def test_bytes_without_a_length_are_sealed_or_signed() -> None:
    signed = {("key_directory", "entry"), ("partner", "chain"), ("handoff_side", "chain")}
    # Its hash is: of the charter, and of an organisation's rules.
    signed |= {("charter", "text"), ("policy_set", "text")}
    # What the rules are tried with when they are proposed. Rules and phrases name roles and acts, and a check that
    # takes nothing else stands before the row; whoever changes a phrase afterwards changes no decision.
    signed |= {("policy_set", "phrases")}
    unbounded = {
        (table.name, column.name)
        for table in tables(metadata, sessions_metadata, shreds_metadata)
        for column in table.c
        if type(column.type) is LargeBinary and column.type.length is None
    }
    assert unbounded == signed


def test_a_columns_number_is_never_used_again() -> None:
    now = {column.name: column.value for column in Column}
    # An enum makes a member with a value that is taken an alias, and hides it from iteration.
    assert list(Column.__members__) == list(now)
    assert now.items() <= COLUMN_NUMBERS.items(), "a new number belongs into the list, for ever"
    assert len(set(COLUMN_NUMBERS.values())) == len(COLUMN_NUMBERS)
