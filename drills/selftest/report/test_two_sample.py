"""The interval of a difference: exact, and silent where the numbers are too few."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.report.compare import two_sample
from drills.report.compare.two_sample import CHANCE, all_in_one_part, difference

NUMBERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=8)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (1, 18)])
def test_few_runs_tell_nothing(sizes: tuple[int, int]) -> None:
    """However far apart they lie, so few numbers could have fallen so by chance: no end of an interval."""
    old, new = sizes
    found = difference([float(it) for it in range(old)], [1e9 + it for it in range(new)])
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("sizes", [(3, 3), (1, 19), (19, 1), (2, 6)])
def test_the_least_that_tells_needs_full_separation(sizes: tuple[int, int]) -> None:
    """At the least sizes the lower end is the smallest of all differences."""
    old, new = sizes
    found = difference([float(it) for it in range(old)], [100.0 + it for it in range(new)])
    assert found.low == 100 - (old - 1)
    assert found.high == 100 + new - 1


@pytest.mark.parametrize(("old", "new"), [(1, 1), (2, 3), (3, 3), (4, 2)])
def test_orders_are_counted_as_by_hand(old: int, new: int) -> None:
    """How often each number of inversions occurs is what writing down every order gives."""
    counts = [0] * (old * new + 1)
    for places in itertools.combinations(range(old + new), new):
        rest = [place for place in range(old + new) if place not in places]
        counts[sum(place < other for place in places for other in rest)] += 1
    assert two_sample._orders(old, new) == counts


def test_the_lower_end_is_wrong_as_seldom_as_it_says() -> None:
    """Over every way in which eight equal runs can fall into two fours, a low end above zero is a chance of <= 5 %."""
    wrong, ways = 0, 0
    for places in itertools.combinations(range(8), 4):
        new = [float(place) for place in places]
        old = [float(place) for place in range(8) if place not in places]
        low = difference(old, new).low
        assert low is not None
        wrong, ways = wrong + (low > 0), ways + 1
    assert 0 < Fraction(wrong, ways) <= CHANCE


@given(old=NUMBERS, new=NUMBERS)
def test_the_interval_holds_its_estimate(old: list[float], new: list[float]) -> None:
    """The estimate lies inside the interval wherever there is one, and turning the sides round turns the sign."""
    found, back = difference(old, new), difference(new, old)
    if found.low is not None and found.high is not None:
        assert found.low <= found.estimate <= found.high
    assert found.estimate == pytest.approx(-back.estimate)
    assert (found.low is None) == (back.low is None)


def test_more_numbers_than_needed_are_left_out() -> None:
    """Thousands of seconds are no reason to count for hours."""
    found = difference([0.0] * 5000, [1.0] * 5000)
    assert (len(found.old), found.low) == (two_sample.MOST, 1.0)


def test_chance_of_a_bad_part() -> None:
    """One bad of four: that the one new run is the bad one is a quarter; of two bad in four both, a sixth."""
    assert all_in_one_part(1, 4, 1) == 1 / 4
    assert all_in_one_part(2, 4, 2) == pytest.approx(1 / 6)
