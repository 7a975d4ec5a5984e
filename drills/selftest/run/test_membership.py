"""Membership is recorded as the API shows it, and as unknown where the API shows nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from clusters.lab import LAB, members
from clusters.model import Enrolment, Membership
from drills.judge.events import ComponentPod, MembershipSeen, PodListed
from drills.judge.records import NS_PER_S
from drills.run import inventory
from drills.run.context import Context
from drills.run.membership import note_components, note_membership, note_pods
from drills.run.recorder import Recorder
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import healthy


def noted(
    double: FileCluster, recorder: Recorder, pods: inventory.Inventory
) -> dict[str, tuple[bool | None, bool | None]]:
    """Write the membership down and return, per pod, what was expected and what was seen."""
    context = SimpleNamespace(cluster=double, recorder=recorder, mesh=mesh())
    note_membership(cast("Context", context), pods)
    return {
        event.subject: (event.detail.expected, event.detail.meshed)
        for event in recorder.events()
        if isinstance(event, MembershipSeen)
    }


def test_membership_is_noted_of_every_service(tmp_path: Path) -> None:
    """Pods of the lab belong in the mesh, the outsider does not; observers are no part of the question."""
    double = healthy(tmp_path)
    seen = noted(double, Recorder(), inventory.take(double))
    assert seen["payment-1"] == (True, True)
    assert seen["outsider-1"] == (False, True)
    assert "observer-node-a" not in seen


def test_what_policies_know_a_pod_by_is_noted(tmp_path: Path) -> None:
    """Service, namespace, account, node, address and labels of every service, for later readers of policies."""
    double = healthy(tmp_path)
    recorder, world = Recorder(), double.load()
    payment = next(pod for pod in world.pods if cast("dict[str, str]", pod["metadata"])["name"] == "payment-1")
    cast("dict[str, object]", payment["metadata"])["labels"] = {"version": "v1", "app": "payment"}
    cast("dict[str, object]", payment["spec"])["serviceAccountName"] = "teller"
    double.save(world)
    note_pods(cast("Context", SimpleNamespace(recorder=recorder)), inventory.take(double))
    noted_pods = {event.subject: event.detail for event in recorder.events() if isinstance(event, PodListed)}
    assert "outsider-1" in noted_pods
    assert noted_pods["payment-1"] == PodListed.Detail(
        service="payment",
        namespace="lab",
        service_account="teller",
        node=inventory.take(double).of("payment")[0].node,
        address="10.0.1.1",
        labels=("app=payment", "version=v1"),
    )


def test_a_pod_that_is_gone_is_not_found_out(tmp_path: Path) -> None:
    """A pod that the API no longer shows has unknown membership."""
    double = healthy(tmp_path)
    pods = inventory.take(double)
    world = double.load()
    world.pods = world.pods[1:]
    double.save(world)
    assert noted(double, Recorder(), pods)["frontend-1"] == (True, None)


def test_an_api_that_is_down_is_not_found_out(tmp_path: Path) -> None:
    """An API that cannot be asked leaves every membership open and ends nothing."""
    double = healthy(tmp_path)
    pods = inventory.take(double)
    world = double.load()
    world.is_api_dead = True
    double.save(world)
    assert set(noted(double, Recorder(), pods).values()) == {(True, None), (False, None)}


def test_a_pod_that_waits_for_its_enrolment_is_neither_in_nor_outside(tmp_path: Path) -> None:
    """If pods are enrolled as they start, one that is not ready has unknown membership; else admission decides."""
    double = healthy(tmp_path)
    world = double.load()
    waiting = next(pod for pod in world.pods if cast("dict[str, str]", pod["metadata"])["name"] == "payment-1")
    waiting["status"] = {"conditions": [{"type": "Ready", "status": "False"}]}
    double.save(world)
    shown = {
        how: members(double, mesh(membership=Membership(lambda *_: False, enrolment=how)), LAB) for how in Enrolment
    }
    assert shown[Enrolment.START]["payment-1"] is None
    assert shown[Enrolment.START]["frontend-1"] is False
    assert shown[Enrolment.ADMISSION]["payment-1"] is False


def test_the_pods_of_the_mesh_are_noted_with_their_age() -> None:
    """Role, node, start and restarts of each pod that a drill can break; of one that has not started, no start."""
    recorder = Recorder()
    pods: list[dict[str, object]] = [
        {
            "metadata": {"name": "brain-1"},
            "spec": {"nodeName": "node-a"},
            "status": {
                "startTime": "1970-01-01T00:01:00Z",
                "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}],
            },
        },
        {"metadata": {"name": "brain-2"}, "spec": {}, "status": {}},
    ]
    asked: list[tuple[str, str]] = []

    def listed(namespace: str, selector: str) -> list[dict[str, object]]:
        asked.append((namespace, selector))
        return pods

    one = next(iter(mesh().components))
    context = SimpleNamespace(
        mesh=SimpleNamespace(components=(one,)),
        cluster=SimpleNamespace(kube=SimpleNamespace(pods=listed)),
        recorder=recorder,
    )
    note_components(cast("Context", context))
    assert asked == [(one.namespace, one.selector)]
    found = {event.subject: event.detail for event in recorder.events() if isinstance(event, ComponentPod)}
    assert found == {
        "brain-1": ComponentPod.Detail(role=one.role.value, node="node-a", started_ns=60 * NS_PER_S, restarts=3),
        "brain-2": ComponentPod.Detail(role=one.role.value, node="", started_ns=None, restarts=0),
    }
