"""Are denied calls refused, and did every served peer show its identity."""

from functools import partial
from typing import NamedTuple

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
from drills.judge.checks.liveness import Liveness
from drills.judge.checks.tally import (
    Ruled,
    all_true,
    any_true,
    deciding_reason,
    examples_of,
    lanes_measured,
    need_edges,
)
from drills.judge.cohorts import subject_of
from drills.judge.history import History
from drills.judge.measure import MAX_EXAMPLES, Edge, Example, Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.peers import shows_source
from drills.judge.records import NS_PER_MS, NS_PER_S, Window
from drills.judge.wrong_service import crossed

SERVED = SUCCEEDED | pl.col("served_ns").is_not_null()
"""By either witness: the caller got a good answer, or a server recorded the call."""

_NAMELESS = "not judged: the mesh shows the server no identity on this edge"


def denied(*edges: Edge, min_samples: int = 20, max_gap_s: float = 2.0, max_unasked_s: float = 5.0) -> Invariant:
    """No call of these edges succeeds and no server serves one: both witnesses agree.

    A refusal counts only when the call could have succeeded: it found an address, and in each phase of the
    window the target served another caller on every node on which it has a pod, and every pod of the source either got
    an answer on this edge or had a success elsewhere. A call to another target that a denied one served is served.

    max_unasked_s: how long the calls of a caller may find no address, so that its target is not asked: longer than a
    restart of what resolves names on a node (2 to 3 s).
    """
    need_edges(edges)
    bounds = _Bounds(min_samples, max_gap_s, max_unasked_s)
    says = "every call is refused and none is served"
    return Invariant("denied", says, partial(_denied, edges, bounds), bounds._asdict(), edges)


class _Bounds(NamedTuple):
    min_samples: int
    max_gap_s: float
    max_unasked_s: float


def unauthenticated(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """A server served a call whose peer did not show the identity of the call's source, or showed none.

    An edge on which the mesh shows servers no identity is not judged, and its row says so; at least one must be judged.
    Calls that a new pod made or served are rows of their own: either end may not know the other yet.
    """
    need_edges(edges)
    says = "a call is served whose peer did not show the identity of its source"
    params = {"min_samples": min_samples}
    return Occurrence("unauthenticated", says, partial(_unauthenticated, edges, min_samples), params, edges)


def _denied(edges: tuple[Edge, ...], bounds: _Bounds, history: History, window: Window) -> Measurement:
    on_lane = history.calls_in(window).filter(on_edges(edges))
    only_served = on_lane.filter(pl.col("scheduled_ns").is_null(), SERVED).select("source", "target").unique()
    unclaimed = set(only_served.collect(engine="streaming").rows())
    astray = served_astray(history, window, edges)
    alive = Liveness(history, window, edges)

    def rule(lane: Lane) -> Ruled:
        strayed = sum(crossed_edge == lane.edge for crossed_edge, _ in astray)
        numbers: dict[str, Number] = {"asked": lane.asked, "largest_unasked_gap_ms": lane.unasked.length_ns / NS_PER_MS}
        if lane.ok or lane.served or lane.edge in unclaimed or strayed:
            more = f", and {strayed} calls to another target" if strayed else ""
            reason = f"{lane.ok} calls succeeded, servers served {lane.served} of this lane{more}"
            return Ruled(lane, Truth.FALSE, reason, numbers)
        doubt = _too_little(lane, bounds) or next(alive.doubts(lane), "")
        return Ruled(lane, Truth.UNKNOWN if doubt else Truth.TRUE, doubt, numbers)

    ruled = tuple(rule(lane) for lane in lanes(history, window, edges))
    truth = all_true([r.truth for r in ruled])
    examples = (*examples_of(on_lane.filter(SERVED)), *(example for _, example in astray))[:MAX_EXAMPLES]
    measured = lanes_measured(ruled, truth, window, examples, is_proof=truth is Truth.FALSE)
    at_ns = min((example.at_ns for example in examples), default=None)
    return msgspec.structs.replace(measured, at_ns=at_ns)


def _too_little(lane: Lane, bounds: _Bounds) -> str:
    """Return why too few calls asked the target to speak of a refusal, "" when enough did."""
    gap_s, unasked_s = lane.gap.length_ns / NS_PER_S, lane.unasked.length_ns / NS_PER_S
    if lane.asked < bounds.min_samples:
        return f"{lane.asked} of {lane.made} calls found an address, needs {bounds.min_samples}"
    if gap_s > bounds.max_gap_s:
        return f"no call was made for {gap_s:.3f} s, at most {bounds.max_gap_s:g} s may pass"
    if unasked_s > bounds.max_unasked_s:
        return f"no call found an address for {unasked_s:.3f} s, at most {bounds.max_unasked_s:g} s may pass"
    return ""


def served_astray(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[tuple[Edge, Example], ...]:
    """Return the calls to other targets that a pod of a denied target served, each with the edge that it broke."""
    if not history.crossings:
        return ()
    served = history.calls.filter(crossed(history.crossings), SERVED).with_columns(
        at_ns=pl.coalesce("scheduled_ns", "served_ns"), by=pl.coalesce("served_pod", "server_pod")
    )
    found = served.select("source", "by", "id", "at_ns", "outcome", "error").sort("at_ns", "id").collect()
    broken = []
    for source, pod, call, at_ns, outcome, error in found.iter_rows():
        edge = (source, history.services[pod])
        if edge in edges and window.holds(at_ns):
            broken.append((edge, Example(call, at_ns, outcome or "seen by the server only", error or "")))
    return tuple(broken)


class _Served(msgspec.Struct, frozen=True):
    source: str
    target: str
    connection: str
    served: int
    nameless: int
    wrong: int
    is_new: bool = False


def _unauthenticated(edges: tuple[Edge, ...], min_samples: int, history: History, window: Window) -> Measurement:
    identities = history.facts.identities
    nameless = tuple(edge for edge in edges if edge in history.facts.nameless_edges)
    edges = tuple(edge for edge in edges if edge not in nameless)
    if not edges:
        return Measurement(Truth.UNKNOWN, reason=_NAMELESS, rows=_nameless_rows(nameless))
    served = (
        history.calls_in(window)
        .filter(on_edges(edges), pl.col("served_ns").is_not_null())
        .with_columns(pl.col("connection").fill_null("unknown"), pl.col("peer").fill_null(""))
    )
    lane = ("source", "target", "connection")
    # Peers repeat: each distinct one is examined once.
    seen = [
        cohort.of(served).group_by(*lane, "peer").agg(calls=pl.len()).with_columns(is_new=cohort.is_new)
        for cohort in history.new_pods.by_either_end()
    ]
    shown = pl.concat(pl.collect_all(seen, engine="streaming")).with_columns(fits=shows_source(identities))
    calls, is_nameless = pl.col("calls"), pl.col("peer") == ""
    counted = shown.group_by(*lane, "is_new").agg(
        served=calls.sum(),
        nameless=calls.filter(is_nameless).sum(),
        wrong=calls.filter(~is_nameless, ~pl.col("fits")).sum(),
    )
    groups = msgspec.convert(counted.sort(*lane, "is_new").to_dicts(), list[_Served])
    groups += [_Served(*edge, "none", 0, 0, 0) for edge in edges if edge not in {(g.source, g.target) for g in groups}]
    rows = tuple(_identity_row(group, identities, min_samples) for group in groups)
    truth = any_true([row.truth for row in rows])
    unfit = shown.filter(~pl.col("fits"), pl.col("source").is_in(list(identities))).select(*lane, "peer")
    examples = examples_of(served.join(unfit.lazy(), on=[*lane, "peer"], how="semi")) if unfit.height else ()
    return Measurement(
        truth=truth,
        reason=deciding_reason(rows, truth),
        rows=(*rows, *_nameless_rows(nameless)),
        examples=examples,
        at_ns=examples[0].at_ns if examples else None,
        is_proof=truth is Truth.TRUE,
    )


def _nameless_rows(edges: tuple[Edge, ...]) -> tuple[Row, ...]:
    return tuple(Row(f"{source}->{target}", "any", Truth.UNKNOWN, {}, _NAMELESS) for source, target in edges)


def _identity_row(group: _Served, identities: dict[str, str], min_samples: int) -> Row:
    numbers: dict[str, Number] = {
        "served": group.served,
        "without_identity": group.nameless,
        "wrong_identity": group.wrong,
    }
    truth, reason = _rule_identity(group, identities, min_samples)
    return Row(subject_of(group.source, group.target, is_new=group.is_new), group.connection, truth, numbers, reason)


def _rule_identity(group: _Served, identities: dict[str, str], min_samples: int) -> tuple[Truth, str]:
    if group.source not in identities:
        return Truth.UNKNOWN, f"the facts of the run name no identity for {group.source}"
    if group.nameless or group.wrong:
        reason = f"of {group.served} served calls {group.nameless} showed no identity, {group.wrong} a wrong one"
        return Truth.TRUE, reason
    if group.served < min_samples:
        return Truth.UNKNOWN, f"{group.served} calls were served, needs {min_samples}"
    return Truth.FALSE, ""
