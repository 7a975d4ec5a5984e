"""Does the mesh's own flow log record the calls that it dropped, edge by edge and node by node."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import msgspec
import polars as pl

from drills.judge.checks.lanes import ASKED, on_edges
from drills.judge.checks.security import SERVED
from drills.judge.checks.tally import all_true, deciding_reason, need_edges
from drills.judge.events import DropCount, DropLogRead
from drills.judge.gaps import steps
from drills.judge.history import History
from drills.judge.measure import MAX_EXAMPLES, Edge, Example, Invariant, Measurement, Number, Parameter, Row, Truth
from drills.judge.records import NS_PER_S, PLACES, Window


def drops_witnessed(
    *edges: Edge,
    on: str | None = None,
    reasons: tuple[str, ...] = (),
    max_gap_s: float = 5.0,
    min_samples: int = 20,
) -> Invariant:
    """The mesh's drop log shows drops of each edge as long as its calls are not served.

    Only calls that found an address count: others send nothing that could be dropped. They may stay unserved for
    max_gap_s until the next drop of their edge is logged. on: VICTIM or BYSTANDER, to count only drops on that node;
    which node a refused call would have reached is not known, so use edges whose calls reach both nodes all the time.
    reasons: the drop reasons that count, in the mesh's words; empty for any. Reads events DropCount and DropLogRead of
    the nodes that the facts of the run name.
    """
    need_edges(edges)
    if on not in (None, *PLACES):
        raise ValueError(f"on is {on!r}, expected {' or '.join(PLACES)}, or None for every node")
    where = "" if on is None else f" on the {on}"
    why = f" as {' or '.join(reasons)}" if reasons else ""
    says = f"the mesh's drop log records unserved calls{where}{why} at least every {max_gap_s:g} s"
    params: dict[str, Parameter] = {
        "on": on,
        "reasons": reasons,
        "max_gap_s": max_gap_s,
        "min_samples": min_samples,
    }
    bounds = _Bounds(on, reasons, max_gap_s, min_samples)
    return Invariant("drops_witnessed", says, partial(_witnessed, edges, bounds), params, edges)


class _Bounds(NamedTuple):
    on: str | None
    reasons: tuple[str, ...]
    max_gap_s: float
    min_samples: int


class _Unserved(msgspec.Struct, frozen=True):
    """Calls of an edge that were made and not served, compared with the logged drops.

    gap_ns: the longest time without such a call. unseen_ns: the longest series of them without a logged drop.
    unseen_at_ns: when the first series began that was too long.
    """

    calls: int
    gap_ns: int
    unseen_ns: int
    unseen_at_ns: int | None


def _witnessed(edges: tuple[Edge, ...], bounds: _Bounds, history: History, window: Window) -> Measurement:
    nodes = _nodes(history, bounds.on)
    doubt = next(_doubts(history, nodes), "")
    if doubt:
        return Measurement(Truth.UNKNOWN, doubt)
    drops = [drop for drop in history.of_kind(DropCount) if drop.detail.node in nodes]
    judged = [_judge_edge(edge, bounds, history, window, drops) for edge in edges]
    rows = tuple(row for row, _ in judged)
    truth = all_true([row.truth for row in rows])
    harms = [Example(row.subject, at_ns, "no drop logged") for row, at_ns in judged if at_ns is not None]
    return Measurement(
        truth=truth,
        reason=deciding_reason(rows, truth),
        rows=rows,
        examples=tuple(harms[:MAX_EXAMPLES]),
        at_ns=min((harm.at_ns for harm in harms), default=None),
    )


def _nodes(history: History, on: str | None) -> tuple[str, ...]:
    """Return the nodes whose drop log counts; none when the facts of the run do not name them."""
    asked = history.facts.drop_nodes
    return asked if on is None else tuple(node for node in asked if node == history.facts.placed.get(on))


def _doubts(history: History, nodes: tuple[str, ...]) -> Iterator[str]:
    """Yield every reason why a drop that happened might not be logged."""
    if not nodes:
        yield "the facts of the run name no node whose drop log must be read"
    reads = history.of_kind(DropLogRead)
    for node in nodes:
        errors = [read.detail.error for read in reads if read.detail.node == node]
        if not errors:
            yield f"the drop log of node {node} was not read"
        yield from (f"the drop log of node {node} could not be read: {error}" for error in errors if error)


def _judge_edge(
    edge: Edge, bounds: _Bounds, history: History, window: Window, drops: list[DropCount]
) -> tuple[Row, int | None]:
    """Return the row of an edge, and the instant of its first harm."""
    name = f"{edge[0]}->{edge[1]}"
    of_edge = [drop for drop in drops if drop.subject == name]
    counted = [drop for drop in of_edge if not bounds.reasons or drop.detail.reason in bounds.reasons]
    seen_ns = sorted(at_ns for drop in counted for at_ns in drop.instants)
    unserved = _unserved(history, window, edge, seen_ns, round(bounds.max_gap_s * NS_PER_S))
    found: Counter[str] = Counter()
    for drop in of_edge:
        if window.holds(drop.at_ns):
            found[drop.detail.reason] += drop.detail.count
    numbers: dict[str, Number] = {
        "unserved": unserved.calls,
        "drops": found.total(),
        "longest_unseen_s": round(unserved.unseen_ns / NS_PER_S, 3),
        **{f"reason {reason}": count for reason, count in sorted(found.items())},
    }
    truth, why = _rule(unserved, found.total(), bounds)
    return Row(name, "", truth, numbers, why), unserved.unseen_at_ns


def _rule(unserved: _Unserved, drops: int, bounds: _Bounds) -> tuple[Truth, str]:
    gap_s, at_most = unserved.gap_ns / NS_PER_S, f"at most {bounds.max_gap_s:g} s may pass"
    if unserved.unseen_at_ns is not None:
        why = f"calls were unserved for {unserved.unseen_ns / NS_PER_S:.3f} s with no drop logged, {at_most}"
        return Truth.FALSE, why
    if unserved.calls < bounds.min_samples:
        return Truth.UNKNOWN, f"{unserved.calls} calls were unserved, needs {bounds.min_samples}"
    if gap_s > bounds.max_gap_s:
        return Truth.UNKNOWN, f"no call was unserved for {gap_s:.3f} s, {at_most}"
    if not drops:  # a series too short for a gap does not prove that drops are logged
        return Truth.UNKNOWN, "no drop is logged, and too few calls were unserved to decide"
    return Truth.TRUE, ""


def _unserved(history: History, window: Window, edge: Edge, seen_ns: list[int], max_gap_ns: int) -> _Unserved:
    """Examine each series of calls with no drop in between; a pause of the callers also ends a series."""
    made = history.calls_in(window).filter(on_edges((edge,)), pl.col("scheduled_ns").is_not_null(), ASKED, ~SERVED)
    at_ns, drops_ns = pl.col("at_ns"), pl.Series(seen_ns, dtype=pl.Int64)
    calls = made.select(at_ns=pl.col("started_ns").clip(window.start_ns, window.end_ns)).sort("at_ns").collect()
    stretches = (
        calls.with_columns(
            next_drop=drops_ns.search_sorted(calls["at_ns"], side="left"),
            part=(at_ns.diff() > max_gap_ns).fill_null(value=False).cum_sum(),
        )
        .group_by("next_drop", "part")
        .agg(first_ns=at_ns.min(), length_ns=at_ns.max() - at_ns.min())
    )
    unseen = stretches.select(
        unseen_ns=pl.col("length_ns").max().fill_null(0),
        unseen_at_ns=pl.col("first_ns").filter(pl.col("length_ns") > max_gap_ns).min(),
    )
    instants_ns = pl.concat([pl.Series([window.start_ns]), calls["at_ns"], pl.Series([window.end_ns])])
    numbers = {"calls": calls.height, "gap_ns": steps(instants_ns).max()}
    return msgspec.convert({**unseen.row(0, named=True), **numbers}, _Unserved)
