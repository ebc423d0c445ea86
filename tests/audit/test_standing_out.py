"""What stands out among entries, or is drawn among them, whatever the order they come in."""

from datetime import UTC, datetime
from uuid import UUID

from audit.review import Spot
from audit.standing_out import runs, sampled
from tests.audit.journal import LOG

ANNE, BEA = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "ab")
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
