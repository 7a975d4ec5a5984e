"""What the controls of a drill show: whether its runs can be believed, in the same words on every page."""

from collections.abc import Sequence
from typing import Final

import msgspec

from drills.judge.verdict import Outcome, Verdict

NOT_YET: Final = "not yet believed"
_BY_DOUBT: Final = (Outcome.INCONCLUSIVE, Outcome.HELD, Outcome.FAILED_OBSERVABLY, Outcome.VIOLATED)
"""Outcomes of a control; the last that occurs counts. A control that cannot know takes nothing from another
that held, and a control that held takes nothing from another that failed."""


class NoFault(msgspec.Struct, frozen=True):
    """One no-fault control: the outcome that counts, and the claims that are excused: the mesh never promised them."""

    outcome: Outcome
    never_promised: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict) -> "NoFault":
        """Return it for the verdict of a control."""
        return cls(verdict.counted_without_fault, verdict.excused_without_fault)


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


def deciding(found: Sequence[NoFault]) -> NoFault:
    """Return the control that counts, of one or more; of equal ones the last."""
    return max(reversed(found), key=lambda it: _BY_DOUBT.index(it.outcome))


def of_no_fault(found: Sequence[NoFault], *, others: int = 0) -> Belief:
    """Return what the no-fault controls on one version of a mesh show. others: controls on other versions."""
    if not found:
        return Belief(f"no no-fault control{' on this version' if others else ''}", is_good=False)
    it = deciding(found)
    count = f", {sum(one.outcome is it.outcome for one in found)} of {len(found)} runs" if len(found) > 1 else ""
    but = f" but for {', '.join(it.never_promised)}, which the mesh does not promise" if it.never_promised else ""
    is_good = it.outcome is Outcome.HELD
    return Belief(f"no-fault control {it.outcome}{but if is_good else ''}{count}", is_good=is_good)


def of_unprotected(found: Sequence[Outcome], reason: str = "") -> Belief:
    """Return what the controls show in which nothing protects the lab. reason: why the drill has no such control."""
    if not found:
        return Belief(f"no control can be asked: {reason}" if reason else "no control", is_good=bool(reason))
    outcome = max(found, key=_BY_DOUBT.index)
    return Belief(as_control(outcome), is_good=outcome is Outcome.HELD)


def as_control(outcome: Outcome) -> str:
    """Return in words what a control shows in which nothing protects the lab; see Verdict.detected."""
    return {Outcome.HELD: "control passed", Outcome.INCONCLUSIVE: "control INCONCLUSIVE"}.get(outcome, "control FAILED")


def doubt(*beliefs: Belief) -> str:
    """Return why runs cannot be believed yet, "" if they can."""
    missing = [belief.words for belief in beliefs if not belief.is_good]
    return f"{NOT_YET}: {', '.join(missing)}" if missing else ""
