"""A signal counts when it was silent before, appeared in time, and its source could be read."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, sometimes
from drills.judge.events import DropCount, EventCount, MetricSample, NodeTaints, ReplicaCount
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
RISES = SignalSpec("rises", SignalKind.METRIC_INCREASES, "connection_failures")
BELOW = SignalSpec("below", SignalKind.METRIC_BELOW, "cert_expiry_seconds", threshold=60)
CONDITION = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")
REFUSED = SignalSpec("refused", SignalKind.ADMISSION, "failed calling webhook")
BLOCKED = SignalSpec("blocked", SignalKind.POD_EVENT, "FailedCreatePodSandBox")
DROPPED = SignalSpec("dropped", SignalKind.DROP, "AUTH_REQUIRED")
UPDATED = SignalSpec("updated", SignalKind.EVENT, "system/IssuerUpdated")
TAINTED = SignalSpec("tainted", SignalKind.NODE_TAINT, "example.org/agent-not-ready")


def seen(story: Story, name: str, within_s: float | None = None) -> Outcome:
    """Judge whether a signal was seen during the fault."""
    return answer(story, sometimes(checks.signal_seen(name, within_s=within_s))).outcome


def scraped(
    signal: SignalSpec, before: list[float | None], after: list[float | None], *, error: str = "", pod: str = "p1"
) -> Story:
    """Tell of values of a metric, one a second from the start of the baseline and of the fault."""
    story = Story(signals=(signal,)).steady(EDGE)
    return more(more(story.baseline(), signal, before, "", pod).fault(), signal, after, error, pod)


def more(story: Story, signal: SignalSpec, values: list[float | None], error: str, pod: str) -> Story:
    """Tell of more values in the current phase."""
    for second, value in enumerate(values):
        why = error if value is None else ""
        story.event(MetricSample, pod, at_s=second, pod=pod, metric=signal.subject, value=value, error=why)
    return story


def test_a_counter_that_rises_only_under_the_fault_is_seen() -> None:
    """The first rise after a silent baseline is the signal, with its time and the pod that showed it."""
    finding = answer(scraped(RISES, [3, 3, 3], [3, 3, 4, 9]), sometimes(checks.signal_seen("rises")))
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.HELD, "p1")
    assert finding.rows[0].numbers == {"time_to_signal_s": 2.0, "source": "p1"}


def test_a_counter_that_stays_is_not_seen() -> None:
    """A readable counter that does not move is no signal."""
    assert seen(scraped(RISES, [3, 3, 3], [3, 3, 3]), "rises") is Outcome.VIOLATED


def test_a_counter_that_appears_rises_from_zero() -> None:
    """A counter that the pod did not show before its first increment stood at 0."""
    assert seen(scraped(RISES, [None, None], [None, 1]), "rises") is Outcome.HELD


def test_a_counter_that_always_rises_is_no_signal() -> None:
    """What rose in the baseline shows nothing of the fault, not on another pod either: an alert on it was up before."""
    story = scraped(RISES, [1, 2, 3], [4, 5])
    assert seen(story, "rises") is Outcome.INCONCLUSIVE
    more(more(story.baseline(), RISES, [1, 1], "", "p2").fault(), RISES, [1, 2], "", "p2")
    assert seen(story, "rises") is Outcome.INCONCLUSIVE


def test_a_counter_below_its_threshold_is_not_seen() -> None:
    """A rise by no more than the threshold is no signal."""
    signal = SignalSpec("rises", SignalKind.METRIC_INCREASES, "connection_failures", threshold=5)
    assert seen(scraped(signal, [0, 0], [5, 10]), "rises") is Outcome.VIOLATED
    assert seen(scraped(signal, [0, 0], [5, 11]), "rises") is Outcome.HELD


def test_a_counter_that_begins_anew_shows_what_it_counted_since() -> None:
    """A program that restarts counts from 0: six failures since then are a rise, though the number fell from nine."""
    signal = SignalSpec("rises", SignalKind.METRIC_INCREASES, "connection_failures", threshold=5)
    assert seen(scraped(signal, [9, 9], [6]), "rises") is Outcome.HELD
    assert seen(scraped(signal, [9, 9], [5]), "rises") is Outcome.VIOLATED


def test_a_signal_that_first_appears_after_the_undo_began_is_not_seen() -> None:
    """The undo restarts what the fault stopped: what appears then says nothing of the fault."""
    story = Story(signals=(CONDITION,)).steady(EDGE).event(ReplicaCount, CONDITION.subject, ready=1, desired=1)
    story.fault().event(ReplicaCount, CONDITION.subject, ready=1, desired=1)
    story.event(ReplicaCount, CONDITION.subject, at_s=19.5, ready=0, desired=1)
    assert (seen(story, "down"), seen(story, "down", 30)) == (Outcome.VIOLATED, Outcome.VIOLATED)
    story.event(ReplicaCount, CONDITION.subject, at_s=18.5, ready=0, desired=1)
    assert seen(story, "down") is Outcome.HELD


def test_a_source_that_was_down_is_inconclusive() -> None:
    """When more looks failed than succeeded, the silence is that of the source."""
    assert seen(scraped(RISES, [3, 3], [3, None, None], error="refused"), "rises") is Outcome.INCONCLUSIVE
    assert seen(scraped(RISES, [3, 3], []), "rises") is Outcome.INCONCLUSIVE
    assert seen(scraped(RISES, [], [3, 4]), "rises") is Outcome.INCONCLUSIVE


def test_a_metric_below_its_threshold_is_seen() -> None:
    """A certificate with less than a minute left is seen, one with more is not, one that is not shown is unknown."""
    assert seen(scraped(BELOW, [90, 80], [70, 59]), "below") is Outcome.HELD
    assert seen(scraped(BELOW, [90, 80], [70, 61]), "below") is Outcome.VIOLATED
    assert seen(scraped(BELOW, [90, 80], [None, None]), "below") is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("ready", "desired", "expected"),
    [
        (0, 0, Outcome.INCONCLUSIVE),
        (1, 1, Outcome.INCONCLUSIVE),
        (0, 1, Outcome.INCONCLUSIVE),
        (1, 2, Outcome.HELD),
        (2, 3, Outcome.HELD),
        (2, 2, Outcome.VIOLATED),
        (None, 2, Outcome.INCONCLUSIVE),
    ],
)
def test_a_condition_fires_when_too_few_are_ready(ready: int | None, desired: int, expected: Outcome) -> None:
    """Fewer ready than Kubernetes wants is visible; where the fault lowered what is wanted, it is not known."""
    story = Story(signals=(CONDITION,)).steady(EDGE).event(ReplicaCount, CONDITION.subject, ready=2, desired=2)
    story.fault().event(ReplicaCount, CONDITION.subject, at_s=4, ready=ready, desired=desired)
    assert seen(story, "down") is expected


def test_a_condition_that_fired_before_the_fault_is_inconclusive() -> None:
    """A workload that was never ready says nothing about the fault."""
    story = Story(signals=(CONDITION,)).steady(EDGE).event(ReplicaCount, CONDITION.subject, ready=0, desired=1)
    story.fault().event(ReplicaCount, CONDITION.subject, ready=0, desired=1)
    finding = answer(story, sometimes(checks.signal_seen("down")))
    assert (finding.outcome, "before the fault" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_signal_after_its_deadline_is_not_seen() -> None:
    """A signal 4 s into the fault is within 5 s and not within 3 s."""
    story = Story(signals=(CONDITION,)).steady(EDGE).event(ReplicaCount, CONDITION.subject, ready=1, desired=1)
    story.fault().event(ReplicaCount, CONDITION.subject, ready=1, desired=1)
    story.event(ReplicaCount, CONDITION.subject, at_s=4, ready=0, desired=1)
    assert (seen(story, "down", 5), seen(story, "down", 3)) == (Outcome.HELD, Outcome.VIOLATED)


def test_a_refusal_is_a_signal_by_its_words() -> None:
    """A refusal with the words is seen, one without or an admission is not, an unanswered request is unknown."""

    def recorded(outcome: str, message: str) -> Story:
        return Story(signals=(REFUSED,)).steady(EDGE).fault().new_pod(outcome, message=message)

    assert seen(recorded("refused", "x failed calling webhook y"), "refused") is Outcome.HELD
    assert seen(recorded("refused", "quota"), "refused") is Outcome.VIOLATED
    assert seen(recorded("admitted", ""), "refused") is Outcome.VIOLATED
    assert seen(recorded("failed", ""), "refused") is Outcome.INCONCLUSIVE


def test_refusals_of_changes_count_too() -> None:
    """The API's words about a policy are as loud as those about a pod."""
    story = Story(signals=(REFUSED,)).steady(EDGE).fault()
    assert seen(story.change(*EDGE, "refused", message="failed calling webhook"), "refused") is Outcome.HELD


@pytest.mark.parametrize(
    ("outcome", "started", "blocked", "expected"),
    [
        ("admitted", False, "Warning FailedCreatePodSandBox: no answer", Outcome.HELD),
        ("admitted", False, "Warning FailedScheduling: no node", Outcome.VIOLATED),
        ("admitted", False, "", Outcome.VIOLATED),
        ("admitted", True, None, Outcome.VIOLATED),
        ("refused", None, None, Outcome.VIOLATED),
        ("admitted", False, None, Outcome.INCONCLUSIVE),
        ("admitted", None, None, Outcome.INCONCLUSIVE),
        ("failed", None, "", Outcome.INCONCLUSIVE),
    ],
)
def test_a_warning_about_a_new_pod_is_a_signal_by_its_words(
    outcome: str, started: bool | None, blocked: str | None, expected: Outcome
) -> None:
    """A warning with the words is seen; another, none, and a pod that never was are not; the rest is unknown."""
    story = Story(signals=(BLOCKED,)).steady(EDGE).fault().new_pod(outcome, started=started, blocked=blocked)
    assert seen(story, "blocked") is expected


@pytest.mark.parametrize(("warned_s", "expected_s"), [(9.0, 9.0), (0.5, 4.0), (None, 4.0)])
def test_a_warning_dates_from_its_own_instant(warned_s: float | None, expected_s: float) -> None:
    """The warning comes after the pod was admitted; a clock that was rounded down does not put it before."""
    story = Story(signals=(BLOCKED,)).steady(EDGE).fault()
    blocked_ns = None if warned_s is None else story.at(warned_s)
    story.new_pod("admitted", at_s=3, answered_ns=story.at(4), blocked=BLOCKED.subject, blocked_ns=blocked_ns)
    finding = answer(story, sometimes(checks.signal_seen("blocked")))
    assert finding.rows[0].numbers == {"time_to_signal_s": expected_s, "source": "the events of new pods"}


def test_a_warning_that_came_before_the_fault_tells_nothing_of_it() -> None:
    """Where pods were blocked in the baseline already, the same words later are no news."""
    story = Story(signals=(BLOCKED,)).steady(EDGE).new_pod("admitted", blocked=BLOCKED.subject)
    assert seen(story.fault().new_pod("admitted", blocked=BLOCKED.subject), "blocked") is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [TAINTED.subject], Outcome.HELD),
        ([], ["another"], Outcome.VIOLATED),
        ([TAINTED.subject], [TAINTED.subject], Outcome.INCONCLUSIVE),
        ([], None, Outcome.INCONCLUSIVE),
    ],
)
def test_a_taint_on_a_node_is_a_signal(before: list[str], after: list[str] | None, expected: Outcome) -> None:
    """The named taint that comes with the fault is seen; an older one and an unreadable list are not."""
    story = Story(signals=(TAINTED,)).steady(EDGE).baseline().event(NodeTaints, "n1", at_s=1, taints=before, error="")
    assert seen(story.fault().event(NodeTaints, "n1", at_s=2, taints=after, error=""), "tainted") is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("POLICY_DENIED", "AUTH_REQUIRED", Outcome.HELD),
        ("POLICY_DENIED", "POLICY_DENIED", Outcome.VIOLATED),
        ("AUTH_REQUIRED", "AUTH_REQUIRED", Outcome.INCONCLUSIVE),
        ("POLICY_DENIED", None, Outcome.INCONCLUSIVE),
    ],
)
def test_a_reason_on_the_mesh_s_record_is_a_signal(before: str, after: str | None, expected: Outcome) -> None:
    """The named reason is seen; another is a silent look; one from before, and a record that stops, tell nothing."""
    story = Story(signals=(DROPPED,)).steady(EDGE).baseline().event(DropCount, "a->b", at_s=1, node="n1", reason=before)
    story.fault()
    if after is not None:
        story.event(DropCount, "a->b", at_s=2, node="n1", reason=after)
    assert seen(story, "dropped") is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([0, 0], [0, 1], Outcome.HELD),
        ([4, 4], [4, 5], Outcome.HELD),
        ([4, 4], [3, 4], Outcome.HELD),
        ([4, 4], [4, 3], Outcome.VIOLATED),
        ([0, 0], [None, 1], Outcome.HELD),
        ([0, 1], [1, 2], Outcome.INCONCLUSIVE),
        ([0, 0], [None, None], Outcome.INCONCLUSIVE),
        ([0], [1], Outcome.INCONCLUSIVE),
    ],
)
def test_an_event_of_kubernetes_is_a_signal_when_it_is_told_again(
    before: list[int | None], after: list[int | None], expected: Outcome
) -> None:
    """What earlier runs left is no news, nor is that Kubernetes forgot some of it; another reason is another signal."""
    story = Story(signals=(UPDATED,)).steady(EDGE)
    for go_on, counts in ((story.baseline, before), (story.fault, after)):
        go_on().event(EventCount, "system/Other", at_s=9, count=len(counts) + 9)
        for second, count in enumerate(counts):
            story.event(EventCount, UPDATED.subject, at_s=second, count=count)
    assert seen(story, "updated") is expected


def test_a_signal_that_the_mesh_does_not_have_is_not_seen() -> None:
    """A mesh that emits no such signal raised none."""
    finding = answer(Story().steady(EDGE), sometimes(checks.signal_seen("rises")))
    assert (finding.outcome, finding.reason) == (Outcome.VIOLATED, "the mesh has no signal rises")


def absent(story: Story, name: str = "down", during: str = "fault") -> Outcome:
    """Judge whether a signal stayed away."""
    return answer(story, always(checks.signal_absent(name), during)).outcome


def conditions(*ready: int | None, during_fault: bool = True) -> Story:
    """Tell how many of one replica were ready, second by second, after a well baseline."""
    story = Story(signals=(CONDITION,)).steady(EDGE).event(ReplicaCount, CONDITION.subject, ready=1, desired=1)
    if during_fault:
        story.fault()
    for second, count in enumerate(ready):
        story.event(ReplicaCount, CONDITION.subject, at_s=second, ready=count, desired=1)
    return story


def test_a_signal_that_stays_away_is_absent() -> None:
    """Looks that succeed and see nothing, in the fault or in the baseline itself."""
    assert absent(conditions(1, 1, 1)) is Outcome.HELD
    assert absent(conditions(1, 1, during_fault=False), during="baseline") is Outcome.HELD


def test_a_signal_that_appears_is_not_absent() -> None:
    """One look that saw it is enough, and is the example."""
    finding = answer(conditions(1, 0, 1), always(checks.signal_absent("down")))
    assert (finding.outcome, finding.counter_examples[0].error) == (Outcome.VIOLATED, "down")


@pytest.mark.parametrize(("looks", "name"), [((), "down"), ((1, None, None), "down"), ((1, 1), "no such signal")])
def test_absence_that_nobody_saw_is_inconclusive(looks: tuple[int | None, ...], name: str) -> None:
    """No look, mostly failed looks, or a signal that the mesh does not have: silence proves nothing."""
    assert absent(conditions(*looks), name) is Outcome.INCONCLUSIVE
