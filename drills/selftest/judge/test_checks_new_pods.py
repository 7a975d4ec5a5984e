"""New pods: what was answered counts, what could not be asked does not."""

import pytest

from clusters.model import BYSTANDER, VICTIM, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, eventually, never, reached
from drills.judge.events import ServerEnd
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
REFUSAL = SignalSpec("refused", SignalKind.ADMISSION, "failed calling webhook")
MESSAGE = "Internal error: failed calling webhook: no endpoints"
OUTSIDE = never(checks.outside_mesh(), must_hold=True)
MESHED = always(checks.new_pod_meshed(), alert="refused", within_s=5)
BLOCKED = SignalSpec("blocked", SignalKind.POD_EVENT, "FailedCreatePodSandBox")
WARNING = "FailedCreatePodSandBox: the plugin does not answer"
JOINS_THERE = always(checks.new_pod_meshed(on=VICTIM), alert="blocked", within_s=5)
NEVER_OUTSIDE_THERE = never(checks.outside_mesh(on=VICTIM), must_hold=True)
TRIED_THERE = reached(checks.new_pod_tried(on=VICTIM))


def during_fault() -> Story:
    """Tell of good traffic and go on in the fault."""
    return Story(signals=(REFUSAL,)).steady(EDGE).fault()


def test_outside_mesh_never_happens_when_pods_are_refused_or_meshed() -> None:
    """A refusal and a meshed pod are both answers, and neither is a pod outside the mesh."""
    story = during_fault().new_pod("refused", message=MESSAGE).new_pod("admitted", meshed=True, started=True)
    finding = answer(story, OUTSIDE)
    assert (finding.outcome, finding.rows[0].numbers) == (Outcome.HELD, {"meshed": 1, "refused": 1})


def test_outside_mesh_is_violated_by_one_pod_in_spite_of_holes() -> None:
    """One pod that was let in without the mesh is proof, and named."""
    story = during_fault().new_pod("refused").new_pod("admitted", meshed=False).without(ServerEnd)
    finding = answer(story, OUTSIDE)
    assert (finding.outcome, finding.counter_examples[0].outcome) == (Outcome.VIOLATED, "outside the mesh")


@pytest.mark.parametrize("pods", [[], [("failed", None)], [("refused", None), ("admitted", None)]])
def test_outside_mesh_without_answers_is_inconclusive(pods: list[tuple[str, bool | None]]) -> None:
    """No pod, a pod that could not be asked for, and a pod whose membership is unknown leave the question open."""
    story = during_fault()
    for outcome, meshed in pods:
        story.new_pod(outcome, meshed=meshed)
    assert answer(story, OUTSIDE).outcome is Outcome.INCONCLUSIVE


def test_a_failed_request_is_no_evidence_either_way() -> None:
    """A request that the API never answered changes nothing about the others."""
    assert answer(during_fault().new_pod("refused").new_pod("failed"), OUTSIDE).outcome is Outcome.HELD


def test_new_pod_meshed_holds_when_all_join() -> None:
    """Pods that are admitted with the mesh and start, or that the probe did not wait for, joined it."""
    story = during_fault().new_pod("admitted", meshed=True, started=True).new_pod("admitted", meshed=True)
    finding = answer(story, MESHED)
    assert (finding.outcome, finding.reason) == (Outcome.HELD, "2 of 2 new pods joined the mesh")


def test_new_pod_meshed_fails_observably_when_refused_in_words() -> None:
    """A refusal that says why is the signal itself: on-call learns of it at once."""
    finding = answer(during_fault().new_pod("refused", message=MESSAGE, at_s=3), MESHED)
    assert (finding.outcome, finding.signal, finding.time_to_signal_s) == (Outcome.FAILED_OBSERVABLY, "refused", 3.0)
    assert finding.counter_examples[0].error == MESSAGE


def test_a_late_refusal_dates_from_its_answer() -> None:
    """A webhook that times out refuses ten seconds after the question: harm and signal count from the answer."""
    story = during_fault()
    story.new_pod("refused", at_s=3, message=MESSAGE, answered_ns=story.at(13))
    finding = answer(story, MESHED)
    assert (finding.outcome, finding.time_to_signal_s) == (Outcome.FAILED_OBSERVABLY, 13.0)


@pytest.mark.parametrize(
    ("outcome", "meshed", "started"), [("refused", None, None), ("admitted", False, True), ("admitted", True, False)]
)
def test_new_pod_meshed_is_violated_without_the_signal(outcome: str, meshed: bool | None, started: bool | None) -> None:
    """A refusal in other words, a pod outside the mesh, and a pod that never starts break the claim."""
    finding = answer(during_fault().new_pod(outcome, meshed=meshed, started=started), MESHED)
    assert finding.outcome is Outcome.VIOLATED


@pytest.mark.parametrize("outcome", ["failed", "admitted"])
def test_new_pod_meshed_without_answers_is_inconclusive(outcome: str) -> None:
    """Pods that could not be asked for, or whose membership is unknown, joined nothing as far as anyone knows."""
    assert answer(during_fault().new_pod(outcome), MESHED).outcome is Outcome.INCONCLUSIVE
    assert answer(during_fault(), MESHED).outcome is Outcome.INCONCLUSIVE


def test_new_pod_meshed_recovers_with_the_first_good_pod() -> None:
    """Refusals right after the undo are forgiven when a later pod joins within the bound."""
    story = during_fault().recovery().new_pod("refused", at_s=1).new_pod("admitted", meshed=True, started=True, at_s=6)
    finding = answer(story, eventually(checks.new_pod_meshed(), within_s=10))
    assert (finding.outcome, finding.recovery_s) == (Outcome.HELD, 6.0)
    story.new_pod("refused", at_s=12)
    assert answer(story, eventually(checks.new_pod_meshed(), within_s=10)).outcome is Outcome.VIOLATED


def test_pods_that_never_join_are_violated_although_the_last_moments_were_idle() -> None:
    """Refusals into the second half of the bound stay what is known; a refusal early on and then silence does not."""
    claim = eventually(checks.new_pod_meshed(), within_s=15)
    late = during_fault().recovery().new_pod("refused", at_s=4).new_pod("refused", at_s=13)
    early = during_fault().recovery().new_pod("refused", at_s=4)
    assert answer(late, claim).outcome is Outcome.VIOLATED
    assert answer(early, claim).outcome is Outcome.INCONCLUSIVE


def test_new_pod_tried_is_reached_by_an_answer() -> None:
    """A refusal shows that a pod was tried; a request without answer does not."""
    claim = reached(checks.new_pod_tried())
    assert answer(during_fault().new_pod("refused"), claim).outcome is Outcome.HELD
    assert answer(during_fault().new_pod("failed"), claim).outcome is Outcome.INCONCLUSIVE


def two_nodes() -> Story:
    """Tell of good traffic in a lab with a victim and a bystander, and go on in the fault."""
    return Story(signals=(BLOCKED,), placed={VICTIM: "n1", BYSTANDER: "n2"}).steady(EDGE).fault()


def stuck(story: Story, *, blocked: str = WARNING, meshed: bool | None = None) -> Story:
    """Tell of a pod that was made for the victim and did not start there."""
    return story.new_pod("admitted", meshed=meshed, started=False, placed=VICTIM, blocked=blocked)


def good(story: Story, place: str, node: str = "") -> Story:
    """Tell of a pod that was made for a place and joined the mesh."""
    return story.new_pod("admitted", meshed=True, started=True, placed=place, blocked="", node=node)


def test_new_pods_of_a_place_hold_whatever_happens_elsewhere() -> None:
    """A claim about the victim asks its pods alone, and says so."""
    story = good(two_nodes(), VICTIM, "n1").new_pod("refused", placed=BYSTANDER).new_pod("refused")
    finding = answer(story, JOINS_THERE)
    assert (finding.outcome, finding.rows[0].numbers) == (Outcome.HELD, {"meshed": 1})
    assert (finding.params, finding.claim) == (
        {"on": VICTIM},
        "always during fault: every new pod on the victim joins the mesh",
    )
    assert answer(story, NEVER_OUTSIDE_THERE).outcome is Outcome.HELD
    assert answer(story, TRIED_THERE).outcome is Outcome.HELD


def test_a_pod_that_never_starts_on_the_victim_breaks_the_claim_there_only() -> None:
    """It is stuck although its membership is unknown, and what blocked it is the example."""
    story = stuck(good(two_nodes(), BYSTANDER), blocked="Unheard: of")
    finding = answer(story, JOINS_THERE)
    assert (finding.outcome, finding.rows[0].numbers) == (Outcome.VIOLATED, {"never started": 1})
    assert finding.counter_examples[0].error == "Unheard: of"
    assert answer(story, always(checks.new_pod_meshed(on=BYSTANDER))).outcome is Outcome.HELD
    assert answer(story, always(checks.new_pod_meshed())).outcome is Outcome.VIOLATED


def test_a_blocked_pod_fails_observably_by_its_event() -> None:
    """The warning of Kubernetes about the pod tells on-call what keeps it."""
    finding = answer(stuck(two_nodes()), JOINS_THERE)
    assert (finding.outcome, finding.signal, finding.time_to_signal_s) == (Outcome.FAILED_OBSERVABLY, "blocked", 1.0)


@pytest.mark.parametrize(
    ("story", "is_asked"),
    [
        (two_nodes(), False),
        (two_nodes().new_pod("refused", placed=BYSTANDER), False),
        (two_nodes().new_pod("refused"), False),
        (two_nodes().new_pod("failed", placed=VICTIM), False),
        (good(two_nodes(), VICTIM, "n2"), False),
        (good(Story(placed={BYSTANDER: "n2"}).steady(EDGE).fault(), VICTIM), False),
        (two_nodes().new_pod("admitted", placed=VICTIM), True),
    ],
    ids=["none", "elsewhere", "anywhere", "failed", "came to another node", "no such place", "unknown"],
)
def test_without_a_pod_of_the_place_nothing_is_known(story: Story, is_asked: bool) -> None:
    """A pod of another place, one that came to another node, and a place without a name answer nothing."""
    assert answer(story, JOINS_THERE).outcome is Outcome.INCONCLUSIVE
    assert answer(story, NEVER_OUTSIDE_THERE).outcome is Outcome.INCONCLUSIVE
    assert answer(story, TRIED_THERE).outcome is (Outcome.HELD if is_asked else Outcome.INCONCLUSIVE)


def test_one_pod_outside_on_the_victim_is_violated() -> None:
    """A pod that starts there without the mesh is proof."""
    story = stuck(two_nodes()).new_pod("admitted", meshed=False, started=False, placed=VICTIM, blocked=WARNING)
    assert answer(story, NEVER_OUTSIDE_THERE).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("meshed", "blocked", "expected"),
    [(None, WARNING, Outcome.HELD), (True, "", Outcome.HELD), (None, "", Outcome.INCONCLUSIVE)],
)
def test_a_stuck_pod_is_not_outside_when_it_is_known_to_be(
    meshed: bool | None, blocked: str, expected: Outcome
) -> None:
    """A pod that is not ready, without a reason or a place in the record, may run outside the mesh."""
    assert answer(stuck(two_nodes(), blocked=blocked, meshed=meshed), NEVER_OUTSIDE_THERE).outcome is expected


def test_a_place_is_one_of_two() -> None:
    """A node's own name is no place: a claim that would never ask anything is refused."""
    with pytest.raises(ValueError, match="expected victim or bystander"):
        checks.new_pod_meshed(on="n1")


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ((True,), Outcome.HELD),
        ((True, True), Outcome.HELD),
        ((True, False), Outcome.VIOLATED),
        ((False, None), Outcome.VIOLATED),
        ((True, None), Outcome.INCONCLUSIVE),
        ((), Outcome.INCONCLUSIVE),
    ],
)
def test_each_pod_outside_the_mesh_is_found(looks: tuple[bool | None, ...], expected: Outcome) -> None:
    """One that a look at all pods does not show is drift that no probe sees; without such a pod nothing was asked."""
    story = during_fault().new_pod("admitted", meshed=True, started=True)
    for found in looks:
        story.new_pod("admitted", meshed=False, started=True, found=found)
    finding = answer(story, always(checks.drift_found()))
    assert finding.outcome is expected
    assert len(finding.counter_examples) == sum(found is not True for found in looks)
