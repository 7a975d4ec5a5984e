"""A component that cannot exist while Kubernetes wants it: the desired count stays, and the pods return at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.kube import Admission, Json
from clusters.model import Component, Role
from clusters.runtime import HarnessError
from drills.run import faults
from drills.run.faults import pod_refusal
from drills.run.undo import UndoLog, leftovers, sweep
from drills.selftest.doubles.cluster_double import COMPONENT, mesh
from drills.selftest.doubles.fault_steps import change, ready
from drills.selftest.doubles.node_double import AGENT, NodeCluster
from drills.selftest.doubles.short_timing import SHORT

POLICY = "ValidatingAdmissionPolicy/None/meshdrill-unavailable-system-"
BOTH = pytest.mark.parametrize("component", [COMPONENT, AGENT], ids=lambda it: it.kind)
BRAIN = faults.make_unavailable(Role.CONTROL_PLANE)


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy component, and a healthy agent on each node."""
    return NodeCluster(tmp_path)


@BOTH
def test_desired_count_stays_and_nothing_is_ready(double: NodeCluster, component: Component) -> None:
    """Kubernetes wants as many pods as before and has none; after the undo it has all, and no policy is left."""
    objects, (wanted, _) = double.load().objects, double.replicas(component)
    prepared = ready(double, faults.make_unavailable(component.role))
    prepared.inject()
    assert double.replicas(component) == (wanted, 0)
    assert f"wants {wanted} and counts 0 ready" in prepared.receipt().evidence
    assert all(prepared.turns())
    assert "still exist" in prepared.reverted()
    prepared.revert()
    assert prepared.reverted() == ""
    assert (double.replicas(component), double.load().objects) == ((wanted, wanted), objects)
    assert not prepared.receipt().landed


def test_policy_refuses_the_pods_of_that_workload_only(double: NodeCluster) -> None:
    """It matches the creation of pods, in one namespace, by the workload's own selector; the agents stay."""
    prepared = ready(double, BRAIN)
    prepared.inject()
    assert double.replicas(AGENT) == (2, 2)
    policy: Json = double.load().objects[f"{POLICY}brain"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy["spec"]["matchConstraints"] == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "system"}},
        "objectSelector": {"matchLabels": {"app": "brain"}},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }


def test_changed_desired_count_is_no_receipt(double: NodeCluster) -> None:
    """A component that is wanted no more is another fault: no alert on missing replicas could fire."""
    prepared = ready(double, BRAIN)
    prepared.inject()
    double.scale(COMPONENT, 0)
    assert not prepared.receipt().landed
    assert False in prepared.turns()


def test_pod_that_comes_back_loses_the_receipt(double: NodeCluster) -> None:
    """A process on any node, or a reply at the Service, is seen in one round of looks."""
    prepared = ready(double, BRAIN)
    prepared.inject()
    world = double.load()
    world.start_brain()
    double.save(world)
    assert not prepared.receipt().landed
    assert prepared.turns().count(False) >= 2


def test_pods_get_the_least_grace_that_a_kubelet_obeys(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 0 s the pod is gone from the API while its processes may live on."""
    graces: list[int | None] = []
    delete_pod = double.delete_pod

    def noted(namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        graces.append(grace_s)
        return delete_pod(namespace, name, grace_s=grace_s)

    monkeypatch.setattr(double, "delete_pod", noted)
    ready(double, BRAIN).inject()
    assert graces == [1]


def test_no_pod_is_deleted_before_the_policy_is_in_force(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the API server does not enforce it the fault fails with the pods as they were, and one sweep cleans up."""
    before = double.load()
    prepared = ready(double, BRAIN)
    UndoLog(double.state).write(prepared.entry)
    monkeypatch.setattr(double, "try_pod", lambda pod: Admission("accepted", object=pod))
    with pytest.raises(HarnessError, match=r"in force: not within .* older than Kubernetes 1\.30"):
        prepared.inject()
    assert (double.load().processes, f"{POLICY}brain" in double.load().objects) == (before.processes, True)
    assert sweep(double) == ("pods of Deployment system/brain admitted again, 1 ready",)
    assert (double.load(), leftovers(double.state)) == (before, ())


def test_undo_waits_until_the_policy_is_out_of_force(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that is made to try again too early would only wait longer the next time."""
    prepared = ready(double, BRAIN)
    prepared.inject()
    touched: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(double, "delete", lambda *_asked, **_options: Admission("accepted"))
        patched.setattr(double, "patch", touched.append)
        with pytest.raises(HarnessError, match="still in force"):
            prepared.revert()
    assert touched == []
    prepared.revert()
    assert prepared.reverted() == ""


@BOTH
def test_controller_is_made_to_try_again_and_left_as_it_was(
    double: NodeCluster, monkeypatch: pytest.MonkeyPatch, component: Component
) -> None:
    """The ReplicaSet, or the DaemonSet itself, gets an annotation and loses it again: no field of it is changed."""
    prepared = ready(double, faults.make_unavailable(component.role))
    prepared.inject()
    made: list[Json] = []
    patch = double.patch

    def noted(changes: Json) -> None:
        made.append(changes)
        patch(changes)

    monkeypatch.setattr(double, "patch", noted)
    prepared.revert()
    name = ("ReplicaSet", "brain-5f") if component is COMPONENT else ("DaemonSet", "agent")
    assert [(it["kind"], it["metadata"]["name"]) for it in made] == [name, name]
    values = [it["metadata"]["annotations"] for it in made]
    assert all(it.keys() == {pod_refusal.NUDGE} for it in values)
    assert [it[pod_refusal.NUDGE] is None for it in values] == [False, True]


def test_api_that_cannot_be_asked_is_no_answer(double: NodeCluster) -> None:
    """Neither in force nor out of it: the entry stays on the log for a later sweep."""
    prepared = ready(double, BRAIN)
    prepared.inject()
    UndoLog(double.state).write(prepared.entry)
    change(double, is_api_dead=True)
    with pytest.raises(HarnessError, match="dead"):
        prepared.revert()
    with pytest.raises(HarnessError, match="could not be reverted"):
        sweep(double, timing=replace(SHORT, undo_within_s=0.1))
    change(double, is_api_dead=False)
    assert len(sweep(double)) == 1
    assert leftovers(double.state) == ()


def test_component_that_is_not_healthy_is_refused(double: NodeCluster) -> None:
    """What is missing already cannot be lost."""
    change(double, desired=2)
    with pytest.raises(HarnessError, match="1 of 2 replicas ready"):
        ready(double, BRAIN)


def test_pod_of_a_claim_is_asked_about_with_a_volume(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A StatefulSet's pod mounts what only its claims name: without them the API server would refuse it for that."""
    found: Json | None = double.get("apps/v1", COMPONENT.kind, COMPONENT.name, "system")
    assert found is not None
    found["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    get, asked = double.get, []
    monkeypatch.setattr(double, "get", lambda *words: found if words[1] == "StatefulSet" else get(*words))
    prepared = ready(double, BRAIN, mesh(components=(replace(COMPONENT, kind="StatefulSet"),)))

    def answer(pod: Json) -> Admission:
        asked.append(pod)
        return Admission("refused", "Policy 'meshdrill-unavailable-system-brain' denied request")

    monkeypatch.setattr(double, "try_pod", answer)
    prepared.inject()
    assert asked[0]["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert asked[0]["metadata"]["labels"] == {"app": "brain"}
