"""What stands out among entries, or is drawn among them, whatever the order they come in."""

from datetime import UTC, datetime
from uuid import UUID

from audit.review import Spot
from audit.standing_out import sampled
from tests.audit.journal import LOG

ANNE = "00000000-0000-4000-8000-00000000000a"
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
