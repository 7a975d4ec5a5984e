"""A lane is one edge on one kind of connection: what its calls did in a window, counted per lane.

Stretches without a call, or without a success, are measured per caller pod and the widest counts: a second pod that
does well must not hide the first.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import msgspec
import polars as pl

from drills.judge.history import History
from drills.judge.measure import Edge, Number
from drills.judge.records import IN_FLIGHT_BOUND, NS_PER_MS, NS_PER_S, OK, REUSED, Window
from drills.judge.slices import slices

LaneKey = tuple[str, str, str]

WAS_MADE = pl.col("error").fill_null("") != IN_FLIGHT_BOUND
SUCCEEDED = (pl.col("outcome") == OK).fill_null(value=False)
TRAVELLED_AS_NAMED = pl.col("reused") == (pl.col("connection") == REUSED)


def on_edges(edges: tuple[Edge, ...]) -> pl.Expr:
    """Select the rows of these edges."""
    return reduce(or_, ((pl.col("source") == source) & (pl.col("target") == target) for source, target in edges))


@dataclass(frozen=True)
class Stretch:
    """The widest stretch without something: its length and the instant at which it begins, both in ns."""

    length_ns: int
    start_ns: int


@dataclass(frozen=True)
class Lane:
    """What the calls of one lane did in a window.

    ok_as_named: successes that really travelled on the kind of connection that the lane is named after.
    reconnected: calls of a reused lane that had to open a connection. bound: schedule slots that could not be used.
    gap: widest stretch in which a caller made no call. outage: widest stretch in which a caller had no success.
    first_bad_ns: schedule of the first call that did not succeed.
    """

    source: str
    target: str
    connection: str
    calls: int
    ok: int
    failed: int
    unknown: int
    bound: int
    served: int
    ok_as_named: int
    reconnected: int
    gap: Stretch
    outage: Stretch
    first_bad_ns: int | None
    errors: tuple[tuple[str, int], ...]

    @property
    def edge(self) -> Edge:
        """Source and target."""
        return self.source, self.target

    @property
    def made(self) -> int:
        """Calls that were really made."""
        return self.calls - self.bound

    def numbers(self, window: Window) -> dict[str, Number]:
        """Return the numbers that every finding shows of this lane."""
        counts: dict[str, Number] = {
            "calls": self.calls,
            "ok": self.ok,
            "failed": self.failed,
            "cannot_know": self.unknown,
            "in_flight_bound": self.bound,
            "served": self.served,
            "success_rate": round(self.ok / self.calls, 6) if self.calls else None,
            "calls_per_s": round(self.made / window.length_s, 3),
            "largest_gap_ms": round(self.gap.length_ns / NS_PER_MS, 3),
            "longest_outage_ms": round(self.outage.length_ns / NS_PER_MS, 3),
            "longest_outage_at_s": round((self.outage.start_ns - window.start_ns) / NS_PER_S, 3),
        }
        if self.connection == REUSED:
            counts |= {"ok_on_reused": self.ok_as_named, "reconnected": self.reconnected}
        return counts | {f"error {name}": count for name, count in self.errors}


class _Spread(msgspec.Struct, frozen=True):
    first_ns: int | None
    last_ns: int | None
    widest_ns: int | None
    widest_at_ns: int | None

    def followed_by(self, then: "_Spread") -> "_Spread":
        """Return the spread of both, where all instants of the other come later."""
        if self.last_ns is None or then.first_ns is None:
            return then if self.last_ns is None else self
        between = _Spread(self.first_ns, then.last_ns, then.first_ns - self.last_ns, self.last_ns)
        widest = max((self, between, then), key=lambda spread: spread.widest_ns or 0)
        return msgspec.structs.replace(between, widest_ns=widest.widest_ns, widest_at_ns=widest.widest_at_ns)

    def stretch(self, window: Window) -> Stretch:
        if self.first_ns is None or self.last_ns is None:
            return Stretch(window.end_ns - window.start_ns, window.start_ns)
        options = (
            Stretch(self.first_ns - window.start_ns, window.start_ns),
            Stretch(self.widest_ns or 0, self.widest_at_ns or self.first_ns),
            Stretch(window.end_ns - self.last_ns, self.last_ns),
        )
        return max(options, key=lambda stretch: stretch.length_ns)


class _Caller(msgspec.Struct, frozen=True):
    source: str
    target: str
    connection: str
    pod: str
    calls: int
    ok: int
    failed: int
    unknown: int
    bound: int
    served: int
    ok_as_named: int
    reconnected: int
    first_bad_ns: int | None
    made_at: _Spread
    ok_at: _Spread

    @property
    def lane(self) -> LaneKey:
        return self.source, self.target, self.connection


def _later(first: _Caller, then: _Caller) -> _Caller:
    """Return one caller of two slices of its calls, the second of which began after the first."""
    counted = ("calls", "ok", "failed", "unknown", "bound", "served", "ok_as_named", "reconnected")
    bad_ns = [at_ns for at_ns in (first.first_bad_ns, then.first_bad_ns) if at_ns is not None]
    return msgspec.structs.replace(
        first,
        **{name: getattr(first, name) + getattr(then, name) for name in counted},
        first_bad_ns=min(bad_ns, default=None),
        made_at=first.made_at.followed_by(then.made_at),
        ok_at=first.ok_at.followed_by(then.ok_at),
    )


def _callers_and_errors(
    calls: pl.LazyFrame, window: Window
) -> tuple[list[_Caller], list[tuple[tuple[str, str, str, str], int]]]:
    callers: dict[tuple[LaneKey, str], _Caller] = {}
    errors: Counter[tuple[str, str, str, str]] = Counter()
    for part in slices(calls, window):
        per_caller, per_error = pl.collect_all([_per_caller(part, window), _per_error(part)])
        for caller in msgspec.convert(per_caller.to_dicts(), list[_Caller]):
            key = (caller.lane, caller.pod)
            callers[key] = _later(callers[key], caller) if key in callers else caller
        errors.update({row[:4]: row[4] for row in per_error.rows()})
    return [callers[key] for key in sorted(callers)], sorted(errors.items())


def lanes(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Lane, ...]:
    """Return every lane of the edges in a stable order: those planned, those seen, and "none" for an edge without.

    A caller that the fault itself ended is not asked for calls or successes after that: the widest stretches without
    them are those of the others. What it did do counts.
    """
    found = _lanes(history, window, edges)
    gone = history.casualties
    if gone is None or window.end_ns <= gone.injected_ns:
        return found
    calls = history.calls.filter(~pl.col("pod").is_in(sorted(gone.pods)).fill_null(value=False))
    callers = tuple(caller for caller in history.facts.callers if caller.pod not in gone.pods)
    rest = replace(history, calls=calls, facts=msgspec.structs.replace(history.facts, callers=callers))
    stretches = {(*lane.edge, lane.connection): (lane.gap, lane.outage) for lane in _lanes(rest, window, edges)}
    nothing = Stretch(window.end_ns - window.start_ns, window.start_ns)
    widest = ((lane, *stretches.get((*lane.edge, lane.connection), (nothing, nothing))) for lane in found)
    return tuple(replace(lane, gap=gap, outage=outage) for lane, gap, outage in widest)


def _lanes(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Lane, ...]:
    calls = history.calls_in(window).filter(on_edges(edges), pl.col("scheduled_ns").is_not_null())
    callers, errors = _callers_and_errors(calls, window)
    planned: dict[LaneKey, set[str]] = {}
    for caller in history.facts.callers:
        if (caller.source, caller.target) in edges:
            planned.setdefault((caller.source, caller.target, caller.connection), set()).add(caller.pod)
    keys = set(planned) | {caller.lane for caller in callers}
    keys |= {(*edge, "none") for edge in edges if edge not in {key[:2] for key in keys}}
    return tuple(
        _lane(
            key,
            window,
            [caller for caller in callers if caller.lane == key],
            planned.get(key, set()),
            tuple((error, count) for (*lane, error), count in errors if tuple(lane) == key),
        )
        for key in sorted(keys)
    )


def _spread(at_ns: pl.Expr) -> pl.Expr:
    ordered = at_ns.sort()
    step = ordered.diff()
    return pl.struct(
        first_ns=at_ns.min(),
        last_ns=at_ns.max(),
        widest_ns=step.max(),
        widest_at_ns=ordered.shift(1).filter(step == step.max()).first(),
    )


def _per_caller(calls: pl.LazyFrame, window: Window) -> pl.LazyFrame:
    started = pl.col("started_ns").clip(window.start_ns, window.end_ns)
    return (
        calls.group_by("source", "target", "connection", "pod")
        .agg(
            calls=pl.len(),
            ok=SUCCEEDED.sum(),
            failed=(pl.col("outcome") == "fail").sum(),
            unknown=(WAS_MADE & (pl.col("outcome") == "info")).sum(),
            bound=(~WAS_MADE).sum(),
            served=pl.col("served_ns").is_not_null().sum(),
            ok_as_named=(SUCCEEDED & TRAVELLED_AS_NAMED).sum(),
            reconnected=(WAS_MADE & ~TRAVELLED_AS_NAMED & (pl.col("connection") == REUSED)).sum(),
            first_bad_ns=pl.col("scheduled_ns").filter(~SUCCEEDED).min(),
            made_at=_spread(started.filter(WAS_MADE)),
            ok_at=_spread(started.filter(SUCCEEDED)),
        )
        .sort("source", "target", "connection", "pod")
    )


def _per_error(calls: pl.LazyFrame) -> pl.LazyFrame:
    named = calls.filter(pl.col("error").fill_null("") != "")
    key = ("source", "target", "connection", "error")
    return named.group_by(key).agg(count=pl.len()).sort(key)


def _lane(
    key: LaneKey, window: Window, callers: list[_Caller], planned: set[str], errors: tuple[tuple[str, int], ...]
) -> Lane:
    silent = [Stretch(window.end_ns - window.start_ns, window.start_ns)]
    silent = silent if not callers or planned - {caller.pod for caller in callers} else []
    return Lane(
        *key,
        calls=sum(caller.calls for caller in callers),
        ok=sum(caller.ok for caller in callers),
        failed=sum(caller.failed for caller in callers),
        unknown=sum(caller.unknown for caller in callers),
        bound=sum(caller.bound for caller in callers),
        served=sum(caller.served for caller in callers),
        ok_as_named=sum(caller.ok_as_named for caller in callers),
        reconnected=sum(caller.reconnected for caller in callers),
        gap=max((*silent, *(c.made_at.stretch(window) for c in callers)), key=lambda s: s.length_ns),
        outage=max((*silent, *(c.ok_at.stretch(window) for c in callers)), key=lambda s: s.length_ns),
        first_bad_ns=min((c.first_bad_ns for c in callers if c.first_bad_ns is not None), default=None),
        errors=errors,
    )
