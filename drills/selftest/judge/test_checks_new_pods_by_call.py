"""New pods by their calls: one joined when a call shows it in the mesh, and one of which no call succeeds is dark."""

import pytest

from drills.judge import checks
from drills.judge.claims import always, eventually
from drills.judge.events import WireReady
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import START_NS, Story, answer

EDGE = ("checkout", "payment")
POD = "new-pod-1"
OUT, IN, CALLED = ("new-pod", "frontend"), ("checkout", "new-pod"), ("outsider", "new-pod")
PHASES = pytest.mark.parametrize("phase", ["baseline", "fault", "recovery"])
OVER = (2.0, 6.0)


def named() -> Story:
    """Tell of a mesh that shows servers the identity of their callers."""
    return Story().steady(EDGE).watched()


def nameless(*, encrypts: bool = True) -> Story:
    """Tell of a mesh that shows servers no identity, in which outsiders call each other."""
    story = Story(is_nameless=True, encrypts=encrypts).steady(EDGE).watched()
    return story.steady(("outsider", "outsider")).refused(("outsider", "frontend"))


def created(story: Story, phase: str, *, meshed: bool | None = True, started: bool = True) -> Story:
    """Go on in a phase, in which a pod is created and starts."""
    {"baseline": story.baseline, "fault": story.fault, "recovery": story.recovery}[phase]()
    return story.unplanned(POD).new_pod("admitted", name=POD, meshed=meshed, started=started)


def calling(story: Story, **how: int) -> Story:
    """Let the pod call an allowed service."""
    return story.calls(*OUT, pod=POD, over=OVER, **how)  # type: ignore[arg-type]  # counts by outcome


def called(story: Story, source: tuple[str, str] = IN, **how: int) -> Story:
    """Let the pod be called; what succeeds it served."""
    return story.calls(*source, server=POD, over=OVER, **how)  # type: ignore[arg-type]  # counts by outcome


def joins(story: Story, phase: str) -> tuple[Outcome, str]:
    """Return the outcome of the claim that new pods join in a phase, and how the last pod fared."""
    finding = answer(story, always(checks.new_pod_meshed(by_call=True), phase))
    fates = [name for name in finding.rows[0].numbers if name != "meshed"]
    return finding.outcome, next(iter(fates), "meshed")


@PHASES
def test_a_call_with_the_pods_identity_shows_that_it_joined(phase: str) -> None:
    """One successful call is enough, of the pod or to it, when its server saw the identity of its source."""
    assert joins(calling(created(named(), phase), ok=1, fail=9), phase) == (Outcome.HELD, "meshed")
    assert joins(called(created(named(), phase), ok=1), phase) == (Outcome.HELD, "meshed")


@PHASES
def test_a_started_pod_of_which_no_call_succeeds_is_dark(phase: str) -> None:
    """It has the annotation and is Ready, and every call of it fails: it did not join."""
    dark = joins(calling(created(named(), phase), fail=9), phase)
    assert dark == (Outcome.VIOLATED, "started, and no call succeeded")
    finding = answer(calling(created(named(), phase), fail=9), always(checks.new_pod_meshed(by_call=True), phase))
    assert finding.counter_examples[0].error == "none of 9 calls succeeded: connect-reset 9"
    unknown = created(named(), phase, meshed=None)
    assert joins(calling(unknown, fail=9), phase)[0] is Outcome.VIOLATED


@PHASES
def test_calls_that_show_another_identity_prove_nothing(phase: str) -> None:
    """A pod whose calls reach servers without its identity is not shown in the mesh."""
    story = created(named(), phase).calls(*OUT, pod=POD, over=OVER, ok=9, peer="")
    assert joins(story, phase) == (Outcome.VIOLATED, "started, and no call shows it in the mesh")


@PHASES
@pytest.mark.parametrize("made", [0, 4])
def test_a_pod_with_few_calls_is_not_found_out(phase: str, made: int) -> None:
    """Without calls, and with a few that failed, nobody knows whether it joined."""
    story = calling(created(named(), phase), fail=made)
    assert joins(story, phase) == (Outcome.INCONCLUSIVE, "started, and its calls do not tell whether it joined")


@PHASES
def test_no_new_pod_is_inconclusive(phase: str) -> None:
    """Where no pod was created nothing was asked."""
    assert answer(named(), always(checks.new_pod_meshed(by_call=True), phase)).outcome is Outcome.INCONCLUSIVE


@PHASES
def test_without_names_a_refused_outsider_and_a_silent_wire_show_it(phase: str) -> None:
    """The call succeeded, was not readable, and the same server refused the outsider."""
    assert joins(calling(created(nameless(), phase), ok=9), phase) == (Outcome.HELD, "meshed")
    served = called(called(created(nameless(), phase), ok=9), CALLED, fail=9)
    assert joins(served, phase) == (Outcome.HELD, "meshed")


@PHASES
def test_without_names_a_readable_call_or_a_served_outsider_refutes_it(phase: str) -> None:
    """Plaintext on its edge, or an outsider that it serves, shows that it is outside."""
    refuted = (Outcome.VIOLATED, "started, and no call shows it in the mesh")
    assert joins(calling(created(nameless(), phase), ok=9).hit(*OUT, at_s=3), phase) == refuted
    served = called(called(created(nameless(), phase), ok=9), CALLED, ok=9)
    assert joins(served, phase) == refuted


@PHASES
def test_without_names_outsiders_that_did_not_call_leave_it_open(phase: str) -> None:
    """Too few calls from outside, an outsider that never got an answer, and a blind observer prove nothing."""
    open_ = (Outcome.INCONCLUSIVE, "started, and its calls do not tell whether it joined")
    assert joins(called(created(nameless(), phase), ok=9), phase) == open_
    silent = Story(is_nameless=True).steady(EDGE).watched().refused(("outsider", "frontend"))
    assert joins(calling(created(silent, phase), ok=9), phase) == open_
    assert joins(calling(created(nameless(), phase), ok=9).without(WireReady), phase) == open_


@PHASES
def test_where_nothing_is_encrypted_the_wire_is_not_asked(phase: str) -> None:
    """Without encryption the refused outsider alone shows the mesh."""
    story = calling(created(nameless(encrypts=False), phase), ok=9).hit(*OUT, at_s=3)
    assert joins(story, phase) == (Outcome.HELD, "meshed")


def test_the_stored_form_of_the_claim_keeps_its_outcome() -> None:
    """Without the parameter a pod is judged as the API shows it: so do claims of runs whose pods made no calls."""
    story = created(named(), "fault")
    assert answer(story, always(checks.new_pod_meshed())).outcome is Outcome.HELD
    assert checks.new_pod_meshed().params == {}
    assert checks.new_pod_meshed(by_call=True).params == {"by_call": True}


def test_a_dark_pod_is_forgiven_when_a_later_one_joins() -> None:
    """In the recovery the first pods may be dark, if one within the bound is not."""
    story = calling(created(named(), "recovery"), fail=9)
    story.unplanned("new-pod-2").new_pod("admitted", name="new-pod-2", meshed=True, started=True, at_s=7)
    story.calls(*OUT, pod="new-pod-2", over=(8, 12), ok=9)
    claim = eventually(checks.new_pod_meshed(by_call=True), within_s=15)
    assert answer(story, claim).outcome is Outcome.HELD
    assert answer(calling(created(named(), "recovery"), fail=9), claim).outcome is not Outcome.HELD


def test_two_pods_of_one_instant_are_told_apart() -> None:
    """What one pod serves proves nothing about another that lives at the same time."""
    story = calling(created(named(), "fault"), fail=9)
    story.unplanned("new-pod-2").new_pod("admitted", name="new-pod-2", meshed=True, started=True)
    story.calls(*IN, server="new-pod-2", over=OVER, ok=9)
    finding = answer(story, always(checks.new_pod_meshed(by_call=True)))
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.VIOLATED, POD)
    assert story.at(0) > START_NS
