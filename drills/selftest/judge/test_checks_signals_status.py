"""A condition in an object's status is a signal when it comes with the fault and could be read."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import sometimes
from drills.judge.events import ObjectStatus
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
STATED = SignalSpec("stated", SignalKind.STATUS, "example.org/v1 Rule lab/door Enforced=False")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], ["Valid=True", "Enforced=False"], Outcome.HELD),
        ([], ["Enforced=True"], Outcome.VIOLATED),
        ([], [], Outcome.VIOLATED),
        (["Enforced=False"], ["Enforced=False"], Outcome.INCONCLUSIVE),
        ([], None, Outcome.INCONCLUSIVE),
        (None, ["Enforced=False"], Outcome.INCONCLUSIVE),
    ],
)
def test_a_condition_in_an_object_s_status_is_a_signal(
    before: list[str] | None, after: list[str] | None, expected: Outcome
) -> None:
    """The named condition that comes with the fault is seen; one from before, or one that could not be read, is not."""
    rule, other = "example.org/v1 Rule lab/door", "example.org/v1 Rule lab/gate"
    story = Story(signals=(STATED,)).steady(EDGE).baseline().event(ObjectStatus, rule, at_s=1, conditions=before)
    story.fault().event(ObjectStatus, other, at_s=1, conditions=["Enforced=False"])
    story.event(ObjectStatus, rule, at_s=2, conditions=after)
    assert answer(story, sometimes(checks.signal_seen("stated"))).outcome is expected
