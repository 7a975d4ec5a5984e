"""What single attempts of the probes do: what was answered is recorded, and nothing is left behind."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec
import pytest
from msgspec import UNSET

from clusters.kube import Admission, Json
from clusters.model import BYSTANDER, VICTIM, Enrolment, Membership, Mesh
from clusters.runtime import HarnessError
from drills.judge.base_event import Answered
from drills.judge.events import E, NewPod, PolicyChangeStep, PolicyVersion
from drills.run import inventory
from drills.run.context import Context
from drills.run.experiment import NewPods, PolicyChanges
from drills.run.phase import FAULT, RECOVERY, CurrentPhase
from drills.run.probes import base, new_pods
from drills.run.probes.new_pods import NewPodsProbe
from drills.run.probes.policy_change import PolicyChangeProbe
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.undo import UndoLog, leftovers
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.short_timing import SHORT

Answer = Callable[[Mapping[str, object]], Admission]
OUTSIDER = inventory.LabPod("outsider-1", "outside", "outsider", "node-a", "10.0.0.9", "lab:1")
PODS = inventory.Inventory((OUTSIDER,), (), {VICTIM: "node-b", BYSTANDER: "node-a"})
ONE = NewPods(every_s=1, within_s=0.2, serves_s=0)
POD = "new-pod-r1-1"


@pytest.fixture
def double(tmp_path_factory: pytest.TempPathFactory) -> FileCluster:
    """Return a healthy component."""
    return FileCluster(tmp_path_factory.mktemp("place"))


def context_of(double: FileCluster, facts: Mesh | None = None) -> Context:
    """Return the context of run r1."""
    return Context(
        "r1",
        double,
        facts or mesh(),
        Recorder(),
        UndoLog(double.state),
        CurrentPhase(),
        Tail(double.share, "r1"),
        timing=replace(SHORT, probe_undo_within_s=0.2),
    )


def answering(outcome: Answered, message: str = "") -> Answer:
    """Return an API call that always answers so."""
    return lambda _manifest: Admission(outcome, message)


def of_kind(context: Context, kind: type[E]) -> list[E]:
    """Return the events of a kind."""
    return [event for event in context.recorder.events() if isinstance(event, kind)]


def new_pods_probe(double: FileCluster, facts: Mesh | None = None, spec: NewPods = ONE) -> tuple[NewPodsProbe, Context]:
    """Return a new-pod probe."""
    context = context_of(double, facts)
    return NewPodsProbe(context, spec, PODS), context


@pytest.mark.parametrize("is_member", [True, False])
def test_new_pod_is_admitted_watched_and_removed(double: FileCluster, is_member: bool) -> None:
    """An admitted pod is in the mesh or not, as the mesh's facts say of it; only one that is in it is a good one."""
    probe, context = new_pods_probe(double, mesh(membership=Membership(lambda _pod, _witness: is_member)))
    log_call(double, 0, "ok", pod=POD)
    assert probe.attempt(RECOVERY) is is_member
    (event,) = of_kind(context, NewPod)
    assert (event.detail.outcome, event.detail.meshed, event.detail.started) == ("admitted", is_member, True)
    assert (event.detail.found is UNSET) is is_member
    assert double.load().objects == {}
    assert leftovers(double.state) == ()


def test_a_new_pod_without_a_good_call_is_no_good_one(double: FileCluster) -> None:
    """It is in the mesh and started, and its every call failed: the recovery goes on. A call that it served counts."""
    probe, _ = new_pods_probe(double)
    log_call(double, 0, "fail", pod=POD)
    assert not probe.attempt(RECOVERY)
    log_call(double, 0, "ok", server_pod="new-pod-r1-2")
    assert probe.attempt(RECOVERY)


def test_a_new_pod_stays_to_call_and_to_be_called(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays for as long as requested, but not if it never started: such a pod makes no call."""
    probe, context = new_pods_probe(double, spec=NewPods(every_s=1, within_s=0.2, serves_s=3))
    stays: list[float] = []
    monkeypatch.setattr(context.phase, "pause", stays.append)
    probe.attempt(FAULT)
    assert 3 in stays
    stays.clear()
    monkeypatch.setattr(double, "create_pod", answering("accepted"))
    probe.attempt(FAULT)
    assert 3 not in stays


def test_a_new_pod_may_have_a_service_of_its_own(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves behind a Service of its own for as long as requested, and both are gone afterwards."""
    spec = NewPods(every_s=1, within_s=0.2, serves_s=3, own_service=True)
    probe, context = new_pods_probe(double, spec=spec)
    log_call(double, 0, "ok", pod=POD)
    seen: list[tuple[float, set[str]]] = []
    monkeypatch.setattr(context.phase, "pause", lambda seconds: seen.append((seconds, set(double.load().objects))))
    assert probe.attempt(RECOVERY)
    assert (3, {"Service/lab/new-destination", f"Pod/lab/{POD}"}) in seen
    assert double.load().objects == {}
    assert leftovers(double.state) == ()


@pytest.mark.parametrize(("listed", "found"), [({}, False), ({POD: False}, True), (None, None)])
def test_stray_is_looked_for_among_all_pods(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch, listed: dict[str, bool] | None, found: bool | None
) -> None:
    """A list of the lab's pods shows a pod outside the mesh, or does not, or the API does not answer."""

    def look(*_asked: object) -> dict[str, bool]:
        if listed is None:
            raise HarnessError("the API server is dead")
        return listed

    probe, context = new_pods_probe(double, mesh(membership=Membership(lambda _pod, _witness: False)))
    monkeypatch.setattr(new_pods, "members", look)
    assert not probe.attempt(FAULT)
    (event,) = of_kind(context, NewPod)
    assert event.detail.found is found


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_new_pod_that_is_not_admitted(double: FileCluster, monkeypatch: pytest.MonkeyPatch, outcome: Answered) -> None:
    """A refusal keeps the API server's words; a question that failed is kept apart from it."""
    probe, context = new_pods_probe(double)
    monkeypatch.setattr(double, "create_pod", answering(outcome, "webhook said no"))
    assert not probe.attempt(FAULT)
    (event,) = of_kind(context, NewPod)
    assert (event.detail.outcome, event.detail.message) == (outcome, "webhook said no")
    assert event.detail.meshed is None
    assert event.answered_ns >= event.at_ns
    assert leftovers(double.state) == ()


def test_new_pod_that_never_starts(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that is not ready in time was admitted and did not start."""
    probe, context = new_pods_probe(double)
    monkeypatch.setattr(double, "create_pod", answering("accepted"))
    assert not probe.attempt(FAULT)
    assert of_kind(context, NewPod)[0].detail.started is False


def test_new_pod_has_the_warning_of_kubernetes(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pod that does not start, the warning that says why is kept: no other pod's, and none from after a start."""
    probe, context = new_pods_probe(double)
    name = POD
    blocked, unready = "FailedCreatePodSandBox", "Unhealthy"
    warnings = [(name, blocked, "no network"), ("other", blocked, "not mine"), (name, unready, "it ran")]
    events = [
        {
            "type": "Warning",
            "reason": reason,
            "message": text,
            "involvedObject": {"name": about},
            "firstTimestamp": "1970-01-01T00:00:07Z",
        }
        for about, reason, text in warnings
    ]
    monkeypatch.setattr(double, "create_pod", answering("accepted"))
    monkeypatch.setattr(double, "find", lambda *_what: events)
    probe.attempt(FAULT)
    (event,) = of_kind(context, NewPod)
    assert event.detail.blocked == "FailedCreatePodSandBox: no network"
    assert event.detail.blocked_ns == 7_000_000_000


def test_membership_whose_proof_is_missing_is_not_found_out(double: FileCluster) -> None:
    """A proof that is not written, or not yet, is no proof of the contrary: such a pod is not called an outsider."""
    facts = mesh(membership=Membership(lambda *_: True, ("example.org/v1", "Endpoint"), Enrolment.START))
    probe, context = new_pods_probe(double, facts)
    log_call(double, 0, "ok", pod=POD)
    assert not probe.attempt(RECOVERY)
    (event,) = of_kind(context, NewPod)
    assert (event.detail.started, event.detail.meshed) == (True, None)


def test_new_pod_without_a_node_never_ran(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the scheduler is away a pod waits in the API alone: that is said, and it cannot run outside the mesh."""
    probe, context = new_pods_probe(double)
    unready: Json = {"spec": {}, "metadata": {}, "status": {"conditions": []}}
    monkeypatch.setattr(double, "get", lambda *_what: unready)
    monkeypatch.setattr(double, "delete", lambda *_arguments, **_options: Admission("accepted"))
    monkeypatch.setattr(base, "carry_out", lambda *_arguments, **_options: None)
    probe.attempt(FAULT)
    (event,) = of_kind(context, NewPod)
    assert event.detail.blocked == "NotScheduled: the scheduler chose no node for it"


def test_new_pods_are_made_on_each_placed_node(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pod per place is bound to its node without the scheduler, and an attempt is good only if all of them are."""
    asked: list[str] = []

    def create(manifest: Json) -> Admission:
        asked.append(manifest["spec"]["nodeName"])
        return Admission("refused" if manifest["spec"]["nodeName"] == "node-b" else "accepted", object=manifest)

    probe, context = new_pods_probe(double, spec=NewPods(1, (VICTIM, BYSTANDER), within_s=0.1, serves_s=0))
    monkeypatch.setattr(double, "create_pod", create)
    assert not probe.attempt(FAULT)
    assert sorted(asked) == ["node-a", "node-b"]
    outcomes = {event.detail.placed: event.detail.outcome for event in of_kind(context, NewPod)}
    assert outcomes == {VICTIM: "refused", BYSTANDER: "admitted"}


def test_membership_that_begins_with_the_pod_is_asked_of_the_started_pod(double: FileCluster) -> None:
    """Where the pod network enrols, the admitted pod proves nothing: the started one and its witness do."""
    membership = Membership(lambda _pod, witness: witness is not None, ("v1", "Pod"), Enrolment.START)
    probe, context = new_pods_probe(double, mesh(membership=membership))
    log_call(double, 0, "ok", pod=POD)
    assert probe.attempt(RECOVERY)
    (event,) = of_kind(context, NewPod)
    assert event.detail.meshed is True


def test_new_pod_that_cannot_be_removed_stays_on_the_undo_log(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the probe could not remove is left for the rollback, and for the sweep."""
    probe, context = new_pods_probe(double)
    monkeypatch.setattr(double, "delete", lambda *_arguments, **_options: Admission("failed", "dead"))
    with pytest.raises(HarnessError, match="dead"):
        probe.attempt(FAULT)
    assert of_kind(context, NewPod)
    assert [entry.kind for entry in leftovers(double.state)] == ["created-object"]


def change(double: FileCluster, facts: Mesh | None = None) -> tuple[PolicyChangeProbe, Context]:
    """Return a policy-change probe with a short hold."""
    context = context_of(double, facts)
    return PolicyChangeProbe(context, PolicyChanges("intruder", "frontend", hold_s=0.05)), context


def log_call(double: FileCluster, at_ns: int, outcome: str, *, pod: str = "p", server_pod: str = "") -> None:
    """Let a caller have logged a call."""
    line = {
        "type": "call",
        "run_id": "r1",
        "id": "i",
        "seq": 0,
        "pod": pod,
        "node": "n",
        "source": "intruder",
        "target": "frontend",
        "connection": "new",
        "scheduled_ns": at_ns,
        "started_ns": at_ns,
        "ended_ns": at_ns,
        "outcome": outcome,
        "status": 0,
        "error": "",
        "reused": False,
        "server_pod": server_pod,
        "server_version": "",
    }
    with (double.share / "logs" / "p.jsonl").open("ab") as log:
        log.write(msgspec.json.encode(line) + b"\n")


def test_change_is_applied_held_and_removed(double: FileCluster) -> None:
    """Both steps are events of one subject, in order, with the edge; nothing is left behind."""
    probe, context = change(double)
    probe.attempt(FAULT)
    steps = of_kind(context, PolicyChangeStep)
    assert [(event.detail.step, event.detail.outcome) for event in steps] == [
        ("apply", "accepted"),
        ("remove", "accepted"),
    ]
    assert steps[0].subject == steps[1].subject
    assert (steps[0].detail.source, steps[0].detail.target) == ("intruder", "frontend")
    assert steps[1].at_ns - steps[0].at_ns >= 50_000_000
    assert [event.detail.verb for event in of_kind(context, PolicyVersion)] == ["present", "gone"]
    assert double.load().objects == {}
    assert leftovers(double.state) == ()


def test_change_is_good_when_calls_obey_it(double: FileCluster) -> None:
    """Accepted is not enough: the second half of the hold must show calls, and none that got through."""
    probe, _ = change(double)
    assert not probe.attempt(RECOVERY), "no call was seen"
    log_call(double, time.time_ns(), "ok")
    assert not probe.attempt(RECOVERY), "a call got through"
    log_call(double, time.time_ns() + 2_000_000_000, "fail")
    log_call(double, time.time_ns() + 2_000_000_000, "ok")
    assert not probe.attempt(RECOVERY), "one call of two got through"


def test_change_is_good_when_every_call_is_refused(double: FileCluster) -> None:
    """Calls that were due in the second half of the hold and all failed show that the change is in force."""
    probe, _ = change(double)
    log_call(double, time.time_ns() + 1_000_000_000, "fail")
    assert probe.attempt(RECOVERY)


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_change_that_is_not_accepted_is_removed_all_the_same(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch, outcome: Answered
) -> None:
    """An answer that was lost may have been a yes: the removal is sent whatever was said."""
    probe, context = change(double)
    monkeypatch.setattr(double, "apply", answering(outcome, "no"))
    assert not probe.attempt(FAULT)
    assert [(event.detail.step, event.detail.outcome) for event in of_kind(context, PolicyChangeStep)] == [
        ("apply", outcome),
        ("remove", "accepted"),
    ]
    assert leftovers(double.state) == ()
