"""Was the drill carried out as planned: windows, fault receipts, undo, and trouble of the harness."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from drills.judge.events import (
    Event,
    FaultInjected,
    FaultReceipt,
    HarnessTrouble,
    ProgramStalled,
    ProgramStarted,
    UndoApplied,
    UndoVerified,
    WireReady,
)
from drills.judge.lost_pods import LostPods
from drills.judge.records import NS_PER_MS, NS_PER_S, Defect, RunFacts, Window

MAX_UNWATCHED_S = 10.0
"""Longest time between two receipts while the fault holds; the runner takes one each second."""

HOLD_TOLERANCE_S = 1.0
"""The first receipt may come this late, which makes the hold look shorter."""

MAX_HARNESS_DEFECTS = 20

MAX_STALL_MS = 700
"""Longest time for which a program may not run: calls that take 0.9 s count as slow."""


def find_drill_defects(
    events: tuple[Event, ...], facts: RunFacts, windows: dict[str, Window], lost: LostPods | None
) -> Iterator[Defect]:
    """Yield what the events show to have gone wrong with the drill itself."""
    yield from _missing_windows(windows)
    yield from _disorder(events)
    for subject in dict.fromkeys(event.subject for event in events if isinstance(event, FaultInjected)):
        yield from _fault(subject, tuple(event for event in events if event.subject == subject), facts.hold_s)
    boots = (event for event in events if isinstance(event, ProgramStarted))
    yield from _restarts((boot for boot in boots if not (lost and lost.explains(boot))), facts, windows)
    yield from _stalls(events, windows.get("run"), lost)
    yield from _observers(events, windows.get("run"), lost)
    yield from _harness(events)


def _missing_windows(windows: dict[str, Window]) -> Iterator[Defect]:
    for name in ("baseline", "fault", "recovery"):
        if name not in windows:
            yield Defect("missing-window", name, f"the {name} window is missing: its start or its end was not recorded")


def _disorder(events: tuple[Event, ...]) -> Iterator[Defect]:
    for before, after in pairwise(events):
        if after.at_ns < before.at_ns:
            message = f"event {after.kind} follows a later one: the events were reordered"
            yield Defect("reordered", after.kind, message)
            return


def _fault(subject: str, events: tuple[Event, ...], hold_s: float) -> Iterator[Defect]:
    injected_ns = next(event.at_ns for event in events if isinstance(event, FaultInjected))
    undone_ns = next((event.at_ns for event in events if isinstance(event, UndoApplied)), events[-1].at_ns)
    # A receipt without an answer comes from an observer that could not look: it does not count.
    receipts = tuple(
        event
        for event in events
        if isinstance(event, FaultReceipt)
        and injected_ns <= event.at_ns <= undone_ns
        and event.detail.landed is not None
    )
    landed_ns = next((event.at_ns for event in receipts if event.detail.landed), None)
    if landed_ns is None:
        yield Defect(
            "no-receipt", subject, f"no observer saw that '{subject}' landed between its injection and its undo"
        )
    elif not any(event.detail.momentary for event in receipts):
        yield from _hold(subject, tuple(e for e in receipts if e.at_ns >= landed_ns), undone_ns, hold_s)
    if not any(isinstance(event, UndoVerified) for event in events):
        yield Defect("undo-unverified", subject, f"nothing verified that '{subject}' was undone")


def _hold(subject: str, receipts: tuple[FaultReceipt, ...], undone_ns: int, hold_s: float) -> Iterator[Defect]:
    start_ns = receipts[0].at_ns
    lost = next((event for event in receipts if not event.detail.landed), None)
    if lost is not None:
        after_s = (lost.at_ns - start_ns) / NS_PER_S
        message = f"'{subject}' did not stay: {after_s:.1f} s after it landed the observer saw {lost.detail.evidence!r}"
        yield Defect("receipt-lost", subject, message)
    instants = (*(event.at_ns for event in receipts), undone_ns)
    widest_s = max(after - before for before, after in pairwise(instants)) / NS_PER_S
    if widest_s > MAX_UNWATCHED_S:
        message = (
            f"no receipt of '{subject}' for {widest_s:.1f} s of its hold, at most {MAX_UNWATCHED_S:.0f} s may pass"
        )
        yield Defect("receipt-gap", subject, message)
    held_s = (undone_ns - start_ns) / NS_PER_S
    if held_s < hold_s - HOLD_TOLERANCE_S:
        message = f"'{subject}' was in force for {held_s:.1f} s, the drill demands {hold_s:.1f} s"
        yield Defect("short-hold", subject, message)


def _restarts(boots: Iterable[ProgramStarted], facts: RunFacts, windows: dict[str, Window]) -> Iterator[Defect]:
    witnesses = {caller.pod for caller in facts.callers} | set(facts.servers)
    run = windows.get("run")
    for boot in boots:
        pod = boot.detail.pod
        if run and pod in witnesses and run.holds(boot.at_ns):
            message = f"the lab program of pod {pod} restarted during the run: its record has a gap"
            yield Defect("restarted", pod, message, pod=pod, until_ns=boot.at_ns)


def _stalls(events: tuple[Event, ...], run: Window | None, lost: LostPods | None) -> Iterator[Defect]:
    """Yield each program that did not run for too long, unless the fault ended it."""
    for event in (event for event in events if isinstance(event, ProgramStalled)):
        pod, stalled_ms = event.detail.pod, event.detail.stalled_ms
        is_explained = lost is not None and pod in lost.pods and event.at_ns >= lost.injected_ns
        if run and run.holds(event.at_ns) and stalled_ms > MAX_STALL_MS and not is_explained:
            message = f"the lab program of pod {pod} did not run for {stalled_ms} ms: calls to it had to wait"
            from_ns = event.at_ns - stalled_ms * NS_PER_MS
            yield Defect("stalled", pod, message, pod=pod, from_ns=from_ns, until_ns=event.at_ns)


def _observers(events: tuple[Event, ...], run: Window | None, lost: LostPods | None) -> Iterator[Defect]:
    """Yield each observer of the wire that began to watch during the run, unless the fault ended it with its node."""
    for ready in (event for event in events if isinstance(event, WireReady)):
        node = ready.detail.node
        is_explained = lost is not None and node in lost.first_boots and ready.at_ns >= lost.injected_ns
        if run and run.holds(ready.at_ns) and not is_explained:
            message = f"the observer of node {node} restarted during the run: what it missed before is not known"
            yield Defect("observer-restarted", node, message, excuses=False)


def _harness(events: tuple[Event, ...]) -> Iterator[Defect]:
    troubles = tuple(event for event in events if isinstance(event, HarnessTrouble))
    for event in troubles[:MAX_HARNESS_DEFECTS]:
        yield Defect("harness", event.subject, f"the harness had trouble: {event.detail.message or event.subject}")
    if len(troubles) > MAX_HARNESS_DEFECTS:
        more = len(troubles) - MAX_HARNESS_DEFECTS
        yield Defect("harness", "more", f"the harness had {more} more troubles, see events.jsonl")
