"""Are denied calls refused, and did every served peer show its identity."""

from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
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
from drills.judge.measure import Edge, Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.peers import shows_source
from drills.judge.records import NS_PER_S, Window

SERVED = SUCCEEDED | pl.col("served_ns").is_not_null()
"""By either witness: the caller got a good answer, or a server recorded the call."""

ANSWERS = frozenset({"connect-reset", "reset", "closed", "protocol"})
"""Errors that only something beyond the caller can cause, as can any "http-..." status."""

_NAMELESS = "not judged: the mesh shows the server no identity on this edge"


def denied(*edges: Edge, min_samples: int = 20, max_gap_s: float = 2.0) -> Invariant:
    """No call of these edges succeeds and no server serves one: both witnesses agree.

    A refusal counts only when the call could have succeeded: in the window the target served another caller, and the
    source either got an answer on this edge or had a success elsewhere.
    """
    need_edges(edges)
    params = {"min_samples": min_samples, "max_gap_s": max_gap_s}
    says = "every call is refused and none is served"
    return Invariant("denied", says, partial(_denied, edges, min_samples, max_gap_s), params, edges)


def unauthenticated(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """A server served a call whose peer did not show the identity of the call's source, or showed none.

    An edge on which the mesh shows servers no identity is not judged, and its row says so; at least one must be judged.
    Calls that a new pod made or served are rows of their own: either end may not know the other yet.
    """
    need_edges(edges)
    says = "a call is served whose peer did not show the identity of its source"
    params = {"min_samples": min_samples}
    return Occurrence("unauthenticated", says, partial(_unauthenticated, edges, min_samples), params, edges)


def _denied(
    edges: tuple[Edge, ...], min_samples: int, max_gap_s: float, history: History, window: Window
) -> Measurement:
    calls = history.calls_in(window)
    on_lane = calls.filter(on_edges(edges))
    unclaimed, live_targets, live_sources = (
        set(frame.rows())
        for frame in pl.collect_all(
            [
                on_lane.filter(pl.col("scheduled_ns").is_null(), SERVED).select("source", "target").unique(),
                calls.filter(~on_edges(edges), pl.col("served_ns").is_not_null()).select("target").unique(),
                calls.filter(SUCCEEDED).select("source").unique(),
            ],
            engine="streaming",
        )
    )

    def rule(lane: Lane) -> Ruled:
        spoke = sum(count for error, count in lane.errors if error in ANSWERS or error.startswith("http-"))
        gap_s = lane.gap.length_ns / NS_PER_S
        if lane.ok or lane.served or lane.edge in unclaimed:
            return Ruled(lane, Truth.FALSE, f"{lane.ok} calls succeeded, servers served {lane.served} of this lane")
        if lane.made < min_samples:
            return Ruled(lane, Truth.UNKNOWN, f"{lane.made} calls, needs {min_samples}")
        if gap_s > max_gap_s:
            return Ruled(lane, Truth.UNKNOWN, f"no call was made for {gap_s:.3f} s, at most {max_gap_s:g} s may pass")
        if (lane.target,) not in live_targets:
            return Ruled(
                lane, Truth.UNKNOWN, f"{lane.target} served no other caller: it may have been down, not protected"
            )
        if not spoke and (lane.source,) not in live_sources:
            return Ruled(lane, Truth.UNKNOWN, f"{lane.source} got no answer from anywhere: it may have been cut off")
        return Ruled(lane, Truth.TRUE)

    ruled = tuple(rule(lane) for lane in lanes(history, window, edges))
    truth = all_true([r.truth for r in ruled])
    examples = examples_of(on_lane.filter(SERVED))
    measured = lanes_measured(ruled, truth, window, examples, is_proof=truth is Truth.FALSE)
    at_ns = examples[0].at_ns if examples else None
    return msgspec.structs.replace(measured, at_ns=at_ns)


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
