"""What a reader with five minutes wants first: each claim that is not true, what was seen, and what told of it."""

from collections.abc import Iterator

import msgspec

from clusters.model import Reference, SignalSpec
from drills.judge import known
from drills.judge.history import History
from drills.judge.verdict import SEVERITY, Answer, Finding, Verdict
from drills.report.formats import duration

_LIMIT_CHARS = 300
_SILENT = "not promised by the mesh; measured: "
_SIGNS = {
    "metric-increases": "the metric {0.subject} rises by more than {0.threshold:g}",
    "metric-below": "the metric {0.subject} falls below {0.threshold:g}",
    "condition": "{0.subject} is not ready, as Kubernetes shows it",
    "admission": "the API refuses, and says \u201c{0.subject}\u201d",
    "pod-event": "Kubernetes warns of the new pod, and says \u201c{0.subject}\u201d",
    "node-taint": "the node has the taint {0.subject}",
    "drop": "the mesh's own record names a drop {0.subject}",
    "event": "Kubernetes tells of the Event {0.subject}",
    "status": "the status of the object says so: {0.subject}",
}


class Failure(msgspec.Struct, frozen=True):
    """One claim that is not true, or not known to be. number: its place in the verdict; told: what told of it."""

    id: str
    number: int
    answer: Answer
    claim: str
    seen: str
    told: str
    issue: Reference | None  # where it is told that this is violated


def failures(history: History, verdict: Verdict) -> tuple[Failure, ...]:
    """Return what is not true, the worst first; of a control nothing, because there it has to be so."""
    if verdict.is_control:
        return ()
    found = [
        Failure(
            it.id,
            number,
            it.verdict,
            it.claim,
            _seen(it),
            _told(it, history),
            known.issue_of(it, history.facts.known_issues),
        )
        for number, it in enumerate(verdict.findings, 1)
        if Answer.HELD not in {it.verdict, it.measured}
    ]
    return tuple(sorted(found, key=lambda it: -SEVERITY.index(it.answer)))


def sign(signal: SignalSpec) -> str:
    """Return what somebody sees who looks for the signal."""
    return _SIGNS[signal.kind].format(signal)


def _seen(finding: Finding) -> str:
    """Return the reason, without what the answer beside it says; its end stands at the claim."""
    words = finding.reason
    if words.startswith(_SILENT):
        words = words.removeprefix(_SILENT).removeprefix(f"{finding.measured}, ")
    words = " ".join(words.replace(" :", ":").split())
    return words if len(words) <= _LIMIT_CHARS else f"{words[:_LIMIT_CHARS].rsplit(' ', 1)[0]} \u2026"


def _told(finding: Finding, history: History) -> str:
    return " ".join(_sentences(finding, history))


def _sentences(finding: Finding, history: History) -> Iterator[str]:
    answer = finding.verdict
    if answer is Answer.NOT_PROMISED:
        yield "The mesh does not promise this, so it neither passes nor fails."
        answer = finding.measured if isinstance(finding.measured, Answer) else Answer.INCONCLUSIVE
    if answer is Answer.FAILED_OBSERVABLY and finding.signal is not None:
        after_s = finding.time_to_signal_s
        after = "" if after_s is None else f", {duration(after_s)} into the {finding.during}"
        signal = history.facts.signals.get(finding.signal)
        yield f"Signal {finding.signal} told of it{after}{f': {sign(signal)}' if signal else ''}."
    elif answer is Answer.VIOLATED and finding.must_hold:
        yield "No signal could excuse this."
    elif answer is Answer.VIOLATED:
        yield "No signal that the claim names told of it in time."
    elif answer is Answer.INCONCLUSIVE:
        yield "Nobody knows whether it is true: that is no pass."
