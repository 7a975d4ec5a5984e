"""New pods: what was answered counts, what could not be asked does not."""

import pytest

from drills.judge import checks
from drills.judge.claims import always, eventually, never, reached, sometimes
from drills.judge.history import SignalFact
from drills.judge.verdict import Answer
from drills.selftest.story import Story, answer

EDGE = ("checkout", "payment")
REFUSAL = SignalFact("refused", "admission", "failed calling webhook")
MESSAGE = "Internal error: failed calling webhook: no endpoints"
OUTSIDE = never(checks.outside_mesh(), must_hold=True)
MESHED = always(checks.new_pod_meshed(), observable_by="refused", within_s=5)


def during_fault() -> Story:
    """Tell of good traffic and go on in the fault."""
    return Story(signals=(REFUSAL,)).steady(EDGE).fault()


def test_outside_mesh_never_happens_when_pods_are_refused_or_meshed() -> None:
    """A refusal and a meshed pod are both answers, and neither is a pod outside the mesh."""
    story = during_fault().new_pod("refused", message=MESSAGE).new_pod("admitted", meshed=True, started=True)
    finding = answer(story, OUTSIDE)
    assert (finding.verdict, finding.rows[0].numbers) == (Answer.HELD, {"meshed": 1, "refused": 1})


def test_outside_mesh_is_violated_by_one_pod_in_spite_of_holes() -> None:
    """One pod that was let in without the mesh is proof, and named."""
    story = during_fault().new_pod("refused").new_pod("admitted", meshed=False).without("server.end")
    finding = answer(story, OUTSIDE)
    assert (finding.verdict, finding.counter_examples[0].outcome) == (Answer.VIOLATED, "outside the mesh")


@pytest.mark.parametrize("pods", [[], [("failed", None)], [("refused", None), ("admitted", None)]])
def test_outside_mesh_without_answers_is_inconclusive(pods: list[tuple[str, bool | None]]) -> None:
    """No pod, a pod that could not be asked for, and a pod whose membership is unknown leave the question open."""
    story = during_fault()
    for outcome, meshed in pods:
        story.new_pod(outcome, meshed=meshed)
    assert answer(story, OUTSIDE).verdict is Answer.INCONCLUSIVE


def test_a_failed_request_is_no_evidence_either_way() -> None:
    """A request that the API never answered changes nothing about the others."""
    assert answer(during_fault().new_pod("refused").new_pod("failed"), OUTSIDE).verdict is Answer.HELD


def test_new_pod_meshed_holds_when_all_join() -> None:
    """Pods that are admitted with the mesh and start, or that nobody waited for, joined it."""
    story = during_fault().new_pod("admitted", meshed=True, started=True).new_pod("admitted", meshed=True)
    finding = answer(story, MESHED)
    assert (finding.verdict, finding.reason) == (Answer.HELD, "2 of 2 new pods joined the mesh")


def test_new_pod_meshed_fails_observably_when_refused_in_words() -> None:
    """A refusal that says why is the signal itself: on-call learns of it at once."""
    finding = answer(during_fault().new_pod("refused", message=MESSAGE, at_s=3), MESHED)
    assert (finding.verdict, finding.signal, finding.time_to_signal_s) == (Answer.FAILED_OBSERVABLY, "refused", 3.0)
    assert finding.counter_examples[0].error == MESSAGE


def test_a_late_refusal_dates_from_its_answer() -> None:
    """A webhook that times out refuses ten seconds after the question: harm and signal count from the answer."""
    story = during_fault()
    story.event("newpod", "newcomer", at_s=3, outcome="refused", message=MESSAGE, answered_ns=story.at(13))
    finding = answer(story, MESHED)
    assert (finding.verdict, finding.time_to_signal_s) == (Answer.FAILED_OBSERVABLY, 13.0)


@pytest.mark.parametrize(
    ("outcome", "meshed", "started"), [("refused", None, None), ("admitted", False, True), ("admitted", True, False)]
)
def test_new_pod_meshed_is_violated_without_the_signal(outcome: str, meshed: bool | None, started: bool | None) -> None:
    """A refusal in other words, a pod outside the mesh, and a pod that never starts break the claim."""
    finding = answer(during_fault().new_pod(outcome, meshed=meshed, started=started), MESHED)
    assert finding.verdict is Answer.VIOLATED


@pytest.mark.parametrize("outcome", ["failed", "admitted"])
def test_new_pod_meshed_without_answers_is_inconclusive(outcome: str) -> None:
    """Pods that could not be asked for, or whose membership is unknown, joined nothing as far as anyone knows."""
    assert answer(during_fault().new_pod(outcome), MESHED).verdict is Answer.INCONCLUSIVE
    assert answer(during_fault(), MESHED).verdict is Answer.INCONCLUSIVE


def test_new_pod_meshed_recovers_with_the_first_good_pod() -> None:
    """Refusals right after the undo are forgiven when a later pod joins within the bound."""
    story = during_fault().recovery().new_pod("refused", at_s=1).new_pod("admitted", meshed=True, started=True, at_s=6)
    finding = answer(story, eventually(checks.new_pod_meshed(), within_s=10))
    assert (finding.verdict, finding.recovery_s) == (Answer.HELD, 1.1)
    story.new_pod("refused", at_s=12)
    assert answer(story, eventually(checks.new_pod_meshed(), within_s=10)).verdict is Answer.VIOLATED


def test_pods_that_never_join_are_violated_although_the_last_moments_were_idle() -> None:
    """Refusals into the second half of the bound stay what is known; a refusal early on and then silence does not."""
    claim = eventually(checks.new_pod_meshed(), within_s=15)
    late = during_fault().recovery().new_pod("refused", at_s=4).new_pod("refused", at_s=13)
    early = during_fault().recovery().new_pod("refused", at_s=4)
    assert answer(late, claim).verdict is Answer.VIOLATED
    assert answer(early, claim).verdict is Answer.INCONCLUSIVE


def test_new_pod_refused_is_seen_by_one_refusal() -> None:
    """One refusal is enough; admissions alone are none, and silence leaves it open."""
    claim = sometimes(checks.new_pod_refused())
    assert answer(during_fault().new_pod("refused").new_pod("admitted", meshed=True), claim).verdict is Answer.HELD
    assert answer(during_fault().new_pod("admitted", meshed=True), claim).verdict is Answer.VIOLATED
    assert answer(during_fault().new_pod("failed"), claim).verdict is Answer.INCONCLUSIVE


def test_new_pod_tried_is_reached_by_an_answer() -> None:
    """A refusal shows that a pod was tried; a request without answer does not."""
    claim = reached(checks.new_pod_tried())
    assert answer(during_fault().new_pod("refused"), claim).verdict is Answer.HELD
    assert answer(during_fault().new_pod("failed"), claim).verdict is Answer.INCONCLUSIVE
