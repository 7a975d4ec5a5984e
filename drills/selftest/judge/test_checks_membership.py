"""Membership of standing pods: as the API shows it, and, if the claim asks for it, as a call in each phase shows it."""

import msgspec
import pytest

from drills.judge import checks
from drills.judge.checks.proofs import Conclusion, evidence
from drills.judge.claims import always, eventually
from drills.judge.events import MembershipSeen, PodListed, ProgramStarted, UndoVerified
from drills.judge.history import History
from drills.judge.verdict import Finding, Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story, answer

EDGES = (("frontend", "checkout"), ("checkout", "payment"))
PODS = ("frontend-1", "checkout-1", "payment-1")
EDGE = ("checkout", "payment")
MEMBERS = always(checks.mesh_membership(), "baseline", must_hold=True)
BY_API = always(checks.mesh_membership(), "run", must_hold=True)
BY_CALL = always(checks.mesh_membership(by_call=True), "run", must_hold=True)
PHASES = pytest.mark.parametrize("phase", ["baseline", "fault", "recovery"])


def seen(meshed: bool | None, pod: str = "payment-1", *, expected: bool = True) -> Story:
    """Tell of steady calls to payment, and of one look at a pod's membership."""
    return Story().steady(EDGE).event(MembershipSeen, pod, expected=expected, meshed=meshed)


def test_membership_holds_when_every_server_is_in_its_place() -> None:
    """A pod that belongs in the mesh is in it, and one that does not is not."""
    story = seen(meshed=True).event(MembershipSeen, "outsider-1", expected=False, meshed=False)
    assert answer(story, MEMBERS).outcome is Outcome.HELD


@pytest.mark.parametrize("expected", [True, False])
def test_membership_is_violated_by_a_pod_out_of_place(expected: bool) -> None:
    """A pod outside the mesh that belongs in it is harm; so is one inside that does not."""
    finding = answer(seen(meshed=not expected, expected=expected), MEMBERS)
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.VIOLATED, "payment-1")


@pytest.mark.parametrize(
    "story",
    [
        Story().steady(EDGE),
        seen(meshed=None),
        seen(meshed=True, pod="ledger-1"),
        Story(),
    ],
    ids=["no look", "not found out", "another pod", "empty"],
)
def test_membership_that_nobody_saw_is_inconclusive(story: Story) -> None:
    """A server whose membership was not found out proves nothing."""
    assert answer(story, MEMBERS).outcome is Outcome.INCONCLUSIVE


def test_many_pods_out_of_place_are_told_in_short() -> None:
    """Three names and a number are enough of a reason."""
    story = seen(meshed=True)
    for number in range(5):
        story.event(MembershipSeen, f"stray-{number}", expected=True, meshed=False)
    assert answer(story, MEMBERS).reason.endswith("and 2 more")


def enter(story: Story, phase: str) -> Story:
    """Go on in a phase."""
    return {"baseline": story.baseline, "fault": story.fault, "recovery": story.recovery}[phase]()


def looked(story: Story, *pods: str) -> Story:
    """Let the API show these pods in the mesh, at the start and at the end, and no other."""
    for phase in ("baseline", "recovery"):
        for pod in pods:
            enter(story, phase).event(MembershipSeen, pod, expected=True, meshed=True)
    return story


def named() -> Story:
    """Tell of a run in which every pod is shown by its calls."""
    return looked(Story().steady(*EDGES).watched(), *PODS)


def nameless(*, encrypts: bool = True) -> Story:
    """Tell of a run in which servers see no identity and refuse outsiders."""
    story = Story(is_nameless=True, encrypts=encrypts).steady(*EDGES).watched()
    story.steady(("outsider", "outsider")).refused(("outsider", "checkout"), ("outsider", "payment"))
    looked(story, *PODS)
    return story.event(MembershipSeen, "outsider-1", expected=False, meshed=False)


def test_a_call_of_each_pod_in_each_phase_shows_it() -> None:
    """Identity at the server shows both ends: a server that makes no call, and a caller that serves none."""
    finding = answer(named(), BY_CALL)
    assert finding.outcome is Outcome.HELD
    assert [(row.connection, row.numbers) for row in finding.rows[1:]] == [
        (phase, {"pods": 3, "shown": 3}) for phase in ("baseline", "fault", "recovery")
    ]


def test_a_phase_without_a_record_is_not_asked() -> None:
    """A run whose undo was never verified has no recovery: its pods are shown in the phases that it has."""
    finding = answer(named().without(UndoVerified), BY_CALL)
    assert [row.connection for row in finding.rows[1:]] == ["baseline"]


def test_the_calls_of_every_edge_count_where_none_is_named() -> None:
    """The steady state asks so."""
    history = named().history()
    found = evidence(history, history.windows()["baseline"], wire=False)
    assert {pod: found.proof(pod, asked=9, enough=5).conclusion for pod in PODS} == dict.fromkeys(
        PODS, Conclusion.SHOWN
    )


def test_without_names_a_refused_outsider_and_a_silent_wire_show_it() -> None:
    """The outsider is not asked itself."""
    assert answer(nameless(), BY_CALL).outcome is Outcome.HELD


@PHASES
def test_without_names_a_readable_call_refutes_both_of_its_pods(phase: str) -> None:
    """Payment serves nobody else, so its calls do not show it in that phase."""
    assert answer(enter(nameless(), phase).hit("checkout", "payment"), BY_CALL).outcome is Outcome.VIOLATED
    unencrypted = enter(nameless(encrypts=False), phase).hit("checkout", "payment")
    assert answer(unencrypted, BY_CALL).outcome is Outcome.HELD


@PHASES
def test_without_names_a_served_outsider_refutes_its_server(phase: str) -> None:
    """A server that serves an outsider in a phase is not shown in the mesh in it."""
    finding = answer(enter(nameless(), phase).calls("outsider", "payment", ok=3), BY_CALL)
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.VIOLATED, "payment-1")


def silenced(phase: str, *, fail: int) -> Story:
    """Tell of a second pod of payment that is not reached in one phase, in which fail calls to payment fail."""
    story = named()
    looked(story, "payment-2")
    for name in ("baseline", "fault", "recovery"):
        enter(story, name)
        if name != phase:
            story.calls("checkout", "payment", server="payment-2", ok=5)
    return enter(story, phase).calls("checkout", "payment", fail=fail)


@PHASES
def test_a_pod_that_nothing_reaches_is_not_in_the_mesh(phase: str) -> None:
    """It has the annotation, and of many calls to its service it serves none; in the fault that is not found out."""
    finding = answer(silenced(phase, fail=60), BY_CALL)
    assert finding.outcome is (Outcome.INCONCLUSIVE if phase == "fault" else Outcome.VIOLATED)
    assert "payment-2" in finding.reason
    assert answer(silenced(phase, fail=60), BY_API).outcome is Outcome.HELD


@PHASES
def test_a_pod_whose_calls_show_another_identity_is_refuted(phase: str) -> None:
    """Calls that succeed and do not show the caller prove that one end is outside."""
    story = looked(named(), "payment-2")
    for name in ("baseline", "fault", "recovery"):
        peer = "" if name == phase else None
        enter(story, name).calls("checkout", "payment", server="payment-2", ok=5, peer=peer)
    finding = answer(story, BY_CALL)
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.VIOLATED, "payment-2")


def test_a_run_without_calls_or_looks_is_inconclusive() -> None:
    """Nothing recorded is nothing shown; a phase without calls shows nobody."""
    assert answer(Story(), BY_CALL).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().steady(*EDGES), BY_CALL).outcome is Outcome.INCONCLUSIVE
    only_baseline = looked(Story().baseline().calls("checkout", "payment", ok=50), "checkout-1", "payment-1")
    assert answer(only_baseline, BY_CALL).outcome is Outcome.INCONCLUSIVE


def test_the_api_still_counts() -> None:
    """A pod that the API shows outside the mesh is out of place, whatever its calls show."""
    story = named().baseline().event(MembershipSeen, "checkout-1", expected=True, meshed=False)
    assert answer(story, BY_CALL).outcome is Outcome.VIOLATED


def test_a_pod_without_an_open_call_is_not_asked() -> None:
    """The intruder whose every call is denied by policy cannot show itself by a call."""
    story = looked(named().refused(("intruder", "payment")), "intruder-1")
    finding = answer(story, BY_CALL)
    assert (finding.outcome, finding.rows[1].numbers) == (Outcome.HELD, {"pods": 3, "shown": 3})


def rebooted(story: Story) -> Finding:
    """Judge a story whose fault ended the second pod of payment and of frontend."""
    history = story.history()
    facts = msgspec.structs.replace(history.facts, lost_pods=("payment-2", "frontend-2"))
    return judge(History(history.calls, history.events, facts), [BY_CALL]).findings[0]


def with_lost_pods(*, ok: int, fail: int = 0, boot_s: float = 1) -> Story:
    """Tell of two pods that the fault ends; in the recovery one of them is called again."""
    story = Story(recovery_s=40).steady(*EDGES).watched()
    story = looked(story, *PODS, "payment-2", "frontend-2").baseline()
    story.calls("checkout", "payment", server="payment-2", ok=5)
    story.calls("frontend", "checkout", pod="frontend-2", ok=5, over=(0, 5))
    story.event(PodListed, "payment-2", service="payment")
    story.recovery().event(ProgramStarted, "payment-2", at_s=boot_s, pod="payment-2", node="n1")
    return story.calls("checkout", "payment", server="payment-2", ok=ok, fail=fail, over=(25, 30))


def test_a_pod_that_the_fault_ended_is_asked_as_a_server_when_it_is_back() -> None:
    """It makes no calls after its restart; one that has the annotation and takes no call is dark."""
    back, dark = rebooted(with_lost_pods(ok=3)), rebooted(with_lost_pods(ok=0, fail=60))
    by_phase = [row.numbers["pods"] for row in back.rows[1:]]
    assert by_phase == [5, 3, 4]
    assert [row.truth for row in back.rows[1:]] == ["true"] * 3
    assert dark.rows[3].truth == "false"
    assert "payment-2" in dark.rows[3].reason


def test_a_pod_that_the_fault_ended_is_not_dark_before_it_is_back() -> None:
    """One that started just before the end, and one that did not start again, are not found out."""
    late, never = with_lost_pods(ok=0, fail=60, boot_s=19), with_lost_pods(ok=0, fail=60).without(ProgramStarted)
    assert rebooted(late).rows[3].truth == "unknown"
    assert rebooted(never).rows[3].truth == "unknown"


def test_membership_recovers_by_call() -> None:
    """Within the bound every pod must be shown again, and stay shown."""
    claim = eventually(checks.mesh_membership(by_call=True), within_s=0.9, hold_s=0)
    assert answer(named(), claim).outcome is Outcome.HELD
    assert answer(silenced("recovery", fail=200), claim).outcome is Outcome.VIOLATED


def test_the_stored_form_of_the_claim_has_no_parameter() -> None:
    """Claims of earlier runs are judged by the API alone."""
    assert checks.mesh_membership().params == {}
    assert checks.mesh_membership(by_call=True).params == {"by_call": True}
