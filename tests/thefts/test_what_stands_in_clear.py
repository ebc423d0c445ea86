"""What a thief of the database learns without opening anything. None of it is a promise: it is the price."""

from uuid import UUID

from audit.entry import Entry
from casework.clock import microseconds
from crypto.journal import pseudonym
from tests.casework.centre import CANARY, Centre
from tests.thefts import loot
from tests.thefts.stage import prepare


async def test_the_database_tells_who_follows_whom_when_and_of_which_groups_there_is_text(
    centre: Centre,
) -> None:
    stage = await prepare(centre)
    rows = await loot.database(centre)
    case = UUID(stage.case)
    memberships = {row.id: row.account_id for row in rows["membership"]}
    logins = {row.id: row.login for row in rows["account"]}
    assigned = [logins[memberships[row.member_id]] for row in rows["assignment"] if row.case_id == case]
    assert assigned == ["avec.social"]
    (came,) = [row for row in rows["follow_up"] if row.case_id == case]
    assert logins[memberships[came.author_id]] == "avec.social"
    assert came.occurred_at.isoformat() == "2026-11-20T10:00:00+00:00"
    written = {row.compartment for row in rows["case_group"] if row.case_id == case and row.frame is not None}
    assert "safety" in written
    assert "health" not in written
    # No word of hers, no kind of follow-up, no service.
    everything = str([[tuple(row) for row in table] for table in rows.values()])
    assert CANARY not in everything
    assert "accompagnement_social" not in everything


async def test_the_database_links_both_cases_of_a_handoff_by_the_moment_of_its_acceptance(
    centre: Centre,
) -> None:
    """The receiver's case is sealed to her side, and made at the very moment at which the handoff moved."""
    stage = await prepare(centre)
    rows = await loot.database(centre)
    sides = {(row.org_id, row.id): row for row in rows["handoff_side"]}
    (accepted,) = [row for row in sides.values() if (row.org_id, row.state) == (stage.cidff, "accepted")]
    assert accepted.case_id is None
    (linked,) = [
        row for row in rows["case_file"] if (row.org_id, row.created_at) == (stage.cidff, accepted.moved_at)
    ]
    assert linked.id not in {UUID(stage.case), UUID(stage.foreign_case)}
    assert sides[stage.avec, accepted.id].case_id == UUID(stage.case)


async def test_the_journal_is_linked_to_a_case_by_the_shred_store_or_by_the_moment_of_a_change(
    centre: Centre,
) -> None:
    stage = await prepare(centre)
    rows, halves = await loot.database(centre), (await loot.shred_store(centre))["shred"]
    case = next(row for row in rows["case_file"] if row.id == UUID(stage.case))
    half = next(row for row in halves if (row.owner_id, row.purpose) == (case.id, "pseudonym"))
    person = pseudonym(bytes(case.pseudonym_part), bytes(half.part))
    entries = [Entry.from_bytes(bytes(row.bytes)) for row in rows["audit_entry"]]
    hers = [entry for entry in entries if person.hex() in {subject.p for subject in entry.subjects}]
    assert {"case.create", "follow_up.create", "handoff.send"} <= {entry.action for entry in hers}
    # The case's own row names it nowhere in the journal; the moment does as long as the row is there.
    made = microseconds(case.created_at)
    (created,) = [entry for entry in entries if entry.action == "case.create" and entry.time == made]
    assert [subject.p for subject in created.subjects] == [person.hex()]
    assert not any(str(case.id).encode() in bytes(row.bytes) for row in rows["audit_entry"])
