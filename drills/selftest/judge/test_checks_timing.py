"""How long until calls succeed for good, and how slow the slow ones are: each answer of each check."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always
from drills.judge.events import Phase, ReplicaCount
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
DOWN = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")
BACK = always(checks.recovery_time(EDGE, at_most_s=5), during="recovery")
QUICK = always(checks.latency(EDGE))


def recovering(fails_until_s: float, *, ends_s: float = 20.0) -> Story:
    """Tell of a recovery whose calls fail until an instant and succeed from there on."""
    story = Story().recovery().calls(*EDGE, fail=20, over=(0, fails_until_s))
    return story.calls(*EDGE, ok=200, over=(fails_until_s, ends_s))


def test_recovery_in_time_holds_with_its_time() -> None:
    """Failures that end after 2 s are within 5 s; the finding says when the first lasting success ended."""
    finding = answer(recovering(2), BACK)
    assert finding.outcome is Outcome.HELD
    assert finding.rows[0].numbers["recovery_s"] == pytest.approx(2.002, abs=0.01)


def test_calls_that_never_failed_recovered_at_once() -> None:
    """Without any failure the recovery time is 0."""
    finding = answer(Story().recovery().calls(*EDGE, ok=200), BACK)
    assert (finding.outcome, finding.rows[0].numbers["recovery_s"]) == (Outcome.HELD, 0.0)


def test_one_late_failure_violates_a_recovery_time() -> None:
    """A single failure beyond the bound is late, however well all others did; it is the example."""
    finding = answer(recovering(2).calls(*EDGE, fail=1, over=(12, 13)), BACK)
    assert (finding.outcome, len(finding.counter_examples)) == (Outcome.VIOLATED, 1)
    assert "12.000 s after the start" in finding.reason


def test_a_late_recovery_is_excused_by_its_signal() -> None:
    """A missed bound is FAILED_OBSERVABLY when the named alert fired."""
    story = Story(signals=(DOWN,)).event(ReplicaCount, DOWN.subject, ready=1, desired=1)
    story.recovery().calls(*EDGE, fail=80, over=(0, 8)).calls(*EDGE, ok=120, over=(8, 20))
    story.event(ReplicaCount, DOWN.subject, ready=0, desired=1)
    claim = always(BACK.check, "recovery", alert="down", within_s=5)  # type: ignore[arg-type]
    assert answer(story, claim).outcome is Outcome.FAILED_OBSERVABLY


@pytest.mark.parametrize(
    "story",
    [
        Story().calls(*EDGE, ok=100),
        Story().recovery().calls(*EDGE, ok=19),
        recovering(2, ends_s=8),
        Story(recovery_s=4).recovery().calls(*EDGE, fail=40),
        Story(recovery_s=4).recovery().calls(*EDGE, fail=35, over=(0, 3.5)).calls(*EDGE, ok=50, over=(3.5, 4)),
        Story().recovery().calls(*EDGE, ok=200, connection="reused", reused=False),
        Story().recovery().calls(*EDGE, ok=200).calls(*EDGE, ok=19, pod="checkout-2"),
    ],
    ids=["nothing", "few calls", "a pause", "never well", "too short a hold", "not as named", "one caller of two"],
)
def test_recovery_that_was_not_watched_is_inconclusive(story: Story) -> None:
    """Too few calls, a pause, a window that ended too early, or the wrong connections decide nothing."""
    assert answer(story, BACK).outcome is Outcome.INCONCLUSIVE


def test_latency_like_the_baselines_holds() -> None:
    """The same latency as before is in bounds, and both are in the numbers."""
    finding = answer(Story().steady(EDGE, per_s=50), QUICK)
    assert finding.outcome is Outcome.HELD
    assert finding.rows[0].numbers["quantile_ms"] == pytest.approx(2.1, abs=0.01)
    assert finding.rows[0].numbers["limit_ms"] == pytest.approx(9.2, abs=0.01)


def test_slow_calls_violate_a_latency() -> None:
    """Thirty calls of a thousand that take far longer break the 99th percentile, and are the examples."""
    story = Story().calls(*EDGE, ok=500).fault().calls(*EDGE, ok=970).calls(*EDGE, ok=30, lag_ms=80)
    finding = answer(story, QUICK)
    assert (finding.outcome, len(finding.counter_examples)) == (Outcome.VIOLATED, 5)
    assert finding.rows[0].numbers["quantile_ms"] == pytest.approx(82, abs=0.2)


def test_calls_that_fail_fast_are_not_fast() -> None:
    """A call that failed counts as slower than every success."""
    finding = answer(Story().calls(*EDGE, ok=500).fault().calls(*EDGE, ok=900, fail=100), QUICK)
    assert (finding.outcome, finding.rows[0].numbers["quantile_ms"]) == (Outcome.VIOLATED, None)
    assert "beyond every success" in finding.reason


@pytest.mark.parametrize(
    "story",
    [
        Story(),
        Story().calls(*EDGE, ok=500),
        Story().fault().calls(*EDGE, ok=1000),
        Story().calls(*EDGE, fail=500).fault().calls(*EDGE, ok=1000),
        Story().calls(*EDGE, ok=500).fault().calls(*EDGE, ok=100),
        Story().calls(*EDGE, ok=500).fault().calls(*EDGE, ok=990).calls(*EDGE, ok=10, lag_ms=80),
        Story().calls(*EDGE, ok=500).fault().calls(*EDGE, ok=1000, over=(0, 10)),
    ],
    ids=["nothing", "no window", "no baseline", "failed baseline", "too few", "on the edge", "a pause"],
)
def test_latency_that_is_not_decided_is_inconclusive(story: Story) -> None:
    """No baseline, too few calls for the quantile's interval, or an interval on both sides of the limit."""
    assert answer(story, QUICK).outcome is Outcome.INCONCLUSIVE


def test_latency_without_a_baseline_window_is_inconclusive() -> None:
    """A record that never began its baseline has nothing to compare with."""
    story = Story().steady(EDGE, per_s=50).without(Phase)
    assert answer(story, QUICK).outcome is Outcome.INCONCLUSIVE


def test_a_quantile_is_a_share() -> None:
    """A quantile of 1 has no interval and is refused; so are checks without an edge."""
    with pytest.raises(ValueError, match="above 0 and below 1"):
        checks.latency(EDGE, quantile=1)
    for check in (checks.latency, checks.recovery_time):
        with pytest.raises(ValueError, match="at least one edge"):
            check(**({"at_most_s": 1} if check is checks.recovery_time else {}))


def test_a_failure_in_the_baseline_does_not_raise_the_bar() -> None:
    """The limit comes from the successes of the baseline, however many of its calls failed."""
    story = Story().calls(*EDGE, ok=500, fail=50).fault().calls(*EDGE, ok=1000)
    finding = answer(story, QUICK)
    assert finding.outcome is Outcome.HELD
    assert finding.rows[0].numbers["limit_ms"] == pytest.approx(9.2, abs=0.01)
