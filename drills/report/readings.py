"""What every page of a run says in words: the order of events, the instants of change, the verdict."""

from collections.abc import Iterable

from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Answer, Finding

IN_WORDS = {
    Answer.HELD: "every claim is true over enough samples",
    Answer.FAILED_OBSERVABLY: "a claim is false, and the signal that it names told of it in time",
    Answer.INCONCLUSIVE: "the run could not find out",
    Answer.VIOLATED: "a claim is false, and no named signal told of it in time",
}
_TRANSITIONS = {"fault.injected": "fault injected", "fault.undo_applied": "fault undone"}
_TIMELINE = (
    "phase",
    "fault.undo_written",
    "fault.injected",
    "fault.receipt",
    "fault.undo_applied",
    "fault.undo_verified",
)


def instants(history: History) -> list[tuple[str, int]]:
    """Return (name, at_ns) of every instant at which the world was changed: each injection and each undo."""
    events = history.of_kind(*_TRANSITIONS)
    return [(f"{_TRANSITIONS[event.kind]}: {event.subject}", event.at_ns) for event in events]


def told(history: History) -> list[tuple[int, str, str]]:
    """Return (at_ns, kind, words) of the drill's own events; of a receipt that repeats itself only each change."""
    lines: list[tuple[int, str, str]] = []
    last = ""
    for event in history.of_kind(*_TIMELINE):
        words = f"{event.kind} {event.subject}"
        if event.kind == "fault.receipt":
            landed = "landed" if event.flag("landed") else "not landed"
            words = f"receipt of {event.subject}: {landed}, by {event.text('observer')} ({event.text('evidence')})"
            if landed == last:
                continue
            last = landed
        lines.append((event.at_ns, event.kind, words))
    return lines


def timeline(history: History) -> list[tuple[float, str]]:
    """Return (seconds since the first event, words) of the drill's own events."""
    return [((at_ns - history.events[0].at_ns) / NS_PER_S, words) for at_ns, _, words in told(history)]


def shortest_outage_ms(findings: Iterable[Finding]) -> float | None:
    """Return the shortest outage that the run could have missed: that of its weakest traffic claim."""
    found = [finding.resolving.shortest_outage_ms for finding in findings if finding.resolving is not None]
    return max(found, default=None)
