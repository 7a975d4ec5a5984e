"""Words that every page of a run shares: the verdicts, the steps of the drill, the instants of change."""

from drills.judge.events import Event, FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified, UndoWritten
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Answer

IN_WORDS = {
    Answer.HELD: "every claim is true over enough samples",
    Answer.FAILED_OBSERVABLY: "a claim is false, and an alert that it names fired in time",
    Answer.INCONCLUSIVE: "the run cannot know",
    Answer.VIOLATED: "a claim is false, and no alert that it names fired in time",
}
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
