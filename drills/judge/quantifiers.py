"""always, never, sometimes, reached, eventually: from a measured proposition to the truth of a claim."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from drills.judge.history import History
from drills.judge.measure import Check, Measurement, Truth
from drills.judge.records import NS_PER_S, Window

EVENTUALLY_STEPS = 100
"""Recovery is looked for at this many instants, so it is known to within_s / EVENTUALLY_STEPS."""


class Quantifier(StrEnum):
    """How a claim binds its check to its window."""

    ALWAYS = "always"
    NEVER = "never"
    EVENTUALLY = "eventually"
    SOMETIMES = "sometimes"
    REACHED = "reached"


@dataclass(frozen=True)
class Ruling:
    """Truth of the claim, the measurement that decided it, and for `eventually` the time it took."""

    truth: Truth
    measurement: Measurement
    reason: str
    recovery_s: float | None = None


def rule(quantifier: Quantifier, check: Check, history: History, window: Window) -> Ruling:
    """Return whether the quantified check is true of the window; `eventually` has bounds and its own function."""
    measured = check.evaluate(history, window)
    match quantifier:
        case Quantifier.NEVER:
            truth = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE}.get(measured.truth, Truth.UNKNOWN)
        case Quantifier.REACHED:
            truth = Truth.TRUE if measured.truth is Truth.TRUE else Truth.UNKNOWN
        case _:
            truth = measured.truth
    return Ruling(truth, measured, measured.reason)


def rule_eventually(check: Check, history: History, window: Window, within_s: float, hold_s: float) -> Ruling:
    """Return whether the check is true from some instant, at most within_s after the start, until the window's end.

    It must be seen true for at least hold_s. A window that ended before within_s was over proves no failure.
    """
    measured = Measurement(Truth.UNKNOWN, f"the {window.name} window lasts {window.length_s:.1f} s, under {hold_s:g} s")
    for start_ns in _candidates(window, within_s, hold_s):
        measured = check.evaluate(history, window.since(start_ns))
        if measured.truth is Truth.TRUE:
            recovery_s = (start_ns - window.start_ns) / NS_PER_S
            return Ruling(Truth.TRUE, measured, f"true from {recovery_s:.1f} s on until the end", recovery_s)
    if window.length_s < within_s:
        reason = (
            f"not true yet when the window ended after {window.length_s:.1f} s of {within_s:g} s: {measured.reason}"
        )
        return Ruling(Truth.UNKNOWN, measured, reason)
    return Ruling(measured.truth, measured, f"not true within {within_s:g} s: {measured.reason}")


def _candidates(window: Window, within_s: float, hold_s: float) -> Iterator[int]:
    last_ns = min(window.start_ns + round(within_s * NS_PER_S), window.end_ns - round(hold_s * NS_PER_S))
    for step in range(EVENTUALLY_STEPS + 1):
        start_ns = window.start_ns + (last_ns - window.start_ns) * step // EVENTUALLY_STEPS
        if start_ns >= window.start_ns:
            yield start_ns
