"""Durations: how long until calls succeed for good, and how latency compares with the baseline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
from drills.judge.checks.tally import TWO_SIDED_95, Ruled, all_true, examples_due, lanes_measured, need_edges
from drills.judge.history import History
from drills.judge.keys import CALLER, LANE, CohortKey, LaneKey
from drills.judge.measure import Edge, Invariant, Measurement, Number, Truth
from drills.judge.quantiles import counted, order_statistics
from drills.judge.records import NS_PER_MS, NS_PER_S, Window

NEVER_NS = 1 << 62
"""The latency of a call that did not succeed: more than any other, so that a fast failure is not fast."""


def recovery_time(
    *edges: Edge, at_most_s: float, hold_s: float = 1.0, min_samples: int = 20, max_gap_s: float = 2.0
) -> Invariant:
    """The last call that did not succeed was due at most at_most_s after the window's start.

    After it every caller has min_samples successes, over at least hold_s until the window's end. One later failure
    refutes it, also that of a pod that appeared later; `eventually(success_rate(...))` asks the same with a tolerance.
    """
    need_edges(edges)
    bounds = _RecoveryBounds(at_most_s, hold_s, min_samples, max_gap_s)
    says = f"no call fails later than {at_most_s:g} s after the start, seen for {hold_s:g} s"
    return Invariant("recovery_time", says, partial(_recovery, edges, bounds), msgspec.structs.asdict(bounds), edges)


def latency(
    *edges: Edge, quantile: float = 0.99, at_most_times: float = 2.0, slack_ms: float = 5.0, max_gap_s: float = 2.0
) -> Invariant:
    """The quantile of the latency is at most at_most_times that of the baseline plus slack_ms, per lane.

    New pods have no baseline of their own: they are compared with the standing pods of their lane.

    Latency counts from the instant at which the call was due. A call that did not succeed is slower than every other.
    TRUE when the upper end of the quantile's 95 % interval is within the bound, FALSE when the lower end is not, else
    UNKNOWN.
    """
    need_edges(edges)
    if not 0 < quantile < 1:
        raise ValueError(f"quantile is {quantile}, expected a share above 0 and below 1")
    bounds = _LatencyBounds(quantile, at_most_times, slack_ms, max_gap_s)
    says = f"the {quantile:.4g} quantile of the latency is at most {at_most_times:g} times the baseline's"
    return Invariant("latency", says, partial(_latency, edges, bounds), msgspec.structs.asdict(bounds), edges)


class _RecoveryBounds(msgspec.Struct, frozen=True):
    at_most_s: float
    hold_s: float
    min_samples: int
    max_gap_s: float


class _Caller(msgspec.Struct, frozen=True):
    source: str
    target: str
    connection: str
    pod: str
    last_bad_ns: int | None
    ok_after: int
    well_ns: int | None

    @property
    def lane(self) -> LaneKey:
        return self.source, self.target, self.connection


def _recovery(edges: tuple[Edge, ...], bounds: _RecoveryBounds, history: History, window: Window) -> Measurement:
    calls = history.due_in(window).filter(on_edges(edges))
    scheduled = pl.col("scheduled_ns")
    callers = _callers(calls)
    new = history.new_pods.since_ns
    ruled = tuple(
        _rule_recovery(lane, [c for c in callers if (*c.lane, c.pod in new) == lane.key], bounds, window)
        for lane in lanes(history, window, edges)
    )
    truth = all_true([r.truth for r in ruled])
    due_ns = window.start_ns + round(bounds.at_most_s * NS_PER_S)
    return lanes_measured(ruled, truth, window, examples_due(calls.filter(~SUCCEEDED, scheduled > due_ns)))


def _callers(calls: pl.LazyFrame) -> list[_Caller]:
    """Return when each caller failed last and, from a second pass, its successes after that."""
    failed = calls.filter(~SUCCEEDED).group_by(CALLER).agg(last_bad_ns=pl.col("scheduled_ns").max())
    last = failed.collect(engine="streaming").lazy()
    succeeded = calls.filter(SUCCEEDED).join(last, on=CALLER, how="left")
    is_after = (pl.col("scheduled_ns") > pl.col("last_bad_ns")).fill_null(value=True)
    well = succeeded.filter(is_after).group_by(CALLER).agg(ok_after=pl.len(), well_ns=pl.col("ended_ns").min())
    found = well.collect(engine="streaming").lazy().join(last, on=CALLER, how="full", coalesce=True)
    return msgspec.convert(found.with_columns(pl.col("ok_after").fill_null(0)).collect().to_dicts(), list[_Caller])


def _rule_recovery(lane: Lane, callers: Sequence[_Caller], bounds: _RecoveryBounds, window: Window) -> Ruled:
    last_bad_ns = max((c.last_bad_ns for c in callers if c.last_bad_ns is not None), default=None)
    gap_s = lane.gap.length_ns / NS_PER_S
    fewest = min((c.ok_after for c in callers), default=0)
    if last_bad_ns is not None and last_bad_ns - window.start_ns > bounds.at_most_s * NS_PER_S:
        late_s = (last_bad_ns - window.start_ns) / NS_PER_S
        reason = f"a call due {late_s:.3f} s after the start did not succeed, at most {bounds.at_most_s:g} s may pass"
        return Ruled(lane, Truth.FALSE, reason, {"last_failure_s": round(late_s, 3)})
    if gap_s > bounds.max_gap_s:
        reason = f"no call was made for {gap_s:.3f} s, at most {bounds.max_gap_s:g} s may pass"
        return Ruled(lane, Truth.UNKNOWN, reason)
    if fewest < bounds.min_samples or lane.ok_as_named < bounds.min_samples:
        reason = f"a caller had {fewest} successes after its last failure, {lane.ok_as_named} of the lane as named"
        return Ruled(lane, Truth.UNKNOWN, f"{reason}, needs {bounds.min_samples}")
    started_ns = lane.watched(window).start_ns
    well_ns = started_ns if last_bad_ns is None else max(c.well_ns or window.end_ns for c in callers)
    held_s = (window.end_ns - well_ns) / NS_PER_S
    if held_s < bounds.hold_s:
        return Ruled(lane, Truth.UNKNOWN, f"it held for {held_s:.3f} s, needs {bounds.hold_s:g} s")
    recovery_s = 0.0 if last_bad_ns is None else (well_ns - window.start_ns) / NS_PER_S
    return Ruled(lane, Truth.TRUE, "", {"recovery_s": round(recovery_s, 3)})


class _LatencyBounds(msgspec.Struct, frozen=True):
    quantile: float
    at_most_times: float
    slack_ms: float
    max_gap_s: float


LATENCY_NS = pl.when(SUCCEEDED).then(pl.col("ended_ns") - pl.col("scheduled_ns")).otherwise(NEVER_NS)


@dataclass(frozen=True)
class _Latency:
    """The quantile of one lane with its 95 % interval; high_ns is None when too few calls give no upper end."""

    low_ns: int
    at_ns: int
    high_ns: int | None


def _latencies(calls: pl.LazyFrame, quantile: float) -> dict[LaneKey, _Latency]:
    latencies = calls.select(*LANE, value=LATENCY_NS)
    places = {lane: _positions(count, quantile) for lane, count in counted(latencies).items()}
    sought = {(lane, at) for lane, wanted in places.items() for at in wanted if at is not None}
    found = order_statistics(latencies, sought)
    return {
        lane: _Latency(found[lane, low], found[lane, at], None if high is None else found[lane, high])
        for lane, (low, at, high) in places.items()
    }


def _positions(count: int, quantile: float) -> tuple[int, int, int | None]:
    """Return the positions, in the sorted calls, of the interval's lower end, the quantile, and the upper end."""
    middle = count * quantile
    spread = math.sqrt(middle * (1 - quantile)) * TWO_SIDED_95
    low, at, high = (math.ceil(it) - 1 for it in (middle - spread, middle, middle + spread))
    return max(low, 0), at, high if high < count else None


def _latency(edges: tuple[Edge, ...], bounds: _LatencyBounds, history: History, window: Window) -> Measurement:
    calls = history.due_in(window).filter(on_edges(edges))
    baseline = history.windows().get("baseline")
    # Only successes of the baseline count: a failure there must not raise the limit.
    before = history.due_in(baseline).filter(on_edges(edges), SUCCEEDED) if baseline else calls.clear()
    now = {
        (*key, cohort.is_new): found
        for cohort in history.new_pods.by_caller()
        for key, found in _latencies(cohort.of(calls), bounds.quantile).items()
    }
    limits = {
        key: math.floor(base.at_ns * bounds.at_most_times + bounds.slack_ms * NS_PER_MS)
        for key, base in _latencies(before, bounds.quantile).items()
    }
    ruled = tuple(_rule_latency(lane, now, limits, bounds) for lane in lanes(history, window, edges))
    truth = all_true([r.truth for r in ruled])
    slow = reduce(or_, (_is_slow(key, limit) for key, limit in sorted(limits.items())), pl.lit(value=False))
    return lanes_measured(ruled, truth, window, examples_due(calls.filter(slow)))


def _is_slow(key: LaneKey, limit_ns: int) -> pl.Expr:
    source, target, connection = key
    is_lane = (pl.col("source") == source) & (pl.col("target") == target) & (pl.col("connection") == connection)
    return is_lane & (limit_ns < LATENCY_NS)


def _rule_latency(
    lane: Lane, now: dict[CohortKey, _Latency], limits: dict[LaneKey, int], bounds: _LatencyBounds
) -> Ruled:
    found, limit_ns = now.get(lane.key), limits.get((*lane.edge, lane.connection))
    gap_s = lane.gap.length_ns / NS_PER_S
    if found is None or limit_ns is None:
        return Ruled(lane, Truth.UNKNOWN, "the window or the baseline has no latency to compare")
    numbers: dict[str, Number] = {"quantile_ms": _ms(found.at_ns), "limit_ms": _ms(limit_ns)}
    shown = f"quantile {numbers['quantile_ms']} ms, limit {numbers['limit_ms']} ms"
    if found.low_ns > limit_ns:
        return Ruled(lane, Truth.FALSE, shown.replace("None ms", "beyond every success"), numbers)
    if gap_s > bounds.max_gap_s:
        reason = f"no call was made for {gap_s:.3f} s, at most {bounds.max_gap_s:g} s may pass"
        return Ruled(lane, Truth.UNKNOWN, reason, numbers)
    if found.high_ns is None or found.high_ns > limit_ns:
        return Ruled(lane, Truth.UNKNOWN, f"{shown}: {lane.calls} calls do not decide", numbers)
    return Ruled(lane, Truth.TRUE, "", numbers)


def _ms(length_ns: int) -> Number:
    return None if length_ns >= NEVER_NS else round(length_ns / NS_PER_MS, 3)
