"""What the database counts of each member, on both engines."""

from audit.counting import HOUR, Tally, as_spots, entries_by_hour, persons_by_day, vain_by_day
from audit.entry import Entry, Outcome
from audit.review import ALWAYS, DAY, Period
from tests.audit.journal import LOG, Journal
from tests.audit.test_review import ALL, ANNE, BEA, DAWN, INES, LEA, READS, did

SEARCH = "case.search"
MINUTE = HOUR // 60


def _write(journal: Journal, *entries: Entry) -> None:
    journal.write(*entries)
    journal.integrate()


def test_persons_are_counted_once_a_member_and_day_and_refusals_and_other_acts_are_not(
    journal: Journal,
) -> None:
    entries = [
        did(journal, "case.open", ANNE, INES, at=DAWN + 1),
        did(journal, "follow_up.list", ANNE, INES, LEA, at=DAWN + 2),
        did(journal, "case.open", ANNE, LEA, at=DAWN + DAY),
        did(journal, "case.open", BEA, LEA, at=DAWN + DAY - 1),
        did(journal, "case.open", BEA, INES, at=DAWN + DAY - 1, outcome=Outcome.DENIED),
        did(journal, "case.list", BEA, INES, at=DAWN + DAY - 1),
        did(journal, "case.open", None, INES, at=DAWN),
        did(journal, "case.open", ANNE, INES, at=DAWN + 2 * DAY),
    ]
    _write(journal, *entries)
    period = Period(since=DAWN, until=DAWN + 2 * DAY)
    found = journal.run(lambda connection: persons_by_day(connection, LOG, period, READS))
    assert sorted(found, key=lambda tally: tally.index) == [
        Tally(ANNE, DAWN, 2, 0, DAWN + 2),
        Tally(ANNE, DAWN + DAY, 1, 2, DAWN + DAY),
        Tally(BEA, DAWN, 1, 3, DAWN + DAY - 1),
    ]


def test_entries_are_counted_by_member_and_hour(journal: Journal) -> None:
    moments = (0, HOUR - 1, HOUR)
    entries = [did(journal, "case.open", ANNE, INES, at=DAWN + at) for at in moments]
    _write(journal, *entries, did(journal, "case.open", BEA, INES, LEA, at=DAWN))
    found = journal.run(lambda connection: entries_by_hour(connection, LOG, ALL, READS))
    assert sorted(found, key=lambda tally: tally.index) == [
        Tally(ANNE, DAWN, 2, 0, DAWN + HOUR - 1),
        Tally(ANNE, DAWN + HOUR, 1, 2, DAWN + HOUR),
        Tally(BEA, DAWN, 1, 3, DAWN),
    ]


def test_a_search_is_in_vain_where_she_herself_opens_nothing_soon_after(journal: Journal) -> None:
    entries = [
        did(journal, SEARCH, ANNE, INES, at=DAWN),
        did(journal, SEARCH, ANNE, INES, at=DAWN + MINUTE),
        did(journal, "case.open", ANNE, INES, at=DAWN + 11 * MINUTE),
        did(journal, SEARCH, ANNE, at=DAWN + HOUR),
        did(journal, "case.open", BEA, INES, at=DAWN + HOUR + 1),
        did(journal, "case.open", ANNE, INES, at=DAWN + 2 * HOUR, outcome=Outcome.DENIED),
        did(journal, SEARCH, ANNE, LEA, at=DAWN + 3 * HOUR),
        did(journal, SEARCH, ANNE, LEA, at=DAWN + 4 * HOUR),
        did(journal, "case.open", ANNE, LEA, at=DAWN + 4 * HOUR + 1),
        did(journal, SEARCH, BEA, LEA, at=DAWN + 4 * HOUR + MINUTE),
    ]
    _write(journal, *entries)

    def vain(period: Period) -> list[Tally]:
        found = journal.run(
            lambda connection: vain_by_day(connection, LOG, period, SEARCH, READS, 10 * MINUTE)
        )
        return sorted(found, key=lambda tally: tally.index)

    last = DAWN + 4 * HOUR + MINUTE
    assert vain(ALL) == [Tally(ANNE, DAWN, 3, 0, DAWN + 3 * HOUR), Tally(BEA, DAWN, 1, 9, last)]
    # What she opened after the end of the period was searched for in it; a search after it is not counted.
    assert vain(Period(since=DAWN + 4 * HOUR, until=DAWN + 4 * HOUR + 1)) == []


def test_a_tally_is_shown_by_its_first_entry_where_that_is_of_the_period(journal: Journal) -> None:
    entries = [did(journal, "case.open", ANNE, INES, at=DAWN + day * DAY) for day in range(3)]
    _write(journal, *entries)
    tallies = journal.run(lambda connection: persons_by_day(connection, LOG, ALL, READS))
    period = Period(since=DAWN + 1, until=ALWAYS)
    spots = journal.run(lambda connection: as_spots(connection, LOG, period, tallies))
    assert [(spot.index, spot.entry_id, spot.time) for spot in spots] == [
        (day, entries[day].id, DAWN + day * DAY) for day in (2, 1)
    ]
