"""Exact order statistics (the n-th smallest of many values) in bounded memory: by counting, not by sorting.

Values are counted in ranges that get narrower with each pass. Frames have the columns of a lane, and `value`.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

import polars as pl

from drills.judge.keys import LANE, LaneKey

WIDTHS = (1 << 20, 1 << 10, 1)
"""Width of the ranges of each pass, in ns: a pass divides a range of the one before into at most 1024."""

Sought = tuple[LaneKey, int]
"""A lane and the position of a value in its sorted values, from 0."""


@dataclass(frozen=True)
class _Place:
    """Where a sought value lies: in this range, at this position among the values of the range."""

    range: int
    position: int


def counted(values: pl.LazyFrame) -> dict[LaneKey, int]:
    """Return how many values each lane has."""
    rows = values.group_by(LANE).len().collect(engine="streaming").rows()
    return {(source, target, connection): count for source, target, connection, count in rows}


def order_statistics(values: pl.LazyFrame, sought: Iterable[Sought]) -> dict[Sought, int]:
    """Return the value at each position of each lane; a position must be less than the number of values."""
    places = {(lane, at): _Place(0, at) for lane, at in sought}
    ranged = values.with_columns(outer=pl.lit(0, pl.Int64))
    for width in WIDTHS:
        ranged = ranged.with_columns(inner=pl.col("value") // width)
        counts = _counts(ranged, {(lane, place.range) for (lane, _), place in places.items()})
        places = {(lane, at): _narrow(counts[lane, place.range], place) for (lane, at), place in places.items()}
        ranged = ranged.drop("outer").rename({"inner": "outer"})
    return {key: place.range for key, place in places.items()}


def _counts(values: pl.LazyFrame, wanted: set[tuple[LaneKey, int]]) -> dict[tuple[LaneKey, int], list[tuple[int, int]]]:
    """Return, for each wanted range, its narrower ranges in order, with the number of values in each."""
    rows = [(*lane, number) for lane, number in sorted(wanted)]
    schema = {**dict.fromkeys(LANE, pl.String()), "outer": pl.Int64()}
    asked = pl.LazyFrame(rows, schema=schema, orient="row")
    key = (*LANE, "outer")
    found = values.join(asked, on=key, how="semi").group_by(*key, "inner").len().collect(engine="streaming")
    counts: dict[tuple[LaneKey, int], list[tuple[int, int]]] = {}
    for source, target, connection, outer, inner, count in found.sort(*key, "inner").iter_rows():
        counts.setdefault(((source, target, connection), outer), []).append((inner, count))
    return counts


def _narrow(counts: list[tuple[int, int]], place: _Place) -> _Place:
    upto = list(accumulate(count for _, count in counts))
    at = bisect_right(upto, place.position)
    return _Place(counts[at][0], place.position - upto[at] + counts[at][1])
