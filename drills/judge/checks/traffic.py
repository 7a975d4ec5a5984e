"""Ordinary traffic: success rate, outages, the canary's share, and whether calls were made at all."""

from collections.abc import Callable
from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.harms import lost_calls
from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
from drills.judge.checks.shares import COARSEST, Share, Shares
from drills.judge.checks.tally import (
    TWO_SIDED_95,
    Ruled,
    all_true,
    deciding_reason,
    examples_due,
    lanes_measured,
    need_edges,
    wilson,
)
from drills.judge.cohorts import subject_of
from drills.judge.history import History
from drills.judge.keys import CohortKey
from drills.judge.measure import Edge, Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.records import NEW, NS_PER_S, REUSED, Window

PARTS = 4
"""split_ratio judges so many parts of its window by themselves, where they have enough calls."""


def success_rate(
    *edges: Edge,
    at_least: float,
    connection: str | None = None,
    min_samples: int = 20,
    max_gap_s: float = 2.0,
    resolves: float = COARSEST,
) -> Invariant:
    """At least this share of calls succeeds, and no caller waits max_gap_s for a success, per lane.

    FALSE when the 95 % interval of a lane's share, or of the share of all lanes together, lies below at_least. A lane
    that lost calls and is not out by itself is TRUE where all lanes together meet at_least, else UNKNOWN. A TRUE lane
    needs enough calls to have shown a loss of the share `resolves` (60 calls for 5 %).

    A share alone would hide an outage in a long window. A call with an unknown outcome did not succeed. connection: NEW
    or REUSED, to count only calls on such connections; None for both. A reused lane needs min_samples successes that
    really travelled on a reused connection.
    """
    need_edges(edges)
    if not 0 < at_least <= 1:
        raise ValueError(f"at_least is {at_least}, expected a share above 0 and at most 1")
    if connection not in (None, NEW, REUSED):
        raise ValueError(f"connection is {connection!r}, expected {NEW} or {REUSED}, or None for both")

    def rule(shares: Shares, lane: Lane) -> Ruled:
        outage = _rule_outage(lane, max_gap_s, min_samples)
        if lane.calls < min_samples:
            return outage
        truth, reason = shares.decide(_loss(lane))
        return outage if truth is not Truth.FALSE and outage.truth is not Truth.TRUE else Ruled(lane, truth, reason)

    most = round(1 - at_least, 12)  # 1 - 0.999 is a little more than 0.001
    params: dict[str, Number] = {"at_least": at_least, "min_samples": min_samples, "max_gap_s": max_gap_s}
    params |= {} if resolves == COARSEST else {"resolves": resolves}
    params |= {} if connection is None else {"connection": connection}
    on = "" if connection is None else f" on {connection} connections"
    says = f"at least {at_least:.4g} of the calls{on} succeed, with no {max_gap_s:g} s without a success"
    return Invariant("success_rate", says, partial(_rate, edges, rule, (most, resolves), connection), params, edges)


def availability(*edges: Edge, max_outage_s: float, min_samples: int = 20) -> Invariant:
    """No caller waits longer than max_outage_s for its next success."""
    need_edges(edges)

    def rule(lane: Lane) -> Ruled:
        return _rule_outage(lane, max_outage_s, min_samples)

    params = {"max_outage_s": max_outage_s, "min_samples": min_samples}
    says = f"no caller is without a success for {max_outage_s:g} s"
    return Invariant("availability", says, partial(_flow, edges, rule), params, edges)


def split_ratio(
    *edges: Edge, version: str, weight: float, tolerance: float = 0.05, min_samples: int = 100
) -> Invariant:
    """The version serves the weight's share of the successful calls, within the tolerance, at 95 % confidence.

    TRUE when Wilson's interval lies inside the tolerance, FALSE when it lies outside, else UNKNOWN. FALSE, too, when it
    lies outside in one of up to four equal parts of the window: a share of 0 and then of twice the weight is not kept.
    """
    need_edges(edges)
    params: dict[str, Number] = {
        "version": version,
        "weight": weight,
        "tolerance": tolerance,
        "min_samples": min_samples,
    }
    says = f"version {version} serves {weight:.4g} ± {tolerance:.4g} of the calls"
    judge_share = partial(_rule_share, weight=weight, tolerance=tolerance, min_samples=min_samples)
    return Invariant("split_ratio", says, partial(_split, edges, version, judge_share), params, edges)


def attempted(*edges: Edge, connection: str | None = None, min_samples: int = 20) -> Occurrence:
    """Calls were made on each edge; with a connection, calls that really travelled on a "new" or "reused" one.

    Too few calls of new pods decide nothing.
    """
    need_edges(edges)
    params = {"connection": connection, "min_samples": min_samples}
    says = f"{min_samples} calls are made on {connection or 'any'} connections"
    return Occurrence("attempted", says, partial(_attempted, edges, connection, min_samples), params, edges)


def _rule_outage(lane: Lane, max_outage_s: float, min_samples: int) -> Ruled:
    outage_s, gap_s = lane.outage.length_ns / NS_PER_S, lane.gap.length_ns / NS_PER_S
    if lane.calls < min_samples:
        return Ruled(lane, Truth.UNKNOWN, f"{lane.calls} calls, needs {min_samples}")
    if gap_s > max_outage_s:
        return Ruled(lane, Truth.UNKNOWN, f"no call was made for {gap_s:.3f} s, at most {max_outage_s:g} s may pass")
    if outage_s > max_outage_s:
        return Ruled(lane, Truth.FALSE, f"{outage_s:.3f} s without a success, at most {max_outage_s:g} s may pass")
    if lane.ok_as_named < min_samples:
        reason = f"{lane.ok_as_named} successes travelled on a {lane.connection} connection, needs {min_samples}"
        return Ruled(lane, Truth.UNKNOWN, reason)
    return Ruled(lane, Truth.TRUE)


def _loss(lane: Lane) -> Share:
    return Share(lane.calls - lane.ok, lane.calls)


def _rate(
    edges: tuple[Edge, ...],
    rule: Callable[[Shares, Lane], Ruled],
    bounds: tuple[float, float],
    connection: str | None,
    history: History,
    window: Window,
) -> Measurement:
    found = lanes(history, window, edges)
    losses = tuple(_loss(lane) for lane in found if connection in (None, lane.connection))
    shares = Shares(losses, bounds[0], "were lost", bounds[1])
    measured = _flow(edges, partial(rule, shares), history, window, connection=connection)
    return msgspec.structs.replace(measured, reason=shares.summary()) if measured.truth is Truth.TRUE else measured


def _flow(
    edges: tuple[Edge, ...],
    rule: Callable[[Lane], Ruled],
    history: History,
    window: Window,
    *,
    connection: str | None = None,
) -> Measurement:
    found = [lane for lane in lanes(history, window, edges) if connection in (None, lane.connection)]
    missing = [edge for edge in edges if edge not in {lane.edge for lane in found}]
    if missing:
        named = ", ".join(f"{source}->{target}" for source, target in missing)
        return Measurement(Truth.UNKNOWN, f"no caller makes {connection} calls on {named}")
    ruled = tuple(rule(lane) for lane in found)
    truth = all_true([r.truth for r in ruled])
    is_harmed = any(r.lane.ok < r.lane.calls for r in ruled)
    asked = on_edges(edges) if connection is None else on_edges(edges) & (pl.col("connection") == connection)
    examples = examples_due(history.due_in(window).filter(asked, ~SUCCEEDED)) if is_harmed else ()
    measured = lanes_measured(ruled, truth, window, examples)
    lost = {r.lane.key[:3] for r in ruled if r.truth is Truth.FALSE}
    return msgspec.structs.replace(measured, harms=lost_calls(history, window, lost))


class _Share(msgspec.Struct, frozen=True):
    source: str
    target: str
    connection: str
    calls: int
    hits: int
    is_new: bool = False
    parts: tuple[dict[str, int], ...] = ()  # hits and calls of each part of the window


def _split(
    edges: tuple[Edge, ...],
    version: str,
    rule: Callable[[int, int], tuple[Truth, str]],
    history: History,
    window: Window,
) -> Measurement:
    served_by = pl.coalesce("served_version", "server_version")
    key = ("source", "target", "connection")
    served = history.calls_in(window).filter(on_edges(edges), SUCCEEDED, served_by.is_not_null())
    length_ns = window.end_ns - window.start_ns
    part = (pl.col("scheduled_ns") - window.start_ns) * PARTS // length_ns
    shares: list[_Share] = []
    for cohort in history.new_pods.by_caller():
        counted = cohort.of(served).group_by(*key, part=part).agg(calls=pl.len(), hits=(served_by == version).sum())
        whole = counted.sort("part").group_by(key).agg(pl.col("calls", "hits").sum(), parts=pl.struct("hits", "calls"))
        found = whole.with_columns(is_new=cohort.is_new).collect(engine="streaming")
        shares += msgspec.convert(found.to_dicts(), list[_Share])
    shares = sorted(shares, key=_place)
    shares += [_Share(*edge, "none", 0, 0) for edge in edges if edge not in {(s.source, s.target) for s in shares}]
    rows = tuple(_share_row(share, rule) for share in shares)
    truth = all_true([row.truth for row in rows])
    return Measurement(truth, deciding_reason(rows, truth), rows)


def _place(share: _Share) -> CohortKey:
    return share.source, share.target, share.connection, share.is_new


def _share_row(share: _Share, rule: Callable[[int, int], tuple[Truth, str]]) -> Row:
    truth, reason = rule(share.hits, share.calls)
    ruled = [rule(part["hits"], part["calls"]) for part in share.parts]
    if truth is not Truth.FALSE and (out := [why for of_part, why in ruled if of_part is Truth.FALSE]):
        truth, reason = Truth.FALSE, f"in a part of the window {out[0]}"
    low, high = wilson(share.hits, share.calls, TWO_SIDED_95) if share.calls else (0.0, 1.0)
    numbers: dict[str, Number] = {
        "calls": share.calls,
        "hits": share.hits,
        "low_95": round(low, 6),
        "high_95": round(high, 6),
    }
    subject = subject_of(share.source, share.target, is_new=share.is_new)
    return Row(subject, share.connection, truth, numbers, reason)


def _rule_share(hits: int, calls: int, *, weight: float, tolerance: float, min_samples: int) -> tuple[Truth, str]:
    if calls < min_samples:
        return Truth.UNKNOWN, f"{calls} calls, needs {min_samples}"
    low, high = wilson(hits, calls, TWO_SIDED_95)
    found = f"{hits} of {calls} calls, 95 % interval {low:.4f} to {high:.4f}"
    if weight - tolerance <= low and high <= weight + tolerance:
        return Truth.TRUE, found
    if high < weight - tolerance or low > weight + tolerance:
        return Truth.FALSE, f"{found} lies outside {weight:.4g} ± {tolerance:.4g}"
    return Truth.UNKNOWN, f"{found} does not decide {weight:.4g} ± {tolerance:.4g}: more calls are needed"


def _attempted(
    edges: tuple[Edge, ...], connection: str | None, min_samples: int, history: History, window: Window
) -> Measurement:
    found = [lane for lane in lanes(history, window, edges) if connection in (None, lane.connection)]
    found_edges = {lane.edge for lane in found}
    ruled = tuple(_rule_attempt(lane, connection, min_samples) for lane in found)
    truths = [r.truth for r in ruled] + [Truth.FALSE for edge in edges if edge not in found_edges]
    truth = all_true(truths)
    if not ruled:
        return Measurement(truth, f"no caller makes {connection} calls on these edges")
    return lanes_measured(ruled, truth, window, ())


def _rule_attempt(lane: Lane, connection: str | None, min_samples: int) -> Ruled:
    made = lane.made - lane.reconnected if connection == REUSED else lane.made
    if made < min_samples:
        return Ruled(lane, lane.if_few, f"{made} calls were made, needs {min_samples}")
    return Ruled(lane, Truth.TRUE)
