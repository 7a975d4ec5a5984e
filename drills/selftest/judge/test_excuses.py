"""An alert excuses the harm that it is about, while it is up, and no other: one deceit after the other."""

import msgspec

from clusters.model import BYSTANDER, VICTIM, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, sometimes
from drills.judge.events import DropCount, NodeTaints, ReplicaCount
from drills.judge.records import RunFacts
from drills.judge.verdict import Finding, Outcome
from drills.selftest.doubles.story import Story, answer

EDGE, OTHER = ("checkout", "payment"), ("payment", "ledger")
DOWN = SignalSpec("down", SignalKind.CONDITION, "system/Deployment/brain")
AGENT = SignalSpec("agent-down", SignalKind.CONDITION, "system/DaemonSet/agent")
TAINT = SignalSpec("taint", SignalKind.NODE_TAINT, "agent-not-ready")
DROPS = SignalSpec("drops", SignalKind.DROP, "unauthenticated")
WORDS = SignalSpec("words", SignalKind.ADMISSION, "no such webhook")
BLOCKED = SignalSpec("blocked", SignalKind.POD_EVENT, "FailedCreatePodSandBox")
FLOW = checks.success_rate(EDGE, at_least=0.999, max_gap_s=30)


def told() -> Story:
    """Tell of a healthy baseline with quiet signals; caller checkout-1 runs on n1, the victim."""
    story = Story(
        signals=(DOWN, AGENT, TAINT, DROPS, WORDS, BLOCKED), placed={VICTIM: "n1", BYSTANDER: "n2"}, fault_s=40
    ).steady(EDGE, OTHER)
    story.event(ReplicaCount, DOWN.subject, ready=1, desired=1).event(ReplicaCount, AGENT.subject, ready=3, desired=3)
    for node in ("n1", "n2"):
        story.event(NodeTaints, node, taints=()).event(DropCount, node, node=node, reason="policy")
    return story.fault()


def lost(story: Story, over: tuple[float, float], *, node: str = "n1", total: bool = True) -> Story:
    """Add calls of a caller on a node that fail at these times; without `total`, every other one succeeds."""
    pod, (begin, end) = f"checkout-{node}", over
    story.calls(*EDGE, ok=round(begin * 10), over=(0, begin), pod=pod, node=node) if begin else story
    story.calls(*EDGE, fail=round((end - begin) * 10), over=over, pod=pod, node=node)
    if not total:
        story.calls(*EDGE, ok=round((end - begin) * 10), over=over, pod=pod, node=node)
    return story.calls(*EDGE, ok=round((40 - end) * 10), over=(end, 40), pod=pod, node=node)


def taints(story: Story, node: str, up: tuple[float, float]) -> Story:
    """Add a look at the taints of a node every second of the fault: tainted within these times."""
    for second in range(40):
        is_up = up[0] <= second < up[1]
        story.event(NodeTaints, node, at_s=float(second), taints=("agent-not-ready",) if is_up else ())
    return story


def down(story: Story, up: tuple[float, float]) -> Story:
    """Add a look at the workload every second of the fault: short of a pod within these times."""
    for second in range(40):
        story.event(ReplicaCount, DOWN.subject, at_s=float(second), ready=int(not up[0] <= second < up[1]), desired=1)
    return story


def flow(story: Story, *alerts: str, within_s: float = 5.0) -> Finding:
    """Return the finding of ordinary traffic that these alerts may excuse."""
    return answer(story, always(FLOW, alert=alerts, within_s=within_s))


def test_harm_that_begins_while_a_state_is_up_is_covered() -> None:
    """And harm that began at most within_s before the state came up."""
    assert flow(lost(down(told(), (3, 40)), (10, 30)), "down").outcome is Outcome.FAILED_OBSERVABLY
    assert flow(lost(down(told(), (3, 40)), (0.1, 30)), "down", within_s=3).outcome is Outcome.FAILED_OBSERVABLY
    assert flow(lost(down(told(), (6, 40)), (0.1, 30)), "down", within_s=3).outcome is Outcome.VIOLATED


def test_a_state_that_is_over_covers_no_later_harm() -> None:
    """A workload that was short of a pod from 3 s to 8 s says nothing of calls that are lost from 15 s on."""
    finding = flow(lost(down(told(), (3, 8)), (15, 35)), "down")
    assert finding.outcome is Outcome.VIOLATED
    assert "for checkout->payment new of checkout-n1 from +15.0 s on" in finding.reason


def test_each_episode_needs_an_alert_of_its_own() -> None:
    """The first outage is covered; calls that are lost again ten seconds later, when the state is over, are not."""
    story = down(told(), (2, 9))
    story.calls(*EDGE, ok=40, over=(0, 4), pod="checkout-9").calls(*EDGE, fail=40, over=(4, 8), pod="checkout-9")
    story.calls(*EDGE, ok=120, over=(8, 20), pod="checkout-9").calls(*EDGE, fail=40, over=(20, 24), pod="checkout-9")
    story.calls(*EDGE, ok=160, over=(24, 40), pod="checkout-9")
    finding = flow(story, "down")
    assert finding.outcome is Outcome.VIOLATED
    assert "from +20.0 s on" in finding.reason
    assert flow(down(lost(told(), (4, 8)), (2, 9)), "down").outcome is Outcome.FAILED_OBSERVABLY


def test_an_alert_about_a_node_covers_the_harm_of_that_node_alone() -> None:
    """The victim's taint does not excuse a caller on the other node that loses every call, whatever else it excuses."""
    tainted = (1, 40)
    assert flow(lost(taints(told(), "n1", tainted), (3, 30)), "taint").outcome is Outcome.FAILED_OBSERVABLY
    stray = flow(lost(taints(told(), "n1", tainted), (3, 30), node="n2"), "taint")
    assert stray.outcome is Outcome.VIOLATED
    assert "is about another node" in stray.reason
    partly = lost(taints(told(), "n1", tainted), (3, 30), node="n2", total=False)
    assert flow(partly, "taint").outcome is Outcome.FAILED_OBSERVABLY  # calls to pods on the victim


def test_a_short_daemonset_speaks_of_the_node_that_the_fault_broke() -> None:
    """It covers that node's callers, and no caller elsewhere that loses every call."""

    def short(node: str) -> Story:
        story = lost(told(), (3, 30), node=node)
        for second in range(40):
            story.event(ReplicaCount, AGENT.subject, at_s=float(second), ready=2, desired=3)
        return story

    assert flow(short("n1"), "agent-down").outcome is Outcome.FAILED_OBSERVABLY
    assert flow(short("n2"), "agent-down").outcome is Outcome.VIOLATED


def test_drops_on_one_node_do_not_explain_losses_on_another() -> None:
    """A drop is an occurrence: it covers harm that begins soon after it or that it follows within the bound."""

    def dropped(at_s: float, node: str = "n1") -> Story:
        story = lost(told(), (10, 30)).event(DropCount, "n1", at_s=9, node="n1", reason="policy")
        return story.event(DropCount, node, at_s=at_s, node=node, reason="unauthenticated")

    assert flow(dropped(11), "drops").outcome is Outcome.FAILED_OBSERVABLY
    assert flow(dropped(7), "drops").outcome is Outcome.FAILED_OBSERVABLY
    assert flow(dropped(2), "drops").outcome is Outcome.VIOLATED
    assert flow(dropped(16), "drops").outcome is Outcome.VIOLATED
    assert flow(dropped(11, node="n2"), "drops").outcome is Outcome.VIOLATED


def test_a_refusal_excuses_the_pod_that_was_refused_and_no_other() -> None:
    """One pod is refused in words; two were admitted and never started, without a word."""
    joined = always(checks.new_pod_meshed(), alert=("words", "blocked"), within_s=5)
    refused = told().new_pod("refused", message="no such webhook", at_s=2)
    assert answer(refused, joined).outcome is Outcome.FAILED_OBSERVABLY
    silent = refused.new_pod("admitted", started=False, at_s=3, blocked="")
    assert answer(silent, joined).outcome is Outcome.VIOLATED


def test_a_warning_excuses_the_pod_that_it_is_about() -> None:
    """Of two pods that never start, Kubernetes says of one what keeps it."""
    joined = always(checks.new_pod_meshed(), alert="blocked", within_s=5)
    said = told().new_pod("admitted", started=False, at_s=2, blocked="FailedCreatePodSandBox: no answer")
    assert answer(said, joined).outcome is Outcome.FAILED_OBSERVABLY
    assert answer(said.new_pod("admitted", started=False, at_s=3, blocked=""), joined).outcome is Outcome.VIOLATED


def test_a_refused_change_excuses_no_ignored_one() -> None:
    """One change is refused in words, the next is accepted and has no effect."""
    enforced = always(checks.change_enforced(within_s=2), alert="words", within_s=5)
    refused = told().change(*OTHER, "refused", message="no such webhook", at_s=2, held_s=None)
    assert answer(refused, enforced).outcome is Outcome.FAILED_OBSERVABLY
    assert answer(refused.change(*OTHER, "accepted", at_s=15), enforced).outcome is Outcome.VIOLATED


def test_what_the_harness_lowered_excuses_nothing() -> None:
    """A workload of which fewer pods are wanted shows no loss: that the calls were lost unnoticed is not known."""
    story = lost(told(), (3, 30))
    for second in range(40):
        story.event(ReplicaCount, DOWN.subject, at_s=float(second), ready=0, desired=0)
    assert flow(story, "down").outcome is Outcome.INCONCLUSIVE


def test_what_appears_after_the_undo_is_not_about_the_fault() -> None:
    """The double undoes its fault at 39 s: a component on its way back is short of pods by the harness's hand."""
    story = down(told(), (39.5, 40)).event(ReplicaCount, DOWN.subject, at_s=39.5, ready=0, desired=1)
    assert answer(story, sometimes(checks.signal_seen("down"))).outcome is Outcome.VIOLATED
    assert flow(lost(story, (36, 38)), "down", within_s=5).outcome is Outcome.VIOLATED


def test_a_signal_that_fires_without_a_fault_counts_for_nothing() -> None:
    """The no-fault control of the drill showed it, too."""

    class Noisy(Story):
        """A story of a drill whose no-fault control showed the signal."""

        def facts(self) -> RunFacts:
            """Return the facts of a drill whose control showed the signal."""
            return msgspec.structs.replace(super().facts(), fires_without_fault=("down",))

    story = down(told(), (3, 40))
    noisy = Noisy(**{name: getattr(story, name) for name in ("signals", "placed", "fault_s", "rows", "events")})
    lost(noisy.fault(), (10, 30))
    assert flow(noisy, "down").outcome is Outcome.VIOLATED
    assert "fires without a fault" in answer(noisy, sometimes(checks.signal_seen("down"))).reason
