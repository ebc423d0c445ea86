"""Medians over rounds, ratios inside a round, percentiles by nearest rank."""

import pytest

from bench.figures import Figures, Round, figures, percentile, ratio


def a_round(cpu_ms: float, *seconds: float) -> Round:
    return Round(cpu_ms, database_ms=cpu_ms / 2, per_second=1_000 / cpu_ms, seconds=seconds or (0.001,))


@pytest.mark.parametrize(("of_hundred", "value"), [(1, 1), (50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentile_of_a_hundred_values_is_the_value_of_that_rank(of_hundred: int, value: int) -> None:
    assert percentile(list(reversed(range(1, 101))), of_hundred) == value


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([5.0], 99) == 5.0
    assert percentile([1.0, 9.0], 50) == 1.0
    assert percentile([1.0, 9.0], 51) == 9.0


def test_one_bad_round_does_not_move_the_figures() -> None:
    usual = (0.001, 0.002, 0.003)
    found = figures([a_round(2.0, *usual), a_round(2.0, *usual), a_round(50.0, 7.0)])
    assert found == Figures(2.0, 1.0, 500.0, p50_ms=2.0, p95_ms=3.0, p99_ms=3.0)


def test_a_ratio_is_taken_inside_each_round() -> None:
    # The machine was three times slower in the second round, for both.
    mine, other = [a_round(1.0), a_round(3.0)], [a_round(2.0), a_round(6.0)]
    assert ratio(mine, other) == 0.5


def test_a_ratio_needs_both_in_every_round() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([a_round(1.0)], [])
