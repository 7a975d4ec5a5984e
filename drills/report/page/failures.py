"""The first section of a report: each claim that failed or is unknown, what was observed, and which alert fired."""

from collections.abc import Iterator

import msgspec

from clusters.model import Reference, SignalSpec
from drills.judge import known
from drills.judge.history import History
from drills.judge.verdict import SEVERITY, Finding, Outcome, Verdict
from drills.report.formats import duration
from drills.report.page.beforehand import beforehand

_LIMIT_CHARS = 300
_SIGNS = {
    "metric-increases": "the metric {0.subject} rises by more than {0.threshold:g}",
    "metric-below": "the metric {0.subject} falls below {0.threshold:g}",
    "condition": "Kubernetes reports that {0.subject} is not ready",
    "admission": "the API server rejects the request with \u201c{0.subject}\u201d",
    "pod-event": "Kubernetes records a warning Event on the new pod with \u201c{0.subject}\u201d",
    "node-taint": "the node has the taint {0.subject}",
    "drop": "the mesh's own drop log names the reason {0.subject}",
    "event": "Kubernetes records the Event {0.subject}",
    "status": "the status of the object reports {0.subject}",
}


class Failure(msgspec.Struct, frozen=True):
    """One claim that is false or unknown. number: its position in the verdict. alerted: the alert, in words.

    promise: "no promise" or "".
    """

    id: str
    number: int
    outcome: Outcome
    promise: str
    claim: str
    seen: str
    alerted: str
    issue: Reference | None  # the known issue


def failures(history: History, verdict: Verdict) -> tuple[Failure, ...]:
    """Return the claims that did not hold, the worst first; none for a control, where they are meant to fail."""
    if verdict.is_control:
        return ()
    found = [
        Failure(
            it.id,
            number,
            it.outcome,
            str(it.standing).removeprefix(it.outcome).removeprefix(", "),
            it.claim,
            _seen(it),
            _alerted(it, history),
            known.issue_of(it, history.facts.known_issues),
        )
        for number, it in enumerate(verdict.findings, 1)
        if it.outcome is not Outcome.HELD
    ]
    return tuple(sorted(found, key=lambda it: -SEVERITY.index(it.outcome)))


def sign(signal: SignalSpec) -> str:
    """Return how the signal shows itself, in words."""
    return _SIGNS[signal.kind].format(signal)


def _seen(finding: Finding) -> str:
    """Return the reason, shortened; the claim's section has all of it."""
    return _shortened(" ".join(finding.reason.replace(" :", ":").split()))


def _shortened(words: str) -> str:
    return words if len(words) <= _LIMIT_CHARS else f"{words[:_LIMIT_CHARS].rsplit(' ', 1)[0]} \u2026"


def _alerted(finding: Finding, history: History) -> str:
    return " ".join(_sentences(finding, history))


def _sentences(finding: Finding, history: History) -> Iterator[str]:
    if before := beforehand(history, finding):
        yield _shortened(before)
    if not finding.is_promised:
        yield "The mesh does not promise this, so the run does not fail by it."
    if finding.outcome is Outcome.FAILED_OBSERVABLY and finding.signal is not None:
        after_s = finding.time_to_signal_s
        after = "" if after_s is None else f", {duration(after_s)} into the {finding.during}"
        signal = history.facts.signals.get(finding.signal)
        yield f"Alert {finding.signal} reported it{after}{f': {sign(signal)}' if signal else ''}."
    elif finding.outcome is Outcome.VIOLATED and finding.must_hold:
        yield "No alert can excuse this."
    elif finding.outcome is Outcome.VIOLATED:
        yield "No alert that the claim names fired in time."
    elif finding.outcome is Outcome.INCONCLUSIVE:
        yield "The run cannot know whether it is true. That is not a pass."
