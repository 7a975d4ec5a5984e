"""Did the mesh itself write down whom it turned away: drops in its own flow log, edge by edge and node by node."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import msgspec
import polars as pl

from drills.judge.checks.lanes import WAS_MADE, on_edges
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
    """The mesh's own record shows drops of each edge as long as its calls are not served.

    Calls that nobody served may go on for max_gap_s until the next drop of their edge is on record. on: VICTIM or
    BYSTANDER, to count only drops on that node; which node a refused call would have reached is not known, so it must
    be an edge whose calls reach both all the time. reasons: the mesh's words for a drop that count, "" for any.
    Reads events DropCount and DropLogRead of the nodes that the facts of the run name.
    """
    need_edges(edges)
    if on not in (None, *PLACES):
        raise ValueError(f"on is {on!r}, expected {' or '.join(PLACES)}, or None for every node")
    where = "" if on is None else f" on the {on}"
    why = f" as {' or '.join(reasons)}" if reasons else ""
    says = f"calls that are not served are on the mesh's own record{where}{why}, at least every {max_gap_s:g} s"
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
    """Calls of an edge that were made and that nobody served, against the drops on record.

    gap_ns: the longest time without such a call. unseen_ns: how long they went on at most and no drop came.
    unseen_at_ns: when they first began to go on for too long.
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
    harms = [Example(row.subject, at_ns, "no drop on record") for row, at_ns in judged if at_ns is not None]
    return Measurement(
        truth=truth,
        reason=deciding_reason(rows, truth),
        rows=rows,
        examples=tuple(harms[:MAX_EXAMPLES]),
        at_ns=min((harm.at_ns for harm in harms), default=None),
    )


def _nodes(history: History, on: str | None) -> tuple[str, ...]:
    """Return the nodes whose record counts; none when the facts of the run do not name them."""
    asked = history.facts.drop_nodes
    return asked if on is None else tuple(node for node in asked if node == history.facts.placed.get(on))


def _doubts(history: History, nodes: tuple[str, ...]) -> Iterator[str]:
    """Yield every reason why a drop that happened might not be on record."""
    if not nodes:
        yield "no node is named whose record of drops was to be read"
    reads = history.of_kind(DropLogRead)
    for node in nodes:
        errors = [read.detail.error for read in reads if read.detail.node == node]
        if not errors:
            yield f"nobody read the record of drops of node {node}"
        yield from (f"the record of drops of node {node} could not be read: {error}" for error in errors if error)


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
        why = f"calls went unserved for {unserved.unseen_ns / NS_PER_S:.3f} s with no drop on record, {at_most}"
        return Truth.FALSE, why
    if unserved.calls < bounds.min_samples:
        return Truth.UNKNOWN, f"{unserved.calls} calls went unserved, needs {bounds.min_samples}"
    if gap_s > bounds.max_gap_s:
        return Truth.UNKNOWN, f"no call went unserved for {gap_s:.3f} s, {at_most}"
    if not drops:  # a stretch too short for a gap is no proof that anybody wrote anything down
        return Truth.UNKNOWN, "no drop is on record, and too few calls went unserved to tell"
    return Truth.TRUE, ""


def _unserved(history: History, window: Window, edge: Edge, seen_ns: list[int], max_gap_ns: int) -> _Unserved:
    """Look at each stretch of calls with no drop in between; a pause of the callers ends a stretch, too."""
    made = history.calls_in(window).filter(on_edges((edge,)), pl.col("scheduled_ns").is_not_null(), WAS_MADE, ~SERVED)
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
