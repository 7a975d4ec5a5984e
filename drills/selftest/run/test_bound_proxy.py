"""Each world that a Service bound to an L7 proxy may be found in has its own verdict."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills import test_policy
from drills.judge.claims import judge
from drills.judge.events import MembershipSeen, ObjectStatus, ReplicaCount
from drills.judge.verdict import Outcome
from drills.run.declare import declared
from drills.run.experiment import promised
from drills.run.lab import DENIED, EACH_CALL_CONNECTS, FRONT_DOOR, FRONT_DOOR_ALLOWED, FRONT_DOOR_UNMESHED, ROUTES
from drills.selftest.doubles.cluster_double import mesh
from drills.selftest.doubles.story import Story

OF = {"l7-proxy-unready": test_policy.test_l7_proxy_unready, "l7-proxy-deleted": test_policy.test_l7_proxy_deleted}
BOUND = "v1 Service lab/frontend Bound"
SIGNALS = (
    SignalSpec("l7-proxy-unbound", SignalKind.STATUS, f"{BOUND}=False"),
    SignalSpec("l7-proxy-bound", SignalKind.STATUS, f"{BOUND}=True"),
    SignalSpec("workload-unready", SignalKind.CONDITION, "lab/Deployment/*"),
)
FAULT_S, SETTLED_S = 66.0, {"l7-proxy-unready": 6.0, "l7-proxy-deleted": 28.0}


def answer(name: str, story: Story) -> Outcome:
    """Return the verdict of that drill's claims on the story."""
    entry = declared(OF[name])
    assert entry is not None
    facts = mesh(signals={it.name: it for it in SIGNALS})
    return judge(story.history(), promised(entry.build(facts).claims, facts, name)).outcome


def world(name: str, *, shut: bool, reported: bool, passes_by: bool = False, bound: bool = True) -> Story:
    """Return a story of a front door that is open, and then shut to new connections or not; reused ones are served.

    reported: the status or condition that fits says so. passes_by: a caller without an identity is served once.
    """
    story = Story(fault_s=FAULT_S, signals=SIGNALS, fresh_edges=EACH_CALL_CONNECTS)
    story.steady(*ROUTES, per_s=7).refused(*DENIED, per_s=1).watched()
    status, deployment = BOUND.rpartition(" ")[0], SIGNALS[2].subject
    for tell in (story.baseline, story.fault, story.recovery):
        tell().calls("outsider", "outsider", ok=50, served=False).calls(*FRONT_DOOR_UNMESHED, fail=40)
        story.calls(*FRONT_DOOR_ALLOWED, ok=200, connection="reused")
        for at_s in range(0, int(story.length_s()), 5):
            story.hit("outsider", "outsider", at_s=at_s)
        is_fault, from_s, end_s = tell == story.fault, SETTLED_S[name], story.length_s()
        if not is_fault:
            story.event(ObjectStatus, status, at_s=1, conditions=[], error="")
            story.event(ReplicaCount, deployment, at_s=1, ready=9, desired=9, error="")
        for edge in (FRONT_DOOR, FRONT_DOOR_ALLOWED):
            if is_fault and shut:
                story.calls(*edge, ok=40, over=(0.0, from_s)).calls(*edge, fail=200, over=(from_s, end_s))
            else:
                story.calls(*edge, ok=300)
    story.fault()
    if name == "l7-proxy-deleted" and bound:
        story.event(ObjectStatus, status, at_s=14, conditions=["Bound=True"], error="")
    is_unready = shut and reported and name == "l7-proxy-unready"
    for at_s in range(int(SETTLED_S[name]), int(FAULT_S)):
        says = ["Bound=False"] if reported and not is_unready else []
        story.event(ObjectStatus, status, at_s=at_s, conditions=says, error="")
        story.event(ReplicaCount, deployment, at_s=at_s, ready=9, desired=10 if is_unready else 9, error="")
    if passes_by:
        story.calls(*FRONT_DOOR_UNMESHED, ok=1)
    story.baseline()
    for pod in sorted(story.facts().servers):
        story.event(MembershipSeen, pod, at_s=0.5, expected=pod != "outsider-1", meshed=pod != "outsider-1")
    return story


@pytest.mark.parametrize("name", OF)
def test_open_door_is_excused_by_the_status_alone(name: str) -> None:
    """If a denied caller is served, the status says so, or the drill fails."""
    assert answer(name, world(name, shut=False, reported=True)) is Outcome.FAILED_OBSERVABLY
    assert answer(name, world(name, shut=False, reported=False)) is Outcome.VIOLATED


@pytest.mark.parametrize("name", OF)
def test_shut_door_keeps_denied_callers_out_and_is_reported(name: str) -> None:
    """No new connection is served: the rule holds, and allowed callers may fail if on-call is alerted."""
    assert answer(name, world(name, shut=True, reported=True)) is Outcome.FAILED_OBSERVABLY
    assert answer(name, world(name, shut=True, reported=False)) is Outcome.VIOLATED


@pytest.mark.parametrize("name", OF)
def test_caller_that_bypasses_the_proxy_is_never_excused(name: str) -> None:
    """One call of an outsider that is served at the bound Service is a violation, whatever was reported."""
    assert answer(name, world(name, shut=False, reported=True, passes_by=True)) is Outcome.VIOLATED


def test_proxy_that_was_never_bound_was_not_taken_away() -> None:
    """Where the mesh can say that the Service is bound and did not say so, the deletion proved nothing."""
    assert answer("l7-proxy-deleted", world("l7-proxy-deleted", shut=False, reported=True, bound=False)) is (
        Outcome.INCONCLUSIVE
    )


@pytest.mark.parametrize("name", OF)
def test_empty_record_proves_nothing(name: str) -> None:
    """Without a call there is no answer."""
    assert answer(name, Story(fault_s=FAULT_S, signals=SIGNALS)) is Outcome.INCONCLUSIVE
