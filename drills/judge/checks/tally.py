"""Shared by checks that count calls: rows of lanes, examples, resolving power and confidence intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl

from drills.judge.checks.lanes import Lane
from drills.judge.measure import MAX_EXAMPLES, Edge, Example, Measurement, Number, Resolution, Row, Truth
from drills.judge.records import NS_PER_MS, Window

MAX_REASONS = 3

ONE_SIDED_95 = 1.645
TWO_SIDED_95 = 1.96


@dataclass(frozen=True)
class Ruled:
    """A lane with its own truth, and numbers beyond those that every lane has."""

    lane: Lane
    truth: Truth
    reason: str = ""
    numbers: dict[str, Number] = field(default_factory=dict)


def need_edges(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """Return the edges, or raise ValueError when there are none: a check of nothing is always true."""
    if not edges:
        raise ValueError("the check needs at least one edge: give (source, target) pairs")
    return edges


def all_true(truths: Sequence[Truth]) -> Truth:
    """Return FALSE if any is FALSE, else UNKNOWN if any is UNKNOWN, else TRUE."""
    return next((truth for truth in (Truth.FALSE, Truth.UNKNOWN) if truth in truths), Truth.TRUE)


def any_true(truths: Sequence[Truth]) -> Truth:
    """Return TRUE if any is TRUE, else UNKNOWN if any is UNKNOWN, else FALSE."""
    return next((truth for truth in (Truth.TRUE, Truth.UNKNOWN) if truth in truths), Truth.FALSE)


def lane_rows(ruled: Sequence[Ruled], window: Window) -> tuple[Row, ...]:
    """Return one row per lane."""
    return tuple(
        Row(
            subject=r.lane.subject,
            connection=r.lane.connection,
            truth=r.truth,
            numbers=r.lane.numbers(window) | r.numbers,
            reason=r.reason,
        )
        for r in ruled
    )


def deciding_reason(rows: Sequence[Row], truth: Truth) -> str:
    """Return the reasons of up to MAX_REASONS rows with the deciding truth."""
    decided = [f"{row.subject} {row.connection}: {row.reason}" for row in rows if row.truth is truth and row.reason]
    more = f" (and {len(decided) - MAX_REASONS} more)" if len(decided) > MAX_REASONS else ""
    return "; ".join(decided[:MAX_REASONS]) + more


def lanes_measured(
    ruled: Sequence[Ruled], truth: Truth, window: Window, examples: tuple[Example, ...], *, is_proof: bool = False
) -> Measurement:
    """Return the measurement of a check that was ruled lane by lane."""
    rows = lane_rows(ruled, window)
    harmed = (r.lane.first_bad_ns for r in ruled if r.truth is Truth.FALSE and r.lane.first_bad_ns is not None)
    return Measurement(
        truth=truth,
        reason=deciding_reason(rows, truth),
        rows=rows,
        examples=examples,
        resolution=resolution([r.lane for r in ruled], window),
        at_ns=min(harmed, default=None),
        is_proof=is_proof,
    )


def examples_of(calls: pl.LazyFrame) -> tuple[Example, ...]:
    """Return the first few of these calls as examples."""
    is_due = pl.col("scheduled_ns").is_not_null()
    return _shown(_first_of(calls.filter(is_due), "scheduled_ns"), _first_of(calls.filter(~is_due), "served_ns"))


def examples_due(calls: pl.LazyFrame) -> tuple[Example, ...]:
    """Return the first few of these calls as examples; a caller recorded all of them."""
    return _shown(_first_of(calls, "scheduled_ns"))


def _first_of(calls: pl.LazyFrame, clock: str) -> pl.DataFrame:
    # Ordered by a stored column, so that rows after the first few need not be read.
    first = calls.select("id", "outcome", "error", at_ns=clock).bottom_k(MAX_EXAMPLES, by=["at_ns", "id"])
    shown = first.with_columns(pl.col("outcome").fill_null("seen by the server only"), pl.col("error").fill_null(""))
    return shown.collect(engine="streaming")


def _shown(*firsts: pl.DataFrame) -> tuple[Example, ...]:
    found = pl.concat(firsts).sort("at_ns", "id").head(MAX_EXAMPLES)
    return msgspec.convert(found.to_dicts(), tuple[Example, ...])


def resolution(lanes: Sequence[Lane], window: Window) -> Resolution:
    """Return the resolving power of the weakest lane."""
    gap_ms = round(max(lane.gap.length_ns for lane in lanes) / NS_PER_MS, 3)
    calls = min(lane.made for lane in lanes)
    return Resolution(
        calls=calls,
        calls_per_s=min(lane.calls_per_s(window) for lane in lanes),
        largest_gap_ms=gap_ms,
        shortest_outage_ms=gap_ms,
        error_rate_upper_95=round(max(error_rate_upper_95(lane.made - lane.ok, lane.made) for lane in lanes), 6),
    )


def error_rate_upper_95(failures: int, calls: int) -> float:
    """Return the 95 % upper bound on an error rate: 3/n without a failure, else Wilson's one-sided bound."""
    if failures <= 0:
        return min(1.0, 3 / calls) if calls else 1.0
    return wilson(failures, calls, ONE_SIDED_95)[1]


def wilson(hits: int, calls: int, z: float = TWO_SIDED_95) -> tuple[float, float]:
    """Return Wilson's score interval of a share; calls must be positive."""
    share, weight = hits / calls, z * z / calls
    middle = share + weight / 2
    spread = z * math.sqrt(share * (1 - share) / calls + weight / (4 * calls))
    return max(0.0, (middle - spread) / (1 + weight)), min(1.0, (middle + spread) / (1 + weight))
