"""The figures of a run: recovery, longest outage, time to signal, undo, latency. Each is computed only here."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import polars as pl

from drills.judge import files
from drills.judge.checks.lanes import SUCCEEDED, lanes, on_edges
from drills.judge.events import PolicyChangeStep, UndoApplied, UndoVerified
from drills.judge.history import History
from drills.judge.records import NEW, NS_PER_S, Window
from drills.judge.verdict import Answer, Finding, Verdict
from drills.report.traffic import LATENCY_MS

_SIGNAL_SEEN = "signal_seen"
_EVENTUALLY = "eventually"


class Latency(msgspec.Struct, frozen=True):
    """Latency of the baseline's successful calls from their scheduled start, over all routes; also for each second."""

    calls: int
    p50_ms: float
    p99_ms: float
    p50_ms_by_second: tuple[float, ...]
    p99_ms_by_second: tuple[float, ...]


class Outage(msgspec.Struct, frozen=True):
    """The longest time without a successful call on a route, from the injection to the end of the run.

    Only routes that worked in the baseline count. resolution_s: the longest such time in the baseline; a shorter outage
    cannot be detected. lost: calls on these routes that did not succeed; with none, longest_s is only their spacing.
    """

    longest_s: float
    resolution_s: float
    route: str
    lost: int


class Headline(msgspec.Struct, frozen=True):
    """The figures that an index shows of a run; None: not measured.

    recovery_s: from the start of the window, usually the verified undo, until the last `eventually` claim was true for
    good, promised or not. has_recovered: whether all of them came true.
    signal_s: from the start of its window to the first signal that a claim asks for.
    """

    recovery_s: float | None = None
    has_recovered: bool | None = None
    outage: Outage | None = None
    signal_s: float | None = None
    signal: str = ""


def headline(verdict: Verdict, longest: Outage | None) -> Headline:
    """Return the figures of a verdict, beside the outage that its history shows."""
    awaited = [finding for finding in verdict.findings if finding.quantifier == _EVENTUALLY]
    # A claim about the fault window need not come true while the fault stands; if it did, it counts.
    counted = [finding for finding in awaited if finding.during == "recovery" or _came_true(finding)]
    has_recovered = all(map(_came_true, counted)) if counted else None
    recoveries = [finding.recovery_s for finding in counted if finding.recovery_s is not None]
    signals = ((seconds, name) for finding in verdict.findings for name, seconds in _signals(finding))
    signal_s, signal = min(signals, default=(None, ""))
    return Headline(
        recovery_s=max(recoveries, default=None) if has_recovered else None,
        has_recovered=has_recovered,
        outage=longest,
        signal_s=signal_s,
        signal=signal,
    )


def headline_of(bundle: Path, verdict: Verdict) -> Headline:
    """Return the figures of a stored run; without its outage when its history cannot be read."""
    try:
        return headline(verdict, outage(History.load(bundle)))
    except files.FileError:
        return headline(verdict, None)


def recoveries_s(verdict: Verdict, during: str = "") -> dict[str, float | None]:
    """Return, by claim id, how long each recovery took; None where it came too late or is unknown.

    Includes claims that the mesh does not promise. during: only claims of that window.
    """
    claims = (it for it in verdict.findings if it.quantifier == _EVENTUALLY and during in {"", it.during})
    return {it.id: it.recovery_s if _came_true(it) else None for it in claims}


def reopened_s(history: History) -> tuple[float, ...]:
    """Return, for each removal of an enforced policy in the baseline, the seconds until the first call succeeded again.

    Counted from the request for the removal, on calls that open a connection. A removal counts only if the last call
    that ended before it failed, and if a call succeeded before the next change and before the fault.
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
    """Return, for each signal that was seen, the seconds from the start of the window; the longest of several."""
    found: dict[str, float] = {}
    for finding in verdict.findings:
        for name, value in _signals(finding):
            found[name] = max(value, found.get(name, 0.0))
    return found


def undo_s(history: History) -> float | None:
    """Return the time from the first undo applied to the last undo verified; None without such a pair."""
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
    calls = history.calls_in(window).filter(SUCCEEDED).select("scheduled_ns", LATENCY_MS.alias("ms"))
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
    """Return the longest outage over all routes that worked in the baseline; None without a fault or such a route.

    Left out are routes that the drill itself closes, by its policy changes or because it claims that they are denied,
    and routes with both ends outside the mesh: those only show that the callers work.
    """
    windows = history.windows()
    if not {"baseline", "fault", "run"} <= windows.keys():
        return None
    closed = {change.edge for change in history.of_kind(PolicyChangeStep)}
    for claim in history.facts.claims:
        if claim.check.name == "denied":
            closed.update(claim.check.edges)
    unmeshed = history.facts.unmeshed
    called = {
        (it.source, it.target) for it in history.facts.callers if not (it.source in unmeshed and it.target in unmeshed)
    }
    edges = tuple(sorted(called - closed))
    before = {lane.key: lane for lane in lanes(history, windows["baseline"], edges) if lane.ok} if edges else {}
    since = Window("since the fault", windows["fault"].start_ns, windows["run"].end_ns)
    after = [lane for lane in lanes(history, since, edges) if lane.key in before] if before else []
    if not after:
        return None
    worst = max(after, key=lambda lane: lane.outage.length_ns)
    resolution_ns = max(lane.outage.length_ns for lane in before.values())
    route = f"{worst.source}->{worst.target} {worst.connection}"
    return Outage(
        longest_s=round(worst.outage.length_ns / NS_PER_S, 3),
        resolution_s=round(resolution_ns / NS_PER_S, 3),
        route=route,
        lost=sum(lane.failed + lane.unknown for lane in after),
    )


def shortest_outage_ms(findings: Iterable[Finding]) -> float | None:
    """Return the shortest outage that every traffic claim would have noticed: that of the weakest one."""
    found = [finding.resolving.shortest_outage_ms for finding in findings if finding.resolving is not None]
    return max(found, default=None)


def _came_true(finding: Finding) -> bool:
    return Answer.HELD in {finding.verdict, finding.measured}


def _signals(finding: Finding) -> Iterator[tuple[str, float]]:
    if finding.signal is not None and finding.time_to_signal_s is not None:
        yield finding.signal, finding.time_to_signal_s
    if finding.check == _SIGNAL_SEEN:
        for row in finding.rows:
            value = row.numbers.get("time_to_signal_s")
            if isinstance(value, int | float):
                yield row.subject, float(value)
