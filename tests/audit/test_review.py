"""What a reviewer asks of a log, on both engines."""

from collections.abc import Sequence

from audit.entry import Entry, Outcome, Row, Subject
from audit.review import (
    ALWAYS,
    DAY,
    Deeds,
    Period,
    Span,
    Spot,
    deeds_to,
    read_during,
    shown,
    spots,
    unexplained,
)
from tests.audit.journal import LOG, START, Journal, make_entry

READS = frozenset({"case.open", "follow_up.list"})
ALL = Period(since=0, until=ALWAYS)
HOUR = DAY // 24
ANNE, BEA = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "ab")
INES, LEA = "11" * 32, "22" * 32
# Of a UTC day of its own, so that hours after it are of the same.
DAWN = START - START % DAY + DAY


def did(journal: Journal, action: str, actor: str | None, *persons: str, at: int, **more: object) -> Entry:
    subjects = tuple(Subject(p=person, rows=(Row(r="33" * 32, v=1),)) for person in persons)
    return make_entry(
        action=action, actor=actor, subjects=subjects, time=at, lane=journal.lane.next(), **more
    )


def _asked(
    journal: Journal,
    *entries: Entry,
    period: Period = ALL,
    spans: Sequence[Span] = (),
    deeds: Sequence[Deeds] = (),
) -> list[Spot]:
    journal.write(*entries)
    journal.integrate()
    return journal.run(lambda connection: unexplained(connection, LOG, period, READS, spans, deeds))


def _deeds(**changes: object) -> Deeds:
    values = {
        "actions": frozenset({"follow_up.create"}),
        "before": HOUR,
        "after": 2 * HOUR,
        "by_herself": True,
    }
    return Deeds(**{**values, **changes})  # type: ignore[arg-type]


def test_a_span_explains_its_member_and_person_between_its_moments_alone(journal: Journal) -> None:
    entries = [
        did(journal, "case.open", ANNE, INES, at=DAWN),
        did(journal, "case.open", ANNE, INES, at=DAWN + DAY),
        did(journal, "case.open", ANNE, LEA, at=DAWN + DAY),
        did(journal, "case.open", BEA, INES, at=DAWN + DAY),
        did(journal, "case.open", ANNE, INES, at=DAWN + 2 * DAY),
    ]
    span = Span(bytes.fromhex(INES), ANNE, DAWN + DAY, DAWN + DAY + HOUR)
    shorter = Span(bytes.fromhex(INES), ANNE, DAWN + DAY - HOUR, DAWN + DAY - 1)
    found = _asked(journal, *entries, spans=[span, shorter])
    assert [spot.index for spot in found] == [4, 3, 2, 0]
    assert {spot.actor for spot in found} == {ANNE, BEA}


def test_what_one_member_read_of_a_person_on_a_day_is_one_spot(journal: Journal) -> None:
    entries = [did(journal, "case.open", ANNE, INES, at=DAWN + hour * HOUR) for hour in range(25)]
    found = _asked(journal, *entries)
    assert [(spot.index, spot.times) for spot in found] == [(24, 1), (0, 24)]


def test_an_entry_about_several_is_one_spot_with_the_most_behind_it(journal: Journal) -> None:
    both = did(journal, "case.open", ANNE, INES, LEA, at=DAWN)
    again = [did(journal, "case.open", ANNE, LEA, at=DAWN + hour) for hour in (1, 2)]
    found = _asked(journal, both, *again)
    assert [(spot.index, spot.times) for spot in found] == [(0, 3)]


def test_deeds_explain_their_own_member_around_them(journal: Journal) -> None:
    moments = {"too early": -HOUR - 1, "early": -HOUR, "late": 2 * HOUR, "too late": 2 * HOUR + 1}
    entries = [
        did(journal, "follow_up.create", ANNE, INES, at=DAWN + DAY),
        *(did(journal, "case.open", ANNE, INES, at=DAWN + DAY + at) for at in moments.values()),
        did(journal, "case.open", BEA, INES, at=DAWN + DAY),
        did(journal, "case.open", ANNE, LEA, at=DAWN + DAY),
    ]
    found = _asked(journal, *entries, deeds=[_deeds()])
    assert [spot.index for spot in found] == [6, 5, 4, 1]
    mine = _deeds(actors=frozenset({BEA}))
    found = journal.run(lambda connection: unexplained(connection, LOG, ALL, READS, [], [mine]))
    assert [spot.index for spot in found] == [6, 5, 3, 1]


def test_a_colleagues_deeds_explain_those_who_are_named_or_everybody(journal: Journal) -> None:
    entries = [
        did(journal, "follow_up.create", ANNE, INES, at=DAWN),
        did(journal, "case.open", BEA, INES, at=DAWN + 1),
        did(journal, "case.open", ANNE, INES, at=DAWN + 2),
    ]
    hers = _deeds(by_herself=False, actors=frozenset({BEA}))
    assert [spot.index for spot in _asked(journal, *entries, deeds=[hers])] == [2]
    everybodys = _deeds(by_herself=False)
    assert not journal.run(lambda connection: unexplained(connection, LOG, ALL, READS, [], [everybodys]))


def test_a_deed_that_was_refused_explains_nothing_and_what_was_refused_is_no_access(journal: Journal) -> None:
    entries = [
        did(journal, "follow_up.create", ANNE, INES, at=DAWN, outcome=Outcome.DENIED),
        did(journal, "case.open", ANNE, INES, at=DAWN),
        did(journal, "case.open", ANNE, LEA, at=DAWN, outcome=Outcome.DENIED),
        did(journal, "case.open", None, LEA, at=DAWN),
    ]
    assert [spot.index for spot in _asked(journal, *entries, deeds=[_deeds()])] == [1]


def test_a_deed_outside_the_period_explains_what_is_in_it(journal: Journal) -> None:
    entries = [
        did(journal, "case.open", ANNE, LEA, at=DAWN - 1),
        did(journal, "case.open", ANNE, INES, at=DAWN),
        did(journal, "follow_up.create", ANNE, INES, at=DAWN + HOUR),
        did(journal, "case.open", ANNE, LEA, at=DAWN + 1),
    ]
    period = Period(since=DAWN, until=DAWN + 1)
    assert _asked(journal, *entries, period=period, deeds=[_deeds()]) == []
    assert [spot.index for spot in _asked(journal, period=period)] == [1]


def test_spots_are_found_by_action_outcome_and_person(journal: Journal) -> None:
    entries = [
        did(journal, "case.open", ANNE, INES, at=DAWN),
        did(journal, "case.open", ANNE, LEA, at=DAWN, outcome=Outcome.DENIED),
        did(journal, "case.break_glass", ANNE, LEA, at=DAWN),
    ]
    journal.write(*entries)
    journal.integrate()

    def ask(actions: frozenset[str] | None, **more: object) -> list[int]:
        found = journal.run(lambda connection: spots(connection, LOG, ALL, actions, **more))  # type: ignore[arg-type]
        return [spot.index for spot in found]

    assert ask(None) == [2, 0]
    assert ask(READS) == [0]
    assert ask(None, outcome=Outcome.DENIED) == [1]
    assert ask(None, subjects=frozenset({bytes.fromhex(LEA)})) == [2]
    read = journal.run(lambda connection: shown(connection, LOG, [0, 2, 7]))
    assert {index: one.entry for index, one in read.items()} == {0: entries[0], 2: entries[2]}


def test_what_is_read_during_a_persons_own_stretches_is_one_spot_a_day(journal: Journal) -> None:
    ines, lea = bytes.fromhex(INES), bytes.fromhex(LEA)
    journal.write(
        did(journal, "case.close", ANNE, INES, at=DAWN),
        did(journal, "case.open", ANNE, INES, at=DAWN + HOUR - 1),
        did(journal, "case.open", ANNE, INES, LEA, at=DAWN + HOUR),
        did(journal, "case.open", ANNE, INES, at=DAWN + 2 * HOUR),
        did(journal, "case.open", ANNE, INES, at=DAWN + 3 * HOUR),
        did(journal, "case.reopen", BEA, INES, at=DAWN + 4 * HOUR),
        did(journal, "case.open", ANNE, LEA, at=DAWN + 5 * HOUR),
    )
    journal.integrate()
    stretches = {
        ines: [Period(since=DAWN + HOUR, until=DAWN + 3 * HOUR)],
        lea: [Period(since=DAWN + 5 * HOUR, until=ALWAYS)],
    }
    found = journal.run(lambda connection: read_during(connection, LOG, ALL, READS, stretches))
    assert [(spot.index, spot.times, spot.last) for spot in found] == [
        (6, 1, DAWN + 5 * HOUR),
        (2, 2, DAWN + 2 * HOUR),
    ]
    assert journal.run(lambda connection: read_during(connection, LOG, ALL, READS, {})) == []
    moves = frozenset({"case.close", "case.reopen"})
    done = journal.run(lambda connection: deeds_to(connection, LOG, DAWN + 4 * HOUR + 1, moves))
    assert done == {ines: [(DAWN, "case.close"), (DAWN + 4 * HOUR, "case.reopen")]}
