"""What stands out among entries, or is drawn among them, whatever the order they come in."""

from datetime import UTC, datetime
from uuid import UUID

from audit.counting import Tally
from audit.review import DAY, Spot
from audit.standing_out import above_peers, runs, sampled
from tests.audit.journal import LOG

ANNE, BEA, CLEO, DORA = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "abcd")
MINUTE = 60_000_000
OCTOBER, NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def _spot(index: int, day: datetime, actor: str | None = ANNE) -> Spot:
    time = int(day.timestamp()) * 1_000_000
    return Spot(index, str(UUID(int=index)), time, actor, 1, time)


def test_a_sample_is_of_each_month_and_the_same_whatever_else_is_asked() -> None:
    october = [_spot(index, OCTOBER) for index in range(30)]
    november = [_spot(index, NOVEMBER) for index in range(30, 33)]
    drawn = sampled(october + november, LOG, 5)
    assert [spot.index for spot in drawn] == sorted((spot.index for spot in drawn), reverse=True)
    assert drawn[:3] == november[::-1]
    assert len(drawn) == 8
    assert sampled(october[::-1], LOG, 5) == drawn[3:]
    # Another log draws others.
    assert sampled(october, bytes(16), 5) != drawn[3:]


def _minutes(actor: str | None, *minutes: int, first: int = 0) -> list[Spot]:
    return [
        Spot(index, str(UUID(int=index)), minute * MINUTE, actor, 1, minute * MINUTE)
        for index, minute in enumerate(minutes, first)
    ]


def test_a_run_is_of_one_member_and_of_so_many_within_the_time() -> None:
    anne = _minutes(ANNE, 0, 1, 2, 12, 60, 64, 70, first=0)
    bea = _minutes(BEA, 3, 4, 20, 29, 38, first=10)
    nobody = _minutes(None, 0, 0, 0, first=20)
    (found,) = runs([*nobody, *bea, *anne[::-1]], 3, 9 * MINUTE)
    assert (found.index, found.times, found.actor) == (0, 3, ANNE)
    # Denials that go on are one row, as long as she does.
    assert [(spot.index, spot.times) for spot in runs(anne, 3, 10 * MINUTE)] == [(4, 3), (0, 4)]
    assert runs(anne, 5, 10 * MINUTE) == runs([], 3, MINUTE) == []


def _days(actor: str, *counts: int) -> list[Tally]:
    return [Tally(actor, day * DAY, count, day, day * DAY) for day, count in enumerate(counts)]


def test_above_peers_is_more_than_so_many_times_their_median_and_never_a_few() -> None:
    roles = {ANNE: "worker", BEA: "worker", CLEO: "reception", DORA: "worker"}
    bea, cleo = _days(BEA, 5, 9, 7), _days(CLEO, 90, 80)
    anne = _days(ANNE, 21, 22, 4)
    # The median of the colleagues of her role is 7: her own days, and the front desk's, are not among theirs.
    assert above_peers([*bea, *cleo, *anne], roles, 3, 20) == [anne[1]]
    assert above_peers([*bea, *cleo, *anne], roles, 3, 23) == []
    assert above_peers([*bea, *_days(DORA, 1, 1, 1), *anne], roles, 3, 20) == anne[:2]


def test_who_is_alone_in_her_role_is_measured_against_her_own_other_days() -> None:
    cleo = _days(CLEO, 30, 91, 30)
    assert above_peers(cleo, {CLEO: "reception"}, 3, 20) == [cleo[1]]
    # And where there is no other day, against nothing.
    assert above_peers(cleo[:1], {CLEO: "reception"}, 3, 20) == cleo[:1]
