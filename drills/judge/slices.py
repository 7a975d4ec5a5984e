"""Reads a table of calls in slices of bounded size, so that memory does not grow with the length of a run."""

from collections.abc import Iterator

import polars as pl

from drills.judge.records import Window

ROWS_PER_SLICE = 1_000_000
"""A slice of this size needs about 250 MB, the reader included; an ordinary run is one slice."""


def slices(calls: pl.LazyFrame, window: Window, rows: int, *, by: str = "started_ns") -> Iterator[pl.LazyFrame]:
    """Yield every call once, in slices ordered by the instant in a column; rows without one are in the first slice.

    rows: about how many calls lie in the window. Slices have equal lengths in time, so about equal numbers of calls:
    callers call at a fixed rate. Bounds compare the column as stored, so that the reader can skip row groups by their
    statistics.
    """
    count = rows // ROWS_PER_SLICE + 1
    at_ns = pl.col(by)
    length_ns = window.end_ns - window.start_ns
    edges_ns = [window.start_ns + length_ns * number // count for number in range(1, count)]
    if not edges_ns:
        yield calls
        return
    yield calls.filter((at_ns < edges_ns[0]) | at_ns.is_null())
    for after_ns, before_ns in zip(edges_ns, [*edges_ns[1:], None], strict=True):
        part = calls.filter(at_ns >= after_ns)
        yield part if before_ns is None else part.filter(at_ns < before_ns)


def chunks(calls: pl.LazyFrame, rows: int) -> Iterator[pl.LazyFrame]:
    """Yield every row once, in chunks in the order of the table."""
    for offset in range(0, rows, ROWS_PER_SLICE):
        yield calls.slice(offset, ROWS_PER_SLICE)
