"""A lane is one edge on one kind of connection: what its calls did in a window, counted per lane.

Stretches without a call, or without a success, are measured per caller pod and the widest counts: a second pod that
does well must not hide the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import cast

import msgspec
import polars as pl

from drills.judge.checks.spread import Spread, Stretch
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


class _Caller(msgspec.Struct, frozen=True):
    """What one caller did. strayed: calls that did not travel on the kind of connection that they are named after."""

    calls: int
    ok: int
    served: int
    ok_as_named: int
    strayed: int
    made_at: Spread
    ok_at: Spread

    def followed_by(self, then: "_Caller") -> "_Caller":
        """Return one caller of two slices of its calls, the second of which began after the first."""
        return _Caller(
            self.calls + then.calls,
            self.ok + then.ok,
            self.served + then.served,
            self.ok_as_named + then.ok_as_named,
            self.strayed + then.strayed,
            self.made_at.followed_by(then.made_at),
            self.ok_at.followed_by(then.ok_at),
        )


class _Bad(msgspec.Struct, frozen=True):
    """Calls of one lane that did not succeed, and alike: how many, and when the first of them was due."""

    source: str
    target: str
    connection: str
    outcome: str | None
    error: str | None
    calls: int
    first_ns: int

    @property
    def lane(self) -> LaneKey:
        return self.source, self.target, self.connection


Callers = dict[LaneKey, dict[str, _Caller]]
Errors = dict[LaneKey, list[tuple[str, int]]]


def lanes(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Lane, ...]:
    """Return every lane of the edges in a stable order: those planned, those seen, and "none" for an edge without.

    A caller that the fault itself ended is not asked for calls or successes after that: the widest stretches without
    them are those of the others. What it did do counts.
    """
    known = cast("dict[tuple[Window, Edge], tuple[Lane, ...]]", history.lanes_read)
    unread = tuple(edge for edge in edges if (window, edge) not in known)
    found = _lanes_of_survivors(history, window, unread) if unread else ()
    known |= {(window, edge): tuple(lane for lane in found if lane.edge == edge) for edge in unread}
    return tuple(lane for edge in sorted(set(edges)) for lane in known[window, edge])


def _lanes_of_survivors(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Lane, ...]:
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
    calls = history.due_in(window).filter(on_edges(edges))
    callers = _callers(calls, window, history)
    bad, errors = _bad(calls), _errors(calls)
    planned: dict[LaneKey, set[str]] = {}
    for caller in history.facts.callers:
        if (caller.source, caller.target) in edges:
            planned.setdefault((caller.source, caller.target, caller.connection), set()).add(caller.pod)
    keys = set(planned) | set(callers)
    keys |= {(*edge, "none") for edge in edges if edge not in {key[:2] for key in keys}}
    return tuple(
        _lane(
            key,
            window,
            callers.get(key, {}),
            planned.get(key, set()),
            [row for row in bad if row.lane == key],
            tuple(errors.get(key, ())),
        )
        for key in sorted(keys)
    )


def _callers(calls: pl.LazyFrame, window: Window, history: History) -> Callers:
    found: Callers = {}
    for part in slices(calls, window, history.rows_in(window)):
        for number, caller in _read(part, window, history.roll.number):
            source, target, connection, pod = history.roll.names[number]
            lane = found.setdefault((source, target, connection), {})
            lane[pod] = lane[pod].followed_by(caller) if pod in lane else caller
    return found


def _read(calls: pl.LazyFrame, window: Window, number: pl.Expr) -> Iterator[tuple[int, _Caller]]:
    """Yield every caller of a slice. Texts become a number and flags while they are read, and are not kept."""
    rows = calls.select(
        SUCCEEDED.alias("is_ok"),
        WAS_MADE.alias("was_made"),
        TRAVELLED_AS_NAMED.alias("is_as_named"),
        pl.col("served_ns").is_not_null().alias("is_served"),
        pl.col("started_ns").clip(window.start_ns, window.end_ns),
        number=number,
    ).collect(engine="streaming")
    is_ok, was_made, is_as_named = pl.col("is_ok"), pl.col("was_made"), pl.col("is_as_named")
    counted = rows.group_by("number").agg(
        calls=pl.len(),
        ok=is_ok.sum(),
        served=pl.col("is_served").sum(),
        ok_as_named=(is_ok & is_as_named).sum(),
        strayed=(was_made & ~is_as_named).sum(),
    )
    # A caller's instants are sorted alone: for the engine, groups of lists cost ten times as much.
    own = rows.select("number", "started_ns", "is_ok", "was_made").partition_by("number", as_dict=True)
    for counts in counted.iter_rows(named=True):
        key = counts.pop("number")
        started, made, ok = (own[key,][name] for name in ("started_ns", "was_made", "is_ok"))
        yield key, _Caller(**counts, made_at=Spread.of(started.filter(made)), ok_at=Spread.of(started.filter(ok)))


def _bad(calls: pl.LazyFrame) -> list[_Bad]:
    alike = calls.filter(~SUCCEEDED).group_by("source", "target", "connection", "outcome", "error")
    found = alike.agg(calls=pl.len(), first_ns=pl.col("scheduled_ns").min()).collect(engine="streaming")
    return msgspec.convert(found.to_dicts(), list[_Bad])


def _errors(calls: pl.LazyFrame) -> Errors:
    key = ("source", "target", "connection", "error")
    found = calls.filter(pl.col("error") != "").group_by(key).agg(count=pl.len()).collect(engine="streaming")
    errors: Errors = {}
    for source, target, connection, error, count in sorted(found.rows()):
        errors.setdefault((source, target, connection), []).append((error, count))
    return errors


def _lane(
    key: LaneKey,
    window: Window,
    callers: dict[str, _Caller],
    planned: set[str],
    bad: list[_Bad],
    errors: tuple[tuple[str, int], ...],
) -> Lane:
    silent = [Stretch(window.end_ns - window.start_ns, window.start_ns)]
    silent = silent if not callers or planned - set(callers) else []
    own = [callers[pod] for pod in sorted(callers)]
    return Lane(
        *key,
        calls=sum(caller.calls for caller in own),
        ok=sum(caller.ok for caller in own),
        failed=sum(row.calls for row in bad if row.outcome == "fail"),
        unknown=sum(row.calls for row in bad if row.outcome == "info" and row.error != IN_FLIGHT_BOUND),
        bound=sum(count for error, count in errors if error == IN_FLIGHT_BOUND),
        served=sum(caller.served for caller in own),
        ok_as_named=sum(caller.ok_as_named for caller in own),
        reconnected=sum(caller.strayed for caller in own) if key[2] == REUSED else 0,
        gap=max((*silent, *(caller.made_at.stretch(window) for caller in own)), key=lambda s: s.length_ns),
        outage=max((*silent, *(caller.ok_at.stretch(window) for caller in own)), key=lambda s: s.length_ns),
        first_bad_ns=min((row.first_ns for row in bad), default=None),
        errors=errors,
    )
