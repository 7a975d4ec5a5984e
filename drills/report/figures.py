"""The few numbers by which runs are compared: recovery, longest outage, time to signal, latency of the baseline."""

from collections.abc import Iterator

import msgspec
import polars as pl

from drills.judge.checks.lane import AgedKey, Lane
from drills.judge.checks.lanes import SUCCEEDED, lanes, on_edges
from drills.judge.events import PolicyChangeStep, UndoApplied, UndoVerified
from drills.judge.history import History
from drills.judge.records import NEW, NS_PER_MS, NS_PER_S, Window
from drills.judge.verdict import Answer, Finding, Verdict

_SIGNAL_SEEN = "signal_seen"
_EVENTUALLY = "eventually"
_LATENCY_MS = (pl.col("ended_ns") - pl.col("scheduled_ns")) / NS_PER_MS


class Latency(msgspec.Struct, frozen=True):
    """Latency from the due time of the baseline's successful calls, all routes together; and of each of its seconds."""

    calls: int
    p50_ms: float
    p99_ms: float
    p50_ms_by_second: tuple[float, ...]
    p99_ms_by_second: tuple[float, ...]


class Outage(msgspec.Struct, frozen=True):
    """The longest time without a success on a route, from the fault on; the baseline's longest is what it can tell."""

    longest_s: float
    resolution_s: float
    route: str


def recoveries_s(verdict: Verdict, during: str = "") -> dict[str, float | None]:
    """Return, by claim id, how long each recovery took; None where it did not come in time or is not known.

    What is not promised is measured all the same. during: only claims of that window.
    """
    claims = (it for it in verdict.findings if it.quantifier == _EVENTUALLY and during in {"", it.during})
    return {it.id: it.recovery_s if Answer.HELD in {it.verdict, it.measured} else None for it in claims}


def reopened_s(history: History) -> tuple[float, ...]:
    """Return how long after each removal of an enforced policy, before the fault, the first call got through again.

    Counted from when the removal was sent, on calls that open a connection. Only where the last call that ended before
    it did not get through; a removal after which none did before the next change, or the fault, is not counted.
    """
    baseline = history.windows().get("baseline")
    changes = [it for it in history.of_kind(PolicyChangeStep) if baseline and it.at_ns < baseline.end_ns]
    found: list[float] = []
    for number, it in enumerate(changes):
        if it.detail.step != "remove" or it.detail.outcome != "accepted" or not number or baseline is None:
            continue
        until_ns = changes[number + 1].at_ns if number + 1 < len(changes) else baseline.end_ns
        lane = on_edges((it.edge,)) & (pl.col("connection") == NEW)
        calls = history.calls.filter(lane).select("ended_ns", SUCCEEDED.alias("ok"))
        ended = calls.filter(pl.col("ended_ns").is_between(changes[number - 1].at_ns, until_ns)).sort("ended_ns")
        around = ended.collect()
        before, after = around.filter(pl.col("ended_ns") < it.at_ns), around.filter(pl.col("ended_ns") >= it.at_ns)
        through = after.filter(pl.col("ok"))["ended_ns"]
        if before.height and not before["ok"][-1] and through.len():
            found.append(round((int(through[0]) - it.at_ns) / NS_PER_S, 3))
    return tuple(found)


def times_to_signal_s(verdict: Verdict) -> dict[str, float]:
    """Return, for each signal that was seen, the seconds from the window's start; of several the longest."""
    found: dict[str, float] = {}
    for finding in verdict.findings:
        for name, value in _signals(finding):
            found[name] = max(value, found.get(name, 0.0))
    return found


def undo_s(history: History) -> float | None:
    """Return the time from the first undo applied to the last verified; None when there is no such pair."""
    applied = min((event.at_ns for event in history.of_kind(UndoApplied)), default=None)
    verified = max((event.at_ns for event in history.of_kind(UndoVerified)), default=None)
    if applied is None or verified is None or verified < applied:
        return None
    return round((verified - applied) / NS_PER_S, 3)


def latency(history: History) -> Latency | None:
    """Return the latency of the baseline; None without a baseline or a successful call."""
    window = history.windows().get("baseline")
    if window is None:
        return None
    calls = history.calls_in(window).filter(SUCCEEDED).select("scheduled_ns", _LATENCY_MS.alias("ms"))
    whole = calls.select(pl.len(), pl.col("ms").quantile(0.5).alias("p50"), pl.col("ms").quantile(0.99).alias("p99"))
    count, p50_ms, p99_ms = whole.collect().row(0)
    if not count:
        return None
    full_s = int(window.length_s)
    seconds = (
        calls.with_columns(second=(pl.col("scheduled_ns") - window.start_ns) // NS_PER_S)
        .filter(pl.col("second") < full_s)
        .group_by("second")
        .agg(pl.col("ms").quantile(0.5).alias("p50"), pl.col("ms").quantile(0.99).alias("p99"))
        .sort("second")
        .collect()
    )
    return Latency(count, p50_ms, p99_ms, tuple(seconds["p50"]), tuple(seconds["p99"]))


def outage(history: History) -> Outage | None:
    """Return the longest outage of the lanes that worked in the baseline; None without a fault, or when none worked."""
    windows = history.windows()
    if not {"baseline", "fault", "run"} <= windows.keys():
        return None
    forbidden = {change.edge for change in history.of_kind(PolicyChangeStep)}  # on purpose
    edges = tuple(sorted({(it.source, it.target) for it in history.facts.callers} - forbidden))
    before = {_key(lane): lane for lane in lanes(history, windows["baseline"], edges) if lane.ok} if edges else {}
    since = Window("since the fault", windows["fault"].start_ns, windows["run"].end_ns)
    after = [lane for lane in lanes(history, since, edges) if _key(lane) in before] if before else []
    if not after:
        return None
    worst = max(after, key=lambda lane: lane.outage.length_ns)
    resolution_ns = max(lane.outage.length_ns for lane in before.values())
    route = f"{worst.source}->{worst.target} {worst.connection}"
    return Outage(round(worst.outage.length_ns / NS_PER_S, 3), round(resolution_ns / NS_PER_S, 3), route)


def _key(lane: Lane) -> AgedKey:
    return lane.key


def _signals(finding: Finding) -> Iterator[tuple[str, float]]:
    if finding.signal is not None and finding.time_to_signal_s is not None:
        yield finding.signal, finding.time_to_signal_s
    if finding.check == _SIGNAL_SEEN:
        for row in finding.rows:
            value = row.numbers.get("time_to_signal_s")
            if isinstance(value, int | float):
                yield row.subject, float(value)
