"""Annotations of the timeline: steps of the drill, receipts, first signals, and attempts of the probes."""

from collections import Counter
from typing import Final

import msgspec

from drills.judge.checks.new_pods import MESHED, STUCK, UNMESHED, fate_of
from drills.judge.events import (
    Event,
    FaultInjected,
    FaultReceipt,
    NewPod,
    PolicyChangeStep,
    UndoApplied,
    UndoVerified,
)
from drills.judge.history import History
from drills.report.page.bins import Span
from drills.report.page.svg import spread
from drills.report.signals import appeared
from drills.report.wording import acts

MAX_ANNOTATIONS: Final = 24  # more are illegible in print; events.jsonl has all of them
_APART_PERCENT: Final = 7.0  # the width of a number on a phone
_KINDS: dict[type[Event], tuple[str, str]] = {
    FaultInjected: ("fault", "fault injected"),
    FaultReceipt: ("receipt", "receipt"),
    UndoApplied: ("undo", "undo applied"),
    UndoVerified: ("undo", "undo verified"),
}
_FATES = {
    MESHED: "admitted into the mesh",
    UNMESHED: "admitted outside the mesh",
    STUCK: "admitted, never started",
}
_SHAPES = {
    _FATES[MESHED]: "\u25cf",
    "accepted": "\u25cf",
    "refused": "\u25b2",
    _FATES[STUCK]: "\u25a0",
    _FATES[UNMESHED]: "\u2715",
}


class Annotation(msgspec.Struct, frozen=True):
    """One numbered instant of the timeline. row: keeps neighbouring numbers from overlapping."""

    number: int
    kind: str  # fault | receipt | undo | signal
    title: str
    words: str
    at_ns: int
    percent: float
    row: int


class Band(msgspec.Struct, frozen=True):
    """One window of the run. left and width: in percent of the drawing."""

    name: str
    length_s: float
    left: float
    width: float


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of a probe, and its outcome."""

    percent: float
    outcome: str

    @property
    def shape(self) -> str:
        """Return the outcome as a shape, so that it does not depend on colour."""
        return _SHAPES.get(self.outcome, "?")


class Attempts(msgspec.Struct, frozen=True):
    """All attempts of one kind."""

    title: str
    tries: tuple[Attempt, ...]

    @property
    def summary(self) -> str:
        """Return how often each outcome occurred, in words."""
        return ", ".join(
            f"{_SHAPES.get(outcome, '?')} {count} {outcome}"
            for outcome, count in Counter(it.outcome for it in self.tries).items()
        )


def annotations(history: History, drawn: Span) -> tuple[Annotation, ...]:
    """Return the annotations in the order of time, at most MAX_ANNOTATIONS."""
    found = [
        (event.at_ns, *_KINDS[type(event)], words.removeprefix(event.kind).removeprefix("receipt of").strip())
        for event, words in acts(history)
        if type(event) in _KINDS
    ]
    found += [(it.at_ns, "signal", f"signal {it.name}", f"first seen on {it.source}") for it in appeared(history)]
    shown = sorted(found, key=lambda it: it[0])[:MAX_ANNOTATIONS]
    places = [drawn.percent(at_ns) for at_ns, *_ in shown]
    rows = spread(places, _APART_PERCENT)
    return tuple(
        Annotation(number, kind, title, words, at_ns, place, row)
        for number, ((at_ns, kind, title, words), place, row) in enumerate(zip(shown, places, rows, strict=True), 1)
    )


def bands(history: History, drawn: Span) -> tuple[Band, ...]:
    """Return the recorded ones of baseline, fault and recovery."""
    return tuple(
        Band(name, window.length_s, left, round(drawn.percent(window.end_ns) - left, 2))
        for name, window in history.windows().items()
        if name != "run"
        for left in (drawn.percent(window.start_ns),)
    )


def attempts(history: History, drawn: Span) -> tuple[Attempts, ...]:
    """Return the attempts to create pods and to change policy; no entry for a kind without attempts."""
    pods = tuple(Attempt(drawn.percent(pod.at_ns), _outcome(pod)) for pod in history.of_kind(NewPod))
    changes = tuple(
        Attempt(drawn.percent(change.at_ns), change.detail.outcome)
        for change in history.of_kind(PolicyChangeStep)
        if change.detail.step == "apply"
    )
    return tuple(Attempts(title, tries) for title, tries in (("new pods", pods), ("policy changes", changes)) if tries)


def _outcome(pod: NewPod) -> str:
    return _FATES.get(fate_of(pod), fate_of(pod)) if pod.detail.outcome == "admitted" else pod.detail.outcome
