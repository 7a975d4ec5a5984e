"""always, never, sometimes, reached, eventually: from a check's measurement to the truth of a claim."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from drills.judge.history import History
from drills.judge.measure import Check, Measurement, Truth
from drills.judge.records import NS_PER_S, Window

STEPS = 100
"""Recovery is located to a hundredth of the bound."""

STRIDE = 10
"""Every tenth step is tried first, so that about a dozen suffixes are judged, not a hundred."""


class Quantifier(StrEnum):
    """How a claim binds its check to its window."""

    ALWAYS = "always"
    NEVER = "never"
    EVENTUALLY = "eventually"
    SOMETIMES = "sometimes"
    REACHED = "reached"


@dataclass(frozen=True)
class Ruling:
    """Truth of the claim, the measurement that decided it, and for `eventually` the time until it was true."""

    truth: Truth
    measurement: Measurement
    reason: str
    recovery_s: float | None = None


def rule(quantifier: Quantifier, check: Check, history: History, window: Window) -> Ruling:
    """Return the truth of the quantified check in the window; for `eventually` use rule_eventually."""
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

    It must be seen true for at least hold_s, and first seen true within within_s: a rule that is tried every 10 s and
    fails at 30 s may work from 31 s on, but that is seen at 40 s. What is never seen false recovered at once. A window
    shorter than within_s proves no failure.
    """
    span_ns = min(round(within_s * NS_PER_S), window.end_ns - window.start_ns - round(hold_s * NS_PER_S))
    if span_ns < 0:
        reason = f"the {window.name} window lasts {window.length_s:.1f} s, too short to hold for {hold_s:g} s"
        return Ruling(Truth.UNKNOWN, Measurement(Truth.UNKNOWN, reason), reason)

    def measure(step: int) -> Measurement:
        return check.evaluate(history, window.since(window.start_ns + span_ns * step // STEPS))

    step, measured = _first_true(measure)
    if measured.truth is Truth.TRUE and not step:
        return Ruling(Truth.TRUE, measured, "never seen false", 0.0)
    if measured.truth is Truth.TRUE:
        step_ns = window.start_ns + span_ns * step // STEPS
        recovery_s = (max(step_ns, measured.since_ns or step_ns) - window.start_ns) / NS_PER_S
        if recovery_s > within_s:
            reason = f"first seen true after {recovery_s:.1f} s, at most {within_s:g} s may pass: not known before"
            return Ruling(Truth.UNKNOWN, measured, reason)
        return Ruling(Truth.TRUE, measured, f"true from {recovery_s:.1f} s on until the end", recovery_s)
    if window.length_s < within_s:
        reason = (
            f"not yet true when the window ended after {window.length_s:.1f} s of {within_s:g} s: {measured.reason}"
        )
        return Ruling(Truth.UNKNOWN, measured, reason)
    return Ruling(measured.truth, measured, f"not true within {within_s:g} s: {measured.reason}")


def _first_true(measure: Callable[[int], Measurement]) -> tuple[int, Measurement]:
    """Return the first step that measures true: searched in strides, then by bisection within the stride.

    When none does, return the last measurement that was not UNKNOWN, at least of the first half of the bound: harm
    seen in the second half counts even when its last moments have no samples.
    """
    high, best = 0, measure(0)
    known = best
    while best.truth is not Truth.TRUE and high < STEPS:
        high += STRIDE
        best = measure(high)
        if best.truth is not Truth.UNKNOWN or high <= STEPS // 2:
            known = best
    if best.truth is not Truth.TRUE:
        return high, known
    return _halve(measure, high - STRIDE if high else -1, high, best)


def _halve(measure: Callable[[int], Measurement], low: int, high: int, best: Measurement) -> tuple[int, Measurement]:
    """Return the earliest step found true between `low`, which is not, and `high`, which is, with its measurement."""
    while high - low > 1:
        middle = (low + high) // 2
        measured = measure(middle)
        if measured.truth is Truth.TRUE:
            high, best = middle, measured
        else:
            low = middle
    return high, best
