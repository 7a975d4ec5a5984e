"""Calls that succeed and take too long: to their caller they were out for that time."""

from collections.abc import Mapping
from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
from drills.judge.checks.shares import COARSEST, Share, Shares
from drills.judge.checks.tally import Ruled, all_true, error_rate_upper_95, examples_due, lanes_measured, need_edges
from drills.judge.history import History
from drills.judge.keys import LANE, CohortKey
from drills.judge.measure import Edge, Invariant, Measurement, Truth
from drills.judge.records import NS_PER_S, Window

FAST_S = 0.9
"""A success that took longer is slow: calls_fast judges it, and a recovery goes on while there are such calls."""

_TOO_FEW = "not judged: too few of its calls succeeded"


def calls_fast(
    *edges: Edge, at_most_s: float = FAST_S, at_least: float = 0.999, min_samples: int = 20, max_gap_s: float = 2.0
) -> Invariant:
    """At least this share of the successes ends within at_most_s of its start, per lane.

    at_most_s: TCP sends a first packet again after 1 s, so a longer call had lost one, and a drill that says that no
    call is lost must not count it as well. No call of a lab that is at rest takes 0.5 s. at_least: decided by interval,
    as success_rate does. A call that failed is not slow; success_rate counts it, and a lane that made enough calls of
    which too few succeeded is not judged here. At least one lane must be.
    """
    need_edges(edges)
    if not 0 < at_least <= 1:
        raise ValueError(f"at_least is {at_least}, expected a share above 0 and at most 1")
    bounds = _Bounds(at_most_s, at_least, min_samples, max_gap_s)
    says = f"at least {at_least:.4g} of the successes end within {at_most_s:g} s"
    return Invariant("calls_fast", says, partial(_fast, edges, bounds), msgspec.structs.asdict(bounds), edges)


class _Bounds(msgspec.Struct, frozen=True):
    at_most_s: float
    at_least: float
    min_samples: int
    max_gap_s: float


def _fast(edges: tuple[Edge, ...], bounds: _Bounds, history: History, window: Window) -> Measurement:
    took_ns = pl.col("ended_ns") - pl.col("started_ns")
    slow = history.due_in(window).filter(on_edges(edges), SUCCEEDED, took_ns > round(bounds.at_most_s * NS_PER_S))
    count = _count(history, slow)
    found = lanes(history, window, edges)
    most = round(1 - bounds.at_least, 12)
    shares = Shares(tuple(_share(lane, count) for lane in found), most, f"took longer than {bounds.at_most_s:g} s")
    ruled = tuple(_rule(lane, count, shares, bounds) for lane in found)
    judged = [r.truth for r in ruled if r.reason != _TOO_FEW]
    truth = all_true(judged or [Truth.UNKNOWN])
    examples = examples_due(slow) if count else ()
    measured = lanes_measured(ruled, truth, window, examples)
    at_ns = examples[0].at_ns if examples else None
    reason = shares.summary() if truth is Truth.TRUE else measured.reason
    return msgspec.structs.replace(measured, at_ns=at_ns, reason=reason)


def _count(history: History, slow: pl.LazyFrame) -> dict[CohortKey, int]:
    """Return the number of slow calls of each lane that has any."""
    return {
        (*key, cohort.is_new): count
        for cohort in history.new_pods.by_caller()
        for *key, count in cohort.of(slow).group_by(LANE).len().collect(engine="streaming").iter_rows()
    }


def _share(lane: Lane, slow: Mapping[CohortKey, int]) -> Share:
    return Share(slow.get(lane.key, 0), lane.ok)


def _rule(lane: Lane, slow: Mapping[CohortKey, int], shares: Shares, bounds: _Bounds) -> Ruled:
    if error_rate_upper_95(0, lane.ok) > COARSEST >= error_rate_upper_95(0, lane.calls):
        return Ruled(lane, Truth.UNKNOWN, _TOO_FEW)
    gap_s, share = lane.gap.length_ns / NS_PER_S, _share(lane, slow)
    truth, reason = shares.decide(share)
    if truth is not Truth.FALSE and lane.ok < bounds.min_samples:
        truth, reason = Truth.UNKNOWN, f"{lane.ok} calls succeeded, needs {bounds.min_samples}"
    elif truth is not Truth.FALSE and gap_s > bounds.max_gap_s:
        truth, reason = Truth.UNKNOWN, f"no call was made for {gap_s:.3f} s, at most {bounds.max_gap_s:g} s may pass"
    return Ruled(lane, truth, reason, {"slow": share.bad})
