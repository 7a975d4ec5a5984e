"""Counts, per lane, what calls did in a window. A lane is one edge on one kind of connection.

Gaps without a call, or without a success, are measured per caller pod and the widest counts: a second pod that does
well must not hide the first.

Calls of new pods are a lane of their own, as they may fail where calls of standing pods succeed. That lane begins with
the first call of such a pod: its gaps count from there, and a window that ended before has no such lane. In every other
window it needs as much evidence as any lane: with too few calls of new pods, or a new pod that fell silent, the claim
is INCONCLUSIVE.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, or_

import msgspec
import polars as pl

from drills.judge.cohorts import NewPods, subject_of
from drills.judge.gaps import Spread, Stretch
from drills.judge.history import History
from drills.judge.keys import CohortKey
from drills.judge.measure import Edge, Number, Truth
from drills.judge.records import (
    IN_FLIGHT_BOUND,
    NO_ADDRESS,
    NS_PER_MS,
    NS_PER_S,
    OK,
    REUSED,
    WRONG_SERVICE,
    Window,
)

WAS_MADE = pl.col("error").fill_null("") != IN_FLIGHT_BOUND
SUCCEEDED = (pl.col("outcome") == OK).fill_null(value=False)
ASKED = WAS_MADE & ~pl.col("error").is_in([NO_ADDRESS, WRONG_SERVICE]).fill_null(value=False)
"""The call found an address, and no other service than its target answered: it asked its target."""
TRAVELLED_AS_NAMED = pl.col("reused") == (pl.col("connection") == REUSED)


@dataclass(frozen=True)
class Lane:
    """What the calls of one lane did in a window.

    ok_as_named: successes that really travelled on the kind of connection that the lane is named after.
    reconnected: calls of a reused lane that had to open a connection. bound: due calls at the in-flight bound.
    gap: widest gap in which a caller made no call; unasked: in which it asked its target nothing. outage: widest gap in
    which a caller had no success: a success counts when it ended. asked: calls that asked the target.
    first_bad_ns: when the first call that did not succeed was due.
    since_ns: when the first call of a new pod was due, also before the window; None for the lane of standing pods.
    """

    source: str
    target: str
    connection: str
    is_new: bool
    calls: int
    ok: int
    failed: int
    unknown: int
    bound: int
    asked: int
    served: int
    ok_as_named: int
    reconnected: int
    gap: Stretch
    unasked: Stretch
    outage: Stretch
    first_bad_ns: int | None
    errors: tuple[tuple[str, int], ...]
    since_ns: int | None

    @property
    def key(self) -> CohortKey:
        """The lane's key."""
        return self.source, self.target, self.connection, self.is_new

    @property
    def subject(self) -> str:
        """The subject of its row."""
        return subject_of(self.source, self.target, is_new=self.is_new)

    @property
    def if_few(self) -> Truth:
        """What too few calls prove about an occurrence: FALSE; UNKNOWN for new pods, which need not have called."""
        return Truth.UNKNOWN if self.is_new else Truth.FALSE

    @property
    def edge(self) -> Edge:
        """Source and target."""
        return self.source, self.target

    @property
    def made(self) -> int:
        """Calls that were really made."""
        return self.calls - self.bound

    def watched(self, window: Window) -> Window:
        """Return the part of a window in which the lane had a caller."""
        return watched_of(window, self.since_ns)

    def calls_per_s(self, window: Window) -> float:
        """Return its rate of calls while it had a caller."""
        return round(self.made / self.watched(window).length_s, 3)

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
            "calls_per_s": self.calls_per_s(window),
            "largest_gap_ms": round(self.gap.length_ns / NS_PER_MS, 3),
            "longest_outage_ms": round(self.outage.length_ns / NS_PER_MS, 3),
            "longest_outage_at_s": round((self.outage.start_ns - window.start_ns) / NS_PER_S, 3),
        }
        if self.connection == REUSED:
            counts |= {"ok_on_reused": self.ok_as_named, "reconnected": self.reconnected}
        if self.since_ns is not None:
            counts |= {"first_call_at_s": round((self.since_ns - window.start_ns) / NS_PER_S, 3)}
        return counts | {f"error {name}": count for name, count in self.errors}


def watched_of(window: Window, since_ns: int | None) -> Window:
    """Return the part of a window from an instant on; the whole window for None."""
    return window if since_ns is None else window.since(max(window.start_ns, since_ns))


def on_edges(edges: tuple[Edge, ...]) -> pl.Expr:
    """Select the rows of these edges."""
    return reduce(or_, ((pl.col("source") == source) & (pl.col("target") == target) for source, target in edges))


class _Caller(msgspec.Struct, frozen=True):
    """The calls of one caller. mismatched: those that travelled on the other kind of connection than the lane's."""

    calls: int
    ok: int
    asked: int
    served: int
    ok_as_named: int
    mismatched: int
    made_at: Spread
    asked_at: Spread
    ok_at: Spread

    def followed_by(self, then: "_Caller") -> "_Caller":
        """Return the calls of both slices; those of `then` are later."""
        return _Caller(
            self.calls + then.calls,
            self.ok + then.ok,
            self.asked + then.asked,
            self.served + then.served,
            self.ok_as_named + then.ok_as_named,
            self.mismatched + then.mismatched,
            self.made_at.followed_by(then.made_at),
            self.asked_at.followed_by(then.asked_at),
            self.ok_at.followed_by(then.ok_at),
        )


class _Odd(msgspec.Struct, frozen=True):
    """Equal calls of one lane that did not succeed or have an error. first_ns: when the first of them was due."""

    source: str | None
    target: str | None
    connection: str | None
    outcome: str | None
    error: str | None
    calls: int
    first_ns: int


Callers = dict[CohortKey, dict[str, _Caller]]
OddCalls = dict[tuple[str | None, str | None, str | None, bool], list[_Odd]]


@dataclass(frozen=True)
class _Seen:
    """What was read from a window."""

    callers: Callers
    odd: OddCalls


def lanes(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Lane, ...]:
    """Return every lane of the edges in a stable order: those planned, those seen, and "none" for an edge without.

    Gaps of a caller that the fault itself ended do not count; its calls do. A new pod counts from its first call on.
    """
    # Many claims share a window of the drill, each with its own edges: the window is read once, with all edges.
    wanted = () if window in history.windows().values() else tuple(sorted(set(edges)))
    seen = history.once(("lanes", window, wanted), lambda: _see(history, window, wanted))
    lost = history.lost_pods
    ended = lost.pods if lost and window.end_ns > lost.injected_ns else frozenset[str]()
    expected: dict[CohortKey, set[str]] = {}
    for caller in history.facts.callers:
        expected.setdefault((caller.source, caller.target, caller.connection, False), set()).add(caller.pod)
    for (source, target, connection, pod), since_ns in history.new_pods.callers.items():
        if since_ns < window.end_ns:
            expected.setdefault((source, target, connection, True), set()).add(pod)
    keys = set(expected) | set(seen.callers)
    return tuple(
        _lane(key, window, seen, expected.get(key, set()) - ended, ended, history.new_pods.since_ns)
        for edge in sorted(set(edges))
        for key in sorted(key for key in keys if key[:2] == edge) or [(*edge, "none", False)]
    )


def _see(history: History, window: Window, wanted: tuple[Edge, ...]) -> _Seen:
    """Read these edges; all edges when none is given."""
    is_wanted = on_edges(wanted) if wanted else pl.lit(value=True)
    odd = _odd(history.due_in(window).filter(is_wanted), history.new_pods)
    return _Seen(_callers(history, window, is_wanted), odd)


def _callers(history: History, window: Window, is_wanted: pl.Expr) -> Callers:
    found: Callers = {}
    new = history.new_pods.since_ns
    for part in history.due_slices(window):
        for number, caller in _read(part.filter(is_wanted), window, history.caller_ids.number):
            source, target, connection, pod = history.caller_ids.names[number]
            is_new = pod in new
            lane = found.setdefault((source, target, connection, is_new), {})
            lane[pod] = lane[pod].followed_by(caller) if pod in lane else caller
    return found


_OK, _MADE, _ASKED, _SERVED, _AS_NAMED, _MISMATCHED = (1 << bit for bit in range(6))
_FLAGS = {
    _OK: SUCCEEDED,
    _MADE: WAS_MADE,
    _ASKED: ASKED,
    _SERVED: pl.col("served_pod").is_not_null(),  # three times as fast to read as served_ns
    _AS_NAMED: TRAVELLED_AS_NAMED,
    _MISMATCHED: ~TRAVELLED_AS_NAMED,
}
_ALIKE = reduce(add, (flag.fill_null(value=False).cast(pl.UInt8) * bit for bit, flag in _FLAGS.items()))


def _read(calls: pl.LazyFrame, window: Window, number: pl.Expr) -> Iterator[tuple[int, _Caller]]:
    """Yield every caller of a slice. Texts are reduced to an id and flags while they are read."""
    at_ns = pl.col("started_ns").clip(window.start_ns, window.end_ns)
    ended_ns = pl.col("ended_ns").clip(window.start_ns, window.end_ns)
    rows = calls.select(at_ns, ended_ns, number=number, flags=_ALIKE).collect(engine="streaming")
    for key, *columns in zip(*rows.group_by("number").agg("started_ns", "ended_ns", "flags"), strict=True):
        yield key, _caller(*columns)


def _caller(instants: pl.Series, ended: pl.Series, flags: pl.Series) -> _Caller:
    """Return the calls of a caller. Sorting here is ten times as fast as grouped lists in the query engine."""
    kinds = dict(flags.value_counts().iter_rows())

    def count(wanted: int) -> int:
        return sum(calls for kind, calls in kinds.items() if kind & wanted == wanted)

    # Filtering keeps the order of the table, which is nearly sorted, so the sort is fast.
    made = instants if count(_MADE) == flags.len() else instants.filter(flags & _MADE != 0)
    made_at = Spread.of(made)
    is_all_asked = count(_ASKED) == count(_MADE)
    is_all_well = count(_OK) == flags.len()
    return _Caller(
        calls=count(0),
        ok=count(_OK),
        asked=count(_ASKED),
        served=count(_SERVED),
        ok_as_named=count(_OK | _AS_NAMED),
        mismatched=count(_MADE | _MISMATCHED),
        made_at=made_at,
        asked_at=made_at if is_all_asked else Spread.of(instants.filter(flags & _ASKED != 0)),
        ok_at=Spread.of(ended if is_all_well else ended.filter(flags & _OK != 0)),
    )


def _odd(calls: pl.LazyFrame, new_pods: NewPods) -> OddCalls:
    """Return the calls that did not succeed or have an error, by lane."""
    key = ("source", "target", "connection")
    odd: OddCalls = {}
    for cohort in new_pods.by_caller():
        alike = cohort.of(calls).filter(~SUCCEEDED | (pl.col("error") != "")).group_by(*key, "outcome", "error")
        found = alike.agg(calls=pl.len(), first_ns=pl.col("scheduled_ns").min()).collect(engine="streaming")
        for row in msgspec.convert(found.to_dicts(), list[_Odd]):
            odd.setdefault((row.source, row.target, row.connection, cohort.is_new), []).append(row)
    return odd


def _lane(
    key: CohortKey,
    window: Window,
    seen: _Seen,
    expected: set[str],
    ended: frozenset[str],
    since_ns: Mapping[str, int],
) -> Lane:
    """Return a lane. expected: pods that must have called. ended: pods whose gaps do not count."""
    callers, odd = seen.callers.get(key, {}), seen.odd.get(key, [])
    own, rest = list(callers.values()), {pod: caller for pod, caller in sorted(callers.items()) if pod not in ended}
    bad = [row for row in odd if row.outcome != OK]
    errors: Counter[str] = Counter()
    for row in odd:
        errors[row.error or ""] += row.calls
    del errors[""]
    watched = {pod: watched_of(window, since_ns.get(pod)) for pod in {*expected, *rest}}
    missing = [watched[pod] for pod in sorted(expected - set(callers))] or ([] if rest else [window])
    silent = [Stretch(part.end_ns - part.start_ns, part.start_ns) for part in missing]
    return Lane(
        *key,
        calls=sum(caller.calls for caller in own),
        ok=sum(caller.ok for caller in own),
        failed=sum(row.calls for row in bad if row.outcome == "fail"),
        unknown=sum(row.calls for row in bad if row.outcome == "info" and row.error != IN_FLIGHT_BOUND),
        bound=errors[IN_FLIGHT_BOUND],
        asked=sum(caller.asked for caller in own),
        served=sum(caller.served for caller in own),
        ok_as_named=sum(caller.ok_as_named for caller in own),
        reconnected=sum(caller.mismatched for caller in own) if key[2] == REUSED else 0,
        gap=_widest([*silent, *(caller.made_at.stretch(watched[pod]) for pod, caller in rest.items())]),
        unasked=_widest([*silent, *(caller.asked_at.stretch(watched[pod]) for pod, caller in rest.items())]),
        outage=_widest([*silent, *(caller.ok_at.stretch(watched[pod]) for pod, caller in rest.items())]),
        first_bad_ns=min((row.first_ns for row in bad), default=None),
        errors=tuple(sorted(errors.items())),
        since_ns=min((since_ns[pod] for pod in expected), default=None) if key[3] else None,
    )


def _widest(stretches: Sequence[Stretch]) -> Stretch:
    return max(stretches, key=lambda stretch: stretch.length_ns)
