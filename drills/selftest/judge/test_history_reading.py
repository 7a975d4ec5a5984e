"""Reading millions of calls in little memory changes no number: callers and spreads are exact."""

import random
from collections.abc import Sequence
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.judge import caller_ids, slices
from drills.judge.caller_ids import caller_ids_of
from drills.judge.gaps import Spread
from drills.judge.keys import CALLER
from drills.judge.records import Window
from drills.judge.slices import chunks
from drills.selftest.doubles.story import START_NS, Story

EDGE = ("checkout", "payment")
QUICK = settings(max_examples=30, deadline=None)

instants = st.lists(st.integers(0, 50), max_size=20)


def widest(values: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the widest step between neighbours, and the first value at which it begins."""
    ordered = sorted(values)
    steps = [(after - before, before) for before, after in pairwise(ordered)]
    return max(steps, key=lambda step: step[0], default=(None, None))


@QUICK
@given(instants)
def test_a_spread_is_what_sorting_shows(values: list[int]) -> None:
    """First, last and widest step are those of the sorted values; a value that is missing is none of them."""
    found = Spread.of(pl.Series([None, *values], dtype=pl.Int64))
    assert (found.first_ns, found.last_ns) == (min(values, default=None), max(values, default=None))
    assert (found.widest_ns, found.widest_at_ns) == widest(values)


@QUICK
@given(instants, st.integers(0, 50))
def test_two_spreads_make_one(values: list[int], cut: int) -> None:
    """The spread of all instants is that of the earlier ones followed by that of the later ones."""
    parts = ([v for v in values if v < cut], [v for v in values if v >= cut])
    early, late = (Spread.of(pl.Series(part, dtype=pl.Int64)) for part in parts)
    together = Spread.of(pl.Series(values, dtype=pl.Int64))
    window = Window("run", -1, 60)
    assert early.followed_by(late).stretch(window) == together.stretch(window)


def test_every_caller_has_a_number_of_its_own() -> None:
    """Each row's number names the caller that made it; a row that only a server saw has no caller."""
    story = Story().steady(EDGE, (EDGE[1], EDGE[0])).fault().served_only(*EDGE)
    ids = caller_ids_of(story.table().lazy())
    rows = story.table().select(*CALLER, number=ids.number)
    assert len(ids.names) == 5
    assert all(ids.names[number] == names for *key, number in rows.rows() if (names := tuple(key)))


def test_callers_that_would_share_a_number_get_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed that gives two callers one number is not used: no caller ever hides behind another."""
    really = caller_ids._number
    same = pl.col("pod").is_null().cast(pl.UInt64)
    monkeypatch.setattr(caller_ids, "_number", lambda columns, seed: really(columns, seed) if seed == 3 else same)
    ids = caller_ids_of(Story().steady(EDGE).table().lazy())
    assert len(ids.names) == 2


@QUICK
@given(st.integers(1, 9))
def test_slices_and_stretches_hold_every_row_once(rows: int) -> None:
    """Cut by time or by place, with instants that are missing or beyond the window, no row is lost or doubled."""
    shuffled = random.Random(rows)  # noqa: S311 - an order, no secret
    times = [None, *(START_NS + shuffled.randrange(-10, 40) for _ in range(30))]
    calls = pl.LazyFrame({"row": range(len(times)), "started_ns": times}, schema_overrides={"started_ns": pl.Int64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "ROWS_PER_SLICE", rows)
        by_time = [part.collect() for part in slices.slices(calls, Window("w", START_NS, START_NS + 30), len(times))]
        by_place = [part.collect() for part in chunks(calls, len(times))]
    assert sorted(pl.concat(by_time)["row"]) == pl.concat(by_place)["row"].to_list() == list(range(len(times)))
    bounds = [(part["started_ns"].min(), part["started_ns"].max()) for part in by_time if part["started_ns"].count()]
    assert bounds == sorted(bounds)
