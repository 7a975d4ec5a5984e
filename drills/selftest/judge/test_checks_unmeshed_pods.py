"""New pods outside the mesh: they must reach nothing in it, and the mesh must send them nothing readable."""

import pytest

from drills.judge import checks
from drills.judge.claims import always, never
from drills.judge.events import WireReady
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE, LEDGER = ("checkout", "payment"), ("payment", "ledger")
POD = "new-pod-1"
PHASES = pytest.mark.parametrize("phase", ["baseline", "fault", "recovery"])
OVER = (2.0, 6.0)


def unmeshed(phase: str, *, meshed: bool = False) -> Story:
    """Tell of a new pod in a phase, in a lab whose services serve others."""
    story = Story().steady(EDGE, LEDGER, ("intruder", "frontend")).watched().unplanned(POD)
    {"baseline": story.baseline, "fault": story.fault, "recovery": story.recovery}[phase]()
    return story.new_pod("admitted", name=POD, meshed=meshed, started=True)


def calling(story: Story, target: str, *, error: str = "connect-reset", **how: int) -> Story:
    """Let the pod call a service."""
    return story.calls("new-pod", target, pod=POD, over=OVER, error=error, **how)  # type: ignore[arg-type]  # counts


def refused(story: Story, phase: str) -> Outcome:
    """Return the outcome of the claim that such pods are refused."""
    return answer(story, always(checks.unmeshed_pods_refused(), phase, must_hold=True)).outcome


def silent(story: Story, phase: str) -> Outcome:
    """Return the outcome of the claim that such pods are sent nothing readable."""
    return answer(story, never(checks.plaintext_to_unmeshed_pods(), phase, must_hold=True)).outcome


@PHASES
def test_a_pod_outside_whose_every_call_is_refused_gains_nothing(phase: str) -> None:
    """An allowed and a denied service refuse it, while they serve others."""
    assert refused(calling(calling(unmeshed(phase), "frontend", fail=20), "ledger", fail=9), phase) is Outcome.HELD


@PHASES
def test_a_pod_outside_that_is_served_once_is_harm(phase: str) -> None:
    """One call is enough, by either witness; who called the pod itself stands beside it."""
    story = calling(calling(unmeshed(phase), "frontend", fail=20), "ledger", ok=1)
    story.calls("checkout", "new-pod", server=POD, over=OVER, ok=3)
    story.calls("outsider", "new-pod", server=POD, over=OVER, ok=2)
    finding = answer(story, always(checks.unmeshed_pods_refused(), phase, must_hold=True))
    assert (finding.outcome, finding.rows[0].numbers) == (
        Outcome.VIOLATED,
        {"calls": 21, "served": 1, "served_to_the_mesh": 3, "served_to_outsiders": 2},
    )
    lost = unmeshed(phase).calls("new-pod", "frontend", pod=POD, over=OVER, info=12, error="timeout", served=True)
    assert refused(lost, phase) is Outcome.VIOLATED


@PHASES
def test_a_pod_outside_that_could_not_have_been_served_proves_nothing(phase: str) -> None:
    """No such pod, few calls, no answer from anywhere, and a service that serves nobody leave it open."""
    assert refused(unmeshed(phase, meshed=True), phase) is Outcome.INCONCLUSIVE
    assert refused(unmeshed(phase), phase) is Outcome.INCONCLUSIVE
    assert refused(calling(unmeshed(phase), "frontend", fail=9), phase) is Outcome.INCONCLUSIVE
    assert (
        refused(calling(unmeshed(phase), "frontend", fail=20, error="connect-timeout"), phase) is Outcome.INCONCLUSIVE
    )
    assert refused(calling(unmeshed(phase), "fraud", fail=20), phase) is Outcome.INCONCLUSIVE


@PHASES
def test_calls_to_a_pod_outside_that_are_not_readable_expose_nothing(phase: str) -> None:
    """The mesh called it often enough, and the observers saw the plaintext that they must see."""
    story = unmeshed(phase).calls("checkout", "new-pod", server=POD, over=OVER, ok=20)
    assert silent(story, phase) is Outcome.HELD


@PHASES
def test_a_readable_call_to_a_pod_outside_is_harm(phase: str) -> None:
    """A caller of the mesh sent it plain text; what outsiders send it does not count."""
    story = unmeshed(phase).calls("checkout", "new-pod", server=POD, over=OVER, ok=20)
    outside = unmeshed(phase).calls("checkout", "new-pod", server=POD, over=OVER, ok=20)
    outside.calls("outsider", "new-pod", server=POD, over=OVER, ok=20).hit("outsider", "new-pod", at_s=3)
    finding = answer(story.hit("checkout", "new-pod", at_s=3), never(checks.plaintext_to_unmeshed_pods(), phase))
    assert (finding.outcome, finding.rows[0].subject) == (Outcome.VIOLATED, f"checkout->new-pod, {POD}")
    assert silent(outside, phase) is Outcome.HELD


@PHASES
def test_a_pod_outside_that_was_not_called_or_not_watched_is_inconclusive(phase: str) -> None:
    """No such pod, few calls to it, and an observer that was not ready prove nothing."""
    called = unmeshed(phase).calls("checkout", "new-pod", server=POD, over=OVER, ok=20)
    assert silent(unmeshed(phase, meshed=True), phase) is Outcome.INCONCLUSIVE
    assert silent(unmeshed(phase), phase) is Outcome.INCONCLUSIVE
    few = unmeshed(phase).calls("checkout", "new-pod", server=POD, over=OVER, ok=3)
    assert silent(few, phase) is Outcome.INCONCLUSIVE
    assert silent(called.without(WireReady), phase) is Outcome.INCONCLUSIVE
