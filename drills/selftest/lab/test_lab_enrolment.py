"""The lab is deployed once the API server reaches the mesh's webhook, not once its objects exist."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters import lab
from clusters.kube import Admission
from clusters.model import Mesh
from clusters.runtime import HarnessError
from drills.selftest.doubles.cluster_double import COMPONENT
from drills.selftest.doubles.injection_double import InjectedCluster, injected_mesh


def picky() -> Mesh:
    """Return a mesh whose pods show that they are in it by a container."""
    mesh = injected_mesh()
    return replace(
        mesh, membership=replace(mesh.membership, proves=lambda pod, _: "initContainers" in str(pod["spec"]))
    )


def test_a_webhook_that_answers_is_enough(tmp_path: Path) -> None:
    """A dry-run pod comes back in the mesh."""
    lab.wait_enrolled(InjectedCluster(tmp_path), picky(), within_s=1)


def test_pods_let_in_outside_the_mesh_are_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With failurePolicy Ignore, a pod admitted unchanged means that the webhook is not reached yet."""
    double = InjectedCluster(tmp_path, policy="Ignore")
    answers = [Admission("accepted", object=lab.tried_pod()), Admission("refused", "not yet")]
    later = double.try_pod
    monkeypatch.setattr(double, "try_pod", lambda pod: answers.pop(0) if answers else later(pod))
    lab.wait_enrolled(double, picky(), within_s=10)
    assert not answers


def test_a_webhook_that_is_never_reached_is_named(tmp_path: Path) -> None:
    """The harness says what it waited for, and where to look."""
    double = InjectedCluster(tmp_path, policy="Ignore")
    double.scale(COMPONENT, 0)
    with pytest.raises(HarnessError, match="put into the mesh by its webhook: not within"):
        lab.wait_enrolled(double, picky(), within_s=0.1)


def test_an_api_server_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    """An API server that does not answer is an error, not a pod outside the mesh."""
    double = InjectedCluster(tmp_path)
    world = double.load()
    world.is_api_dead = True
    double.save(world)
    with pytest.raises(HarnessError, match="could not be asked about a new pod"):
        lab.wait_enrolled(double, picky(), within_s=1)
