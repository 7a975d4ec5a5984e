"""What the controls of a drill show: whether its runs can be believed, in the same words on every page."""

from collections.abc import Sequence
from typing import Final

import msgspec

from drills.judge.verdict import Outcome

NOT_YET: Final = "not yet believed"
_BY_DOUBT: Final = (Outcome.INCONCLUSIVE, Outcome.HELD, Outcome.FAILED_OBSERVABLY, Outcome.VIOLATED)
"""Outcomes of a no-fault control; the last that occurs counts. A control that cannot know takes nothing from another
that held, and a control that held takes nothing from another that failed."""


class Belief(msgspec.Struct, frozen=True):
    """What one kind of control shows.

    is_good: whether it lets the runs be believed. link: to its report, "" without one.
    """

    words: str
    is_good: bool
    link: str = ""

    def linked(self, link: str) -> "Belief":
        """Return the same with the link to the report of the control."""
        return msgspec.structs.replace(self, link=link)


def deciding(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that counts, of one or more no-fault controls."""
    return max(outcomes, key=_BY_DOUBT.index)


def of_no_fault(outcomes: Sequence[Outcome], *, others: int = 0) -> Belief:
    """Return what the no-fault controls on one version of a mesh show. others: controls on other versions."""
    if not outcomes:
        return Belief(f"no no-fault control{' on this version' if others else ''}", is_good=False)
    outcome = deciding(outcomes)
    count = "" if len(outcomes) == 1 else f", {outcomes.count(outcome)} of {len(outcomes)} runs"
    return Belief(f"no-fault control {outcome}{count}", is_good=outcome is Outcome.HELD)


def of_unprotected(passes: Sequence[bool], reason: str = "") -> Belief:
    """Return what the controls show in which nothing protects the lab. reason: why the drill has no such control."""
    if not passes:
        return Belief(f"no control can be asked: {reason}" if reason else "no control", is_good=bool(reason))
    return Belief("control passed" if all(passes) else "control FAILED", is_good=all(passes))


def doubt(*beliefs: Belief) -> str:
    """Return why runs cannot be believed yet, "" if they can."""
    missing = [belief.words for belief in beliefs if not belief.is_good]
    return f"{NOT_YET}: {', '.join(missing)}" if missing else ""
