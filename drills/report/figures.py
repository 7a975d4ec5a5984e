"""The figures of a run: recovery, longest outage, time to signal, undo, latency. Each is computed only here."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import polars as pl

from drills.judge import files
from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes, on_edges
from drills.judge.events import ComponentPod, FaultInjected, PolicyChangeStep, UndoApplied, UndoVerified
from drills.judge.history import History
from drills.judge.records import NEW, NS_PER_S, Window
from drills.judge.verdict import Finding, Outcome, Verdict
from drills.report.formats import duration
from drills.report.open_routes import open_routes
from drills.report.signals import appeared
from drills.report.traffic import LATENCY_MS

_EVENTUALLY = "eventually"


class Latency(msgspec.Struct, frozen=True):
    """Latency of the baseline's successful calls from their scheduled start, over all open routes; also per second."""

    calls: int
    p50_ms: float
    p99_ms: float
    p50_ms_by_second: tuple[float, ...]
    p99_ms_by_second: tuple[float, ...]


class Outage(msgspec.Struct, frozen=True):
    """The longest time without a successful call of one caller on an open route, from the injection to the run's end.

    It runs on across the phases of the run. Only routes that worked in the baseline count, and among them those that
    lost a call, if any did. caller: the pod. is_over: whether a call succeeded afterwards, before the run ended.
    resolution_s: the longest such time in the baseline; a shorter outage cannot be detected. lost: calls on all these
    routes that did not succeed, promised or not, those of new pods too; with none, longest_s is only their spacing.
    """

    longest_s: float
    resolution_s: float
    route: str
    lost: int
    caller: str = ""
    is_over: bool = True

    @property
    def length(self) -> str:
        """Return its length in words, and that it was not over when it was not."""
        return f"{duration(self.longest_s)}{'' if self.is_over else ', not over at the end of the run'}"


class Headline(msgspec.Struct, frozen=True):
    """The figures that an index shows of a run; None: not measured.

    recovery_s: from the start of the window, usually the verified undo, until the last `eventually` claim was true for
    good, promised or not. has_recovered: whether all of them came true.
    signal_s: from the injection to the first signal that fired while the fault was active.
    """

    recovery_s: float | None = None
    has_recovered: bool | None = None
    outage: Outage | None = None
    signal_s: float | None = None
    signal: str = ""


def headline(verdict: Verdict, history: History | None) -> Headline:
    """Return the figures of a verdict and its history; without a history, those that the verdict alone gives."""
    awaited = [finding for finding in verdict.findings if finding.quantifier == _EVENTUALLY]
    # A claim about the fault window need not come true while the fault stands; if it did, it counts.
    counted = [finding for finding in awaited if finding.during == "recovery" or _came_true(finding)]
    has_recovered = all(map(_came_true, counted)) if counted else None
    recoveries = [finding.recovery_s for finding in counted if finding.recovery_s is not None]
    first = next(iter(appeared(history)), None) if history else None
    return Headline(
        recovery_s=max(recoveries, default=None) if has_recovered else None,
        has_recovered=has_recovered,
        outage=outage(history) if history else None,
        signal_s=first.after_s if first else None,
        signal=first.name if first else "",
    )


def headline_of(bundle: Path, verdict: Verdict) -> Headline:
    """Return the figures of a stored run; only those of its verdict when its history cannot be read."""
    try:
        return headline(verdict, History.load(bundle))
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
        calls = history.judged.filter(lane).select("ended_ns", SUCCEEDED.alias("ok"))
        ended = calls.filter(pl.col("ended_ns").is_between(changes[number - 1].at_ns, until_ns)).sort("ended_ns")
        around = ended.collect()
        before, after = around.filter(pl.col("ended_ns") < it.at_ns), around.filter(pl.col("ended_ns") >= it.at_ns)
        through = after.filter(pl.col("ok"))["ended_ns"]
        if before.height and not before["ok"][-1] and through.len():
            found.append(round((int(through[0]) - it.at_ns) / NS_PER_S, 3))
    return tuple(found)


def times_to_signal_s(history: History) -> dict[str, float]:
    """Return, for each signal that fired while the fault was active, the seconds from the injection."""
    return {it.name: round(it.after_s, 3) for it in appeared(history)}


def undo_s(history: History) -> float | None:
    """Return the time from the first undo applied to the last undo verified; None without such a pair."""
    applied = min((event.at_ns for event in history.of_kind(UndoApplied)), default=None)
    verified = max((event.at_ns for event in history.of_kind(UndoVerified)), default=None)
    if applied is None or verified is None or verified < applied:
        return None
    return round((verified - applied) / NS_PER_S, 3)


def latency(history: History) -> Latency | None:
    """Return the latency of the baseline on open routes; None without a baseline or a successful call."""
    window, edges = history.windows().get("baseline"), open_routes(history)
    if window is None or not edges:
        return None
    succeeded = history.calls_in(window).filter(SUCCEEDED, on_edges(edges))
    calls = succeeded.select("scheduled_ns", LATENCY_MS.alias("ms"))
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
    """Return the longest outage of a caller; None without a fault, or without an open route that worked before it."""
    windows, edges = history.windows(), open_routes(history)
    if not edges or not {"baseline", "fault", "run"} <= windows.keys():
        return None
    before = {lane.key[:3]: lane for lane in lanes(history, windows["baseline"], edges) if lane.ok}
    since = Window("since the fault", windows["fault"].start_ns, windows["run"].end_ns)
    after = [lane for lane in lanes(history, since, edges) if lane.key[:3] in before] if before else []
    if not after:
        return None
    losing = [lane for lane in after if lane.failed + lane.unknown]
    worst = max(losing or after, key=lambda lane: lane.outage.length_ns)
    resolution_ns = max(lane.outage.length_ns for lane in before.values())
    ended_ns = worst.outage.start_ns + worst.outage.length_ns
    return Outage(
        longest_s=round(worst.outage.length_ns / NS_PER_S, 3),
        resolution_s=round(resolution_ns / NS_PER_S, 3),
        route=f"{worst.source}->{worst.target} {worst.connection}",
        lost=sum(lane.failed + lane.unknown for lane in losing),
        caller=_caller(history, since, worst),
        # A pause as short as those of the baseline is only the spacing of the calls.
        is_over=ended_ns < since.end_ns or worst.outage.length_ns <= resolution_ns,
    )


def _caller(history: History, window: Window, lane: Lane) -> str:
    """Return the pod whose outage is that of the lane: it called, and none of its calls succeeded meanwhile.

    "" where the pod made no call. As in the lane, a pod that the fault ended is none.
    """
    start_ns, end_ns = lane.outage.start_ns, lane.outage.start_ns + lane.outage.length_ns
    ended = history.lost_pods.pods if history.lost_pods else frozenset[str]()
    ok = SUCCEEDED & (pl.col("ended_ns") > start_ns) & (pl.col("ended_ns") < end_ns)  # a success counts when it ends
    bad = ~SUCCEEDED & (pl.col("started_ns") > start_ns) & (pl.col("started_ns") < end_ns)
    pods = (
        history.due_in(window)
        .filter(on_edges((lane.edge,)), pl.col("connection") == lane.connection)
        .group_by("pod")
        .agg(ok=ok.sum(), bad=bad.sum())
        .filter(pl.col("ok") == 0)
        .sort("bad", "pod", descending=[True, False])
        .collect()
    )
    names = (str(pod) for pod in pods["pod"])
    new = history.new_pods.since_ns
    return next((pod for pod in names if pod not in ended and (pod in new) == lane.is_new), "")


class Ages(msgspec.Struct, frozen=True):
    """How long the pods of a role had run when the fault was injected, and their restarts before it."""

    role: str
    pods: int
    youngest_s: float
    oldest_s: float
    restarts: int


def ages(history: History) -> tuple[Ages, ...]:
    """Return the ages of each role's pods, in the order recorded; () for a run that did not record them."""
    injected_ns = min((event.at_ns for event in history.of_kind(FaultInjected)), default=None)
    found: dict[str, list[ComponentPod]] = {}
    for event in history.of_kind(ComponentPod):
        found.setdefault(event.detail.role, []).append(event)
    return tuple(_ages(role, pods, injected_ns) for role, pods in found.items())


def _ages(role: str, pods: list[ComponentPod], injected_ns: int | None) -> Ages:
    at_ns = max(pod.at_ns for pod in pods) if injected_ns is None else injected_ns
    run_s = [round((at_ns - (pod.detail.started_ns or at_ns)) / NS_PER_S) for pod in pods]
    return Ages(role, len(pods), min(run_s), max(run_s), sum(pod.detail.restarts for pod in pods))


def shortest_outage_ms(findings: Iterable[Finding]) -> float | None:
    """Return the shortest outage that every traffic claim would have noticed: that of the weakest one."""
    found = [finding.resolving.shortest_outage_ms for finding in findings if finding.resolving is not None]
    return max(found, default=None)


def _came_true(finding: Finding) -> bool:
    return finding.outcome is Outcome.HELD
