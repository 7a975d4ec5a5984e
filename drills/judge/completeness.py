"""Finds every reason to doubt that a recorded history is complete."""

from collections.abc import Iterator
from itertools import chain

import msgspec
import polars as pl

from drills.judge.caller_ids import caller_ids_of
from drills.judge.events import CallerEnd, Event, ServerEnd
from drills.judge.gaps import steps
from drills.judge.keys import CALLER_OF_POD, CallerOfPodKey
from drills.judge.lost_pods import LostPods, find_lost_pod_defects, lost_pods_of
from drills.judge.receipts import find_drill_defects
from drills.judge.records import IN_FLIGHT_BOUND, NS_PER_MS, Defect, RunFacts, Window
from drills.judge.slices import chunks, slices

CLOCK_TOLERANCE_MS = 20
"""All nodes share one clock; they agree much better than this."""

LATE_SHARE = 0.01
"""A caller was starved if a larger share of its calls began later than the bound."""

LATE_FEW = 2
"""This many calls may be late whatever their share: one short pause of a caller that makes few calls proves nothing."""

LATEST_MS = 1000
"""A caller was starved if one call began later than this: the pause would look like an outage, and claims bound outages
at 2 s."""

NO_WINDOW = Window("run", 0, 1)
"""Stands in for the run's window where none was recorded, so that callers are still read."""


class _TableFacts(msgspec.Struct, frozen=True):
    early_start: int
    early_end: int
    early_service: int


class _CallerFacts(msgspec.Struct, frozen=True):
    rows: int
    repeated: int
    skipped: int
    first: int
    last: int
    backwards: int
    counted: int
    late: int
    bound: int
    latest_ns: int
    late_from_ns: int | None
    late_until_ns: int | None

    def followed_by(self, then: "_CallerFacts") -> "_CallerFacts":
        """Return the facts of both; the calls of `then` were due later."""
        step = then.first - self.last
        counts = ("rows", "repeated", "skipped", "backwards", "counted", "late", "bound")
        both = {name: getattr(self, name) + getattr(then, name) for name in counts}
        both["repeated"] += step == 0
        both["skipped"] += max(step - 1, 0)
        both["backwards"] += step < 0
        first, last = min(self.first, then.first), max(self.last, then.last)
        latest_ns = max(self.latest_ns, then.latest_ns)
        from_ns = self.late_from_ns if self.late_from_ns is not None else then.late_from_ns
        until_ns = then.late_until_ns if then.late_until_ns is not None else self.late_until_ns
        span = {"first": first, "last": last, "latest_ns": latest_ns, "late_from_ns": from_ns}
        return msgspec.structs.replace(self, **both, **span, late_until_ns=until_ns)


def find_defects(
    calls: pl.LazyFrame, events: tuple[Event, ...], facts: RunFacts, windows: dict[str, Window]
) -> tuple[Defect, ...]:
    """Return the defects of a history in a stable order."""
    table, servers = pl.collect_all([_table_facts(calls), _server_facts(calls)], engine="streaming")
    rows = int(calls.select(pl.len()).collect(engine="streaming").item())
    lost = lost_pods_of(events, facts)
    undisturbed = lost.undisturbed(calls) if lost else calls
    callers = _callers(undisturbed, rows, windows.get("run"), facts.lag_bound_ms)
    return tuple(
        chain(
            find_drill_defects(events, facts, windows, lost),
            _missing_witnesses(facts),
            _order_defect(_disorder(calls, rows)),
            _clock_defects(msgspec.convert(table.row(0, named=True), _TableFacts)),
            _caller_defects(callers, events, facts, lost),
            _server_defects(msgspec.convert(dict(servers.iter_rows()), dict[str, int]), events, facts, lost),
            find_lost_pod_defects(calls, events, lost) if lost else (),
        )
    )


def _missing_witnesses(facts: RunFacts) -> Iterator[Defect]:
    for what, witnesses in (("callers", facts.callers), ("servers", facts.servers)):
        if not witnesses:
            message = f"the facts of the run name no {what}: their records cannot be checked for gaps"
            yield Defect("no-witness", what, message)


def _table_facts(calls: pl.LazyFrame) -> pl.LazyFrame:
    tolerance_ns = CLOCK_TOLERANCE_MS * NS_PER_MS
    scheduled, started = pl.col("scheduled_ns"), pl.col("started_ns")
    return calls.select(
        early_start=(started < scheduled - tolerance_ns).sum(),
        early_end=(pl.col("ended_ns") < started - tolerance_ns).sum(),
        early_service=(pl.col("served_ns") < started - tolerance_ns).sum(),
    )


def _disorder(calls: pl.LazyFrame, rows: int) -> int:
    """Return how many rows follow one that was due later."""
    count, before = 0, pl.Series(dtype=pl.Int64)
    for part in chunks(calls.select("scheduled_ns"), rows):
        due = pl.concat([before, part.collect(engine="streaming").to_series().drop_nulls()])
        count += int((steps(due) < 0).sum())
        before = due.tail(1)
    return count


def _callers(
    calls: pl.LazyFrame, rows: int, run: Window | None, lag_bound_ms: float
) -> dict[CallerOfPodKey, _CallerFacts]:
    """Return the facts of each caller, read slice by slice in the order of the schedule."""
    made = calls.filter(pl.col("scheduled_ns").is_not_null())
    ids = caller_ids_of(calls, CALLER_OF_POD)
    callers: dict[CallerOfPodKey, _CallerFacts] = {}
    for part in slices(made, run or NO_WINDOW, rows, by="scheduled_ns"):
        for number, seen in _read(part, ids.number, run, round(lag_bound_ms * NS_PER_MS)):
            pod, target, connection = ids.names[number]
            key = (pod, target, connection)
            callers[key] = callers[key].followed_by(seen) if key in callers else seen
    return callers


def _read(
    calls: pl.LazyFrame, number: pl.Expr, run: Window | None, lag_bound_ns: int
) -> Iterator[tuple[int, _CallerFacts]]:
    """Yield the facts of each caller. Late calls and calls at the in-flight bound count from the baseline on."""
    counts = pl.lit(value=True) if run is None else pl.col("scheduled_ns").is_between(run.start_ns, run.end_ns)
    was_made = pl.col("error") != IN_FLIGHT_BOUND
    lag_ns = pl.when(was_made & counts).then(pl.col("started_ns") - pl.col("scheduled_ns")).otherwise(0)
    flags = {"counted": was_made & counts, "late": lag_ns > lag_bound_ns, "bound": ~was_made & counts}
    rows = calls.select("seq", "scheduled_ns", number=number, latest_ns=lag_ns, **flags).collect(engine="streaming")
    late = pl.col("scheduled_ns").filter("late")
    counted = rows.group_by("number").agg(
        pl.len().alias("rows"),
        pl.col(*flags).sum(),
        pl.col("latest_ns").max(),
        late_from_ns=late.min(),
        late_until_ns=(late + pl.col("latest_ns").filter("late")).max(),
    )
    # Calls that are due at the same instant may have any order.
    own = rows.select("number", "seq", "scheduled_ns").sort("scheduled_ns", "seq").partition_by("number", as_dict=True)
    for facts in counted.iter_rows(named=True):
        key = facts.pop("number")
        yield key, _CallerFacts(**facts, **_sequence(own[key,]["seq"]))


def _sequence(by_schedule: pl.Series) -> dict[str, int]:
    seq = by_schedule.sort()
    step = steps(seq)
    return {
        "first": seq[0],
        "last": seq[-1],
        "repeated": int((step == 0).sum()),
        "skipped": int((step.filter(step > 1) - 1).sum()),
        "backwards": int((steps(by_schedule) < 0).sum()),
    }


def _server_facts(calls: pl.LazyFrame) -> pl.LazyFrame:
    return calls.filter(pl.col("served_ns").is_not_null()).group_by("served_pod").agg(pl.len()).sort("served_pod")


def _order_defect(disorder: int) -> Iterator[Defect]:
    if disorder:
        yield Defect("reordered", "calls", f"{disorder} rows follow a later one: the table was reordered")


def _clock_defects(table: _TableFacts) -> Iterator[Defect]:
    for count, what in (
        (table.early_start, "started before they were due"),
        (table.early_end, "ended before they started"),
        (table.early_service, "were served before they started"),
    ):
        if count:
            yield Defect("clock", "calls", f"{count} calls {what}: a clock went backwards")


def _caller_defects(
    seen: dict[CallerOfPodKey, _CallerFacts], events: tuple[Event, ...], facts: RunFacts, lost: LostPods | None
) -> Iterator[Defect]:
    ends = {
        (event.detail.pod, event.detail.target, event.detail.connection): event.detail
        for event in events
        if isinstance(event, CallerEnd)
    }
    expected = {(caller.pod, caller.target, caller.connection) for caller in facts.callers}
    # A caller without a plan and without a row may still have reported how many calls it made.
    for key in sorted(expected | set(seen) | set(ends)):
        name = f"{key[0]} -> {key[1]} ({key[2]})"
        if lost is None or key[0] not in lost.pods:
            yield from _end_of_caller(key[0], name, ends.get(key), seen.get(key))
        elif key not in seen:
            yield Defect("hole", name, f"{name} has no row from before the fault ended its node: its calls were lost")
        if key in seen:
            yield from _health_of_caller(key[0], name, seen[key], facts.lag_bound_ms)


def _end_of_caller(pod: str, name: str, end: CallerEnd.Detail | None, seen: _CallerFacts | None) -> Iterator[Defect]:
    rows = seen.rows if seen else 0
    if end is None:
        message = f"{name} never reported its end: calls after its {rows} rows may be lost"
        yield Defect("missing-end", name, message, pod=pod)
        return
    if not end.scheduled == end.written == rows:
        message = (
            f"{name} scheduled {end.scheduled} calls and wrote {end.written}, the table has {rows}: calls were lost"
        )
        yield Defect("hole", name, message, pod=pod)


def _health_of_caller(pod: str, name: str, seen: _CallerFacts, lag_bound_ms: float) -> Iterator[Defect]:
    if seen.repeated:
        message = f"{name} has {seen.repeated} rows that repeat a sequence number: the table was edited"
        yield Defect("duplicate", name, message, pod=pod)
    if seen.first != 0 or seen.skipped:
        missing = f"the first is {seen.first}, {seen.skipped} are missing up to {seen.last}"
        yield Defect("hole", name, f"{name} has a gap in its sequence numbers: {missing}", pod=pod)
    if seen.backwards:
        message = (
            f"{name} has {seen.backwards} sequence numbers that fall while its schedule rises: a clock went backwards"
        )
        yield Defect("clock", name, message, pod=pod)
    if seen.late > max(LATE_SHARE * seen.counted, LATE_FEW):
        message = (
            f"{name} was starved: {seen.late} of {seen.counted} calls began more than {lag_bound_ms:.0f} ms late, "
            f"at most {LATE_SHARE:.0%}, or {LATE_FEW} calls, may"
        )
        yield Defect("starved", name, message, pod=pod, from_ns=seen.late_from_ns, until_ns=seen.late_until_ns)
    elif seen.latest_ns > LATEST_MS * NS_PER_MS:
        late_s = seen.latest_ns / NS_PER_MS / 1000
        message = f"{name} was starved: a call began {late_s:.1f} s late, at most {LATEST_MS / 1000:.0f} s may pass"
        yield Defect("starved", name, message, pod=pod, from_ns=seen.late_from_ns, until_ns=seen.late_until_ns)
    if seen.bound:
        message = f"{name} could not make {seen.bound} calls because too many were in flight"
        yield Defect("saturated", name, message, excuses=False, pod=pod)


def _server_defects(
    seen: dict[str, int], events: tuple[Event, ...], facts: RunFacts, lost: LostPods | None
) -> Iterator[Defect]:
    ends = {event.detail.pod: event.detail for event in events if isinstance(event, ServerEnd)}
    broken_off = lost.pods if lost else frozenset()
    for pod in sorted((set(facts.servers) | set(seen) | set(ends)) - broken_off):
        rows, end = seen.get(pod, 0), ends.get(pod)
        if end is None:
            message = f"server {pod} never reported its end: calls it served after its {rows} rows may be lost"
            yield Defect("missing-server-end", pod, message, pod=pod)
        elif end.served != rows:
            message = f"server {pod} served {end.served} calls, the table has {rows}: its record has a gap"
            yield Defect("server-hole", pod, message, pod=pod)
