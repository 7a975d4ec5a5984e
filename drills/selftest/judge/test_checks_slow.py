"""Calls that succeed late: each such call lost a packet, whatever its caller was answered in the end."""

import pytest

from drills.judge import checks
from drills.judge.claims import always
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE, OTHER = ("checkout", "payment"), ("payment", "ledger")
FAST = always(checks.calls_fast(EDGE))
PHASES = ("baseline", "fault", "recovery")


def slowed(story: Story, *, every: int = 20, took_ms: int = 1005, phase: str = "fault") -> Story:
    """Let every so many calls of a phase last as long as given."""
    start_ns = getattr(story, phase)().at(0)
    end_ns = start_ns + round(story.length_s() * 1e9)
    due = [row for row in story.rows if start_ns <= int(row["scheduled_ns"] or 0) < end_ns]
    for row in due[::every]:
        row["ended_ns"] = int(row["started_ns"] or 0) + took_ms * 1_000_000
    return story


@pytest.mark.parametrize("phase", PHASES)
def test_fast_calls_hold_and_slow_ones_violate(phase: str) -> None:
    """One call in twenty that lasts as long as TCP waits before it sends again is a loss, in any phase."""
    claim = always(FAST.check, phase)  # type: ignore[arg-type]
    assert answer(Story().steady(EDGE), claim).outcome is Outcome.HELD
    finding = answer(slowed(Story().steady(EDGE), phase=phase), claim)
    assert (finding.outcome, "took longer than 0.9 s" in finding.reason) == (Outcome.VIOLATED, True)
    assert (sum(int(row.numbers["slow"] or 0) for row in finding.rows), len(finding.counter_examples)) in {
        (20, 5),
        (10, 5),
    }


def test_calls_that_are_just_fast_enough_hold() -> None:
    """Half a second is slow and no retransmission."""
    assert answer(slowed(Story().steady(EDGE), took_ms=899), FAST).outcome is Outcome.HELD


def test_a_call_that_failed_is_not_slow() -> None:
    """Lost calls are another claim's; what is left is judged, if it is enough."""
    assert answer(Story().fault().calls(*EDGE, ok=100, fail=50), FAST).outcome is Outcome.HELD
    assert answer(Story().fault().calls(*EDGE, fail=50), FAST).outcome is Outcome.INCONCLUSIVE
    lost = Story().fault().calls(*EDGE, fail=100).calls(*OTHER, ok=100)
    assert answer(lost, FAST).outcome is Outcome.INCONCLUSIVE
    finding = answer(lost, always(checks.calls_fast(EDGE, OTHER)))
    assert (finding.outcome, "not judged" in finding.rows[0].reason) == (Outcome.HELD, True)


def test_no_call_and_a_silent_caller_are_inconclusive() -> None:
    """Calls that were not made were not fast."""
    assert answer(Story().steady(OTHER), FAST).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().fault().calls(*EDGE, ok=100, over=(0, 10)), FAST).outcome is Outcome.INCONCLUSIVE


def test_a_share_outside_its_range_is_refused() -> None:
    """A share that every history meets is a mistake of the drill."""
    with pytest.raises(ValueError, match="share"):
        checks.calls_fast(EDGE, at_least=0)
