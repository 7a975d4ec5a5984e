"""Many calls, little memory: a window is read slice by slice, and what each slice says is added up."""

from collections.abc import Iterator

import polars as pl

from drills.judge.records import Window

ROWS_PER_SLICE = 500_000
"""A slice of this size needs about 250 MB; a usual run is one slice."""


def slices(calls: pl.LazyFrame, window: Window, *, by: str = "started_ns") -> Iterator[pl.LazyFrame]:
    """Yield every call once, in slices that follow each other by the instant of a column; null counts as scheduled.

    Equal stretches of time hold about equal numbers of calls, because callers call at a fixed rate.
    """
    count = calls.select(pl.len()).collect().item() // ROWS_PER_SLICE + 1
    at_ns = pl.coalesce(by, "scheduled_ns")
    length_ns = window.end_ns - window.start_ns
    edges_ns = [window.start_ns + length_ns * number // count for number in range(1, count)]
    for after_ns, before_ns in zip([None, *edges_ns], [*edges_ns, None], strict=True):
        part = calls if after_ns is None else calls.filter(at_ns >= after_ns)
        yield part if before_ns is None else part.filter(at_ns < before_ns)
