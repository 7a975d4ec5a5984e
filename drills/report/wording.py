"""Words that every page of a run shares: the verdicts, the steps of the drill, the instants of change."""

from collections.abc import Iterable

from drills.judge.events import Event, FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified, UndoWritten
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Finding, Outcome

IN_WORDS = {
    Outcome.HELD: "every claim is true over enough samples",
    Outcome.FAILED_OBSERVABLY: "a claim is false, and an alert that it names fired in time",
    Outcome.INCONCLUSIVE: "the run cannot know",
    Outcome.VIOLATED: "a claim is false, and no alert that it names fired in time",
}


def promise_of(finding: Finding) -> str:
    """Return what stands behind a claim: its kind of promise, "none", or that the drill itself requires it."""
    if finding.is_condition:
        return "condition of the drill"
    if finding.promise is None:
        return "required by the drill"
    return finding.promise.kind if finding.is_promised else "none"


def without_promise(findings: Iterable[Finding]) -> str:
    """Return in one sentence how many claims broke that the mesh does not promise; "" for none."""
    broken = sum(finding.is_finding_without_promise for finding in findings)
    if not broken:
        return ""
    claims = (
        "1 claim that this mesh does not promise is"
        if broken == 1
        else f"{broken} claims that this mesh does not promise are"
    )
    return f"{claims} broken: no run fails by that, and callers feel it all the same."


_TIMELINE = Phase | UndoWritten | FaultInjected | FaultReceipt | UndoApplied | UndoVerified


def instants(history: History) -> list[tuple[str, int]]:
    """Return (name, at_ns) of each injection and each undo."""
    changed: tuple[FaultInjected | UndoApplied, ...] = history.of_kind(FaultInjected, UndoApplied)
    return [
        (f"fault {'injected' if isinstance(event, FaultInjected) else 'undone'}: {event.subject}", event.at_ns)
        for event in changed
    ]


def acts(history: History) -> list[tuple[Event, str]]:
    """Return the steps of the drill in words. Of equal receipts in a row, only the first."""
    found: list[tuple[Event, str]] = []
    last = ""
    for event in history.events:
        if not isinstance(event, _TIMELINE):
            continue
        words = f"{event.kind} {event.subject}"
        if isinstance(event, FaultReceipt):
            landed = "landed" if event.detail.landed else "not landed"
            words = f"receipt of {event.subject}: {landed}, by {event.detail.observer} ({event.detail.evidence})"
            if landed == last:
                continue
            last = landed
        found.append((event, words))
    return found


def timeline(history: History) -> list[tuple[float, str]]:
    """Return (seconds since the first event, words) of each step of the drill."""
    return [((event.at_ns - history.events[0].at_ns) / NS_PER_S, words) for event, words in acts(history)]
