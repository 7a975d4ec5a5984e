"""Mutations of signals whose looks have a shape of their own: workloads that were not seen, conditions of objects."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, sometimes
from drills.judge.events import NodeTaints, ObjectStatus, ReplicaCount
from drills.judge.mutations.catalogue import WORLD
from drills.judge.mutations.target import Target
from drills.judge.verdict import Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
BRAIN, DOOR, GATE = "system/Deployment/brain", "example.org/v1 Rule lab/door", "example.org/v1 Rule lab/gate"
SIGNALS = (
    SignalSpec("down", SignalKind.CONDITION, BRAIN),
    SignalSpec("taints", SignalKind.NODE_TAINT, "agent-not-ready"),
    SignalSpec("states", SignalKind.STATUS, f"{DOOR} Enforced=False"),
)


def test_a_blind_look_stays_unknown_when_signals_are_hidden() -> None:
    """A look that failed is not made a good one."""
    story = Story(signals=SIGNALS).steady(EDGE).fault().event(ReplicaCount, BRAIN, ready=None, desired=None)
    history = story.event(ObjectStatus, DOOR, conditions=None).event(NodeTaints, "n1", taints=None).history()
    after = WORLD["hide-signals"].apply(history, Target((), history.windows()["fault"], {}))
    assert [event.detail.ready for event in after.of_kind(ReplicaCount)] == [None]
    assert [event.detail.conditions for event in after.of_kind(ObjectStatus)] == [None]
    assert [event.detail.taints for event in after.of_kind(NodeTaints)] == [None]


@pytest.mark.parametrize("before", [[], None])
@pytest.mark.parametrize(
    ("mutation", "expected"), [("raise-signals", Outcome.HELD), ("hide-signals", Outcome.VIOLATED)]
)
def test_raised_conditions_of_an_object_fire(mutation: str, expected: Outcome, before: list[str] | None) -> None:
    """An object is made to state what the signal names, even an unreadable one; others stay as they are."""
    story = Story(signals=SIGNALS).steady(EDGE).event(ObjectStatus, DOOR, conditions=[])
    story.fault().event(ObjectStatus, DOOR, at_s=1, conditions=["Valid=True", "Enforced=False"])
    story.event(ObjectStatus, DOOR, at_s=2, conditions=before)
    history = story.event(ObjectStatus, GATE, at_s=3, conditions=["Enforced=False"]).history()
    after = WORLD[mutation].apply(history, Target((), history.windows()["fault"], {}))
    assert judge(after, [sometimes(checks.signal_seen("states"))]).findings[0].outcome is expected
    *_, gate = after.of_kind(ObjectStatus)
    assert gate.detail.conditions == ("Enforced=False",)


def test_every_signal_of_one_request_is_raised() -> None:
    """Two signals that look at the same requests: raising the second does not hide the first."""
    signals = tuple(SignalSpec(f"refused-{name}", SignalKind.ADMISSION, f"webhook {name}") for name in ("a", "b"))
    story = Story(signals=signals).steady(EDGE).fault().new_pod("admitted", meshed=True)
    history = story.history()
    after = WORLD["raise-signals"].apply(history, Target((), history.windows()["fault"], {}))
    for signal in signals:
        silent = always(checks.signal_absent(signal.name))
        assert judge(history, [silent]).outcome is Outcome.HELD
        assert judge(after, [silent]).outcome is Outcome.VIOLATED
