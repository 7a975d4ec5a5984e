"""How far calls reach: harm outside the failed part, and connections that are new from end to end."""

from dataclasses import replace
from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.lanes import Lane, lanes, on_edges
from drills.judge.checks.tally import Ruled, all_true, lanes_measured, need_edges
from drills.judge.checks.traffic import success_rate
from drills.judge.history import History
from drills.judge.measure import Edge, Invariant, Measurement, Number, Occurrence, Parameter, Truth
from drills.judge.records import NEW, PLACES, Window


def blast_radius(
    *edges: Edge, within: tuple[str, ...], at_least: float = 0.999, min_samples: int = 20, max_gap_s: float = 2.0
) -> Invariant:
    """Only these nodes, pods and services show harm: all other calls of the edges succeed as success_rate demands.

    A call is within when its caller's node, pod or service is, or the service it calls, or the pod that answered. An
    edge whose calls are all within is left out. VICTIM and BYSTANDER stand for the nodes that the facts of the run
    name.
    """
    need_edges(edges)
    if not within:
        raise ValueError("blast_radius needs the names of what may fail: nodes, pods or services")
    bounds = {"at_least": at_least, "min_samples": min_samples, "max_gap_s": max_gap_s}
    judged = partial(_outside, edges, within, at_least, min_samples, max_gap_s)
    params: dict[str, Parameter] = {"within": within, **bounds}
    return Invariant("blast_radius", f"only {', '.join(within)} shows harm", judged, params, edges)


def handshake(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """Calls succeeded whose connection was new from end to end, so each needed a handshake of its own.

    Proxies keep connections to each other open whatever the application does. So only edges count on which, by the
    facts of the run, the mesh opens a connection for each call. Too few calls of new pods decide nothing.
    """
    need_edges(edges)
    params: dict[str, Number] = {"min_samples": min_samples}
    says = f"{min_samples} calls succeed on connections that are new from end to end"
    return Occurrence("handshake", says, partial(_handshake, edges, min_samples), params, edges)


def _outside(
    edges: tuple[Edge, ...],
    within: tuple[str, ...],
    at_least: float,
    min_samples: int,
    max_gap_s: float,
    history: History,
    window: Window,
) -> Measurement:
    placed = history.facts.placed
    unnamed = [name for name in within if name in PLACES and not placed.get(name)]
    if unnamed:
        return Measurement(Truth.UNKNOWN, f"the facts of the run do not name the {' and the '.join(unnamed)} node")
    places = ("node", "pod", "source", "target", "server_pod", "served_pod")
    names = [placed.get(name, name) for name in within]
    is_within = pl.any_horizontal(pl.col(place).is_in(names).fill_null(value=False) for place in places)
    outside = history.judged.filter(~is_within)
    seen = outside.filter(on_edges(edges), pl.col("scheduled_ns").is_not_null()).select("source", "target", "pod")
    found = seen.unique().collect(engine="streaming").rows()
    asked = tuple(edge for edge in edges if edge in {row[:2] for row in found})
    if not asked:
        return Measurement(Truth.UNKNOWN, "every call of these edges is within the failed part: none is left to judge")
    callers = tuple(c for c in history.facts.callers if (c.source, c.target, c.pod) in set(found))
    facts = msgspec.structs.replace(history.facts, callers=callers)
    others = replace(history, calls=outside, facts=facts, whole=history)
    rest = success_rate(*asked, at_least=at_least, min_samples=min_samples, max_gap_s=max_gap_s)
    return rest.evaluate(others, window)


def _handshake(edges: tuple[Edge, ...], min_samples: int, history: History, window: Window) -> Measurement:
    def rule(lane: Lane) -> Ruled:
        if lane.edge not in history.facts.fresh_edges:
            return Ruled(lane, Truth.UNKNOWN, "the mesh is not known to open a connection for each call of this edge")
        if lane.ok_as_named < min_samples:
            reason = f"{lane.ok_as_named} calls succeeded on new connections, needs {min_samples}"
            return Ruled(lane, lane.if_few, reason)
        return Ruled(lane, Truth.TRUE)

    ruled = tuple(rule(lane) for lane in lanes(history, window, edges) if lane.connection in {NEW, "none"})
    missing = set(edges) - {r.lane.edge for r in ruled}
    truth = all_true([*(r.truth for r in ruled), *(Truth.FALSE for _ in missing)])
    if not ruled:
        return Measurement(truth, "no caller opens new connections on these edges")
    return lanes_measured(ruled, truth, window, ())
