"""The signals of a run that fired while its fault was active, and those that did not: every page reads them here."""

from collections.abc import Iterator

import msgspec

from drills.judge.checks.signals import sighting
from drills.judge.history import History
from drills.judge.measure import Truth
from drills.judge.records import NS_PER_S


class Unseen(msgspec.Struct, frozen=True):
    """A signal that did not fire while the fault was active, and the reason."""

    name: str
    reason: str


class Appeared(msgspec.Struct, frozen=True):
    """A signal that fired while the fault was active. after_s: counted from the injection."""

    name: str
    at_ns: int
    after_s: float
    source: str


def appeared(history: History) -> tuple[Appeared, ...]:
    """Return each signal that fired between the injection and the undo, in the order of time."""
    return tuple(sorted(_seen(history), key=lambda it: (it.at_ns, it.name)))


def unseen(history: History) -> tuple[Unseen, ...]:
    """Return each signal that did not fire between the injection and the verified undo."""
    window = history.windows().get("fault")
    if window is None:
        return ()
    looked = (sighting(history, name, window.start_ns, window.end_ns - 1) for name in sorted(history.facts.signals))
    return tuple(Unseen(it.name, it.reason) for it in looked if it.truth is not Truth.TRUE)


def _seen(history: History) -> Iterator[Appeared]:
    window = history.windows().get("fault")
    if window is None:
        return
    for name in history.facts.signals:
        found = sighting(history, name, window.start_ns, window.end_ns - 1)
        if found.at_ns is not None:
            yield Appeared(name, found.at_ns, (found.at_ns - window.start_ns) / NS_PER_S, found.source)
