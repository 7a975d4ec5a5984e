"""An enforcer restarted while what it asks is unavailable: both are done, both are seen, and one undo is enough."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from clusters import model
from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run import faults
from drills.run.faults.enforcer import RestartedEnforcer
from drills.selftest.doubles.cluster_double import COMPONENT, mesh
from drills.selftest.doubles.cluster_world import Process
from drills.selftest.doubles.fault_steps import Ready, change
from drills.selftest.doubles.fault_steps import ready as on_double
from drills.selftest.doubles.node_double import AGENT, NodeCluster
from drills.selftest.doubles.node_world import PARTS
from drills.selftest.doubles.short_timing import SHORT

FAULT = faults.restart_enforcer_without(Role.CONTROL_PLANE, "ledger")
VICTIM, BYSTANDER = PARTS[model.VICTIM], PARTS[model.BYSTANDER]


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy component, and a healthy agent on each node."""
    return NodeCluster(tmp_path)


def ready(double: NodeCluster, facts: Mesh | None = None) -> Ready:
    """Return the fault, prepared and not injected."""
    return on_double(double, FAULT, facts)


def restarts(double: NodeCluster) -> dict[str, int]:
    """Return node -> how often its agent was started again."""
    return {agent.node: agent.restarts for agent in double.load().agents()}


def test_both_halves_are_done_on_the_named_node_and_seen(double: NodeCluster) -> None:
    """The role is away, the agent of the victim was killed, that of the bystander was not."""
    prepared = ready(double)
    assert not prepared.receipt().landed
    account = prepared.inject()
    assert re.search("refuses the pods of Deployment system/brain; .*; SIGKILL", account)
    assert restarts(double) == {VICTIM: 1, BYSTANDER: 0}
    seen = prepared.receipt()
    assert seen.landed
    assert "exit 137" in seen.evidence
    prepared.revert()
    assert prepared.reverted() == ""


def test_one_half_alone_is_not_the_fault(double: NodeCluster) -> None:
    """A role that is unavailable while no enforcer was killed, or one that came back, has no receipt."""
    prepared = ready(double)
    assert isinstance(prepared.prepared, RestartedEnforcer)
    prepared.prepared.absent.inject(double, SHORT)
    assert not prepared.receipt().landed
    prepared.revert()
    prepared.inject()
    assert prepared.receipt().landed
    prepared.revert()
    assert not prepared.receipt().landed


def test_the_role_is_kept_away_all_along_the_hold(double: NodeCluster) -> None:
    """What lasts is the absence: it is looked at again and again."""
    prepared = ready(double)
    prepared.inject()
    assert prepared.turns() == [True] * 4
    prepared.revert()
    assert False in prepared.turns()


def test_enforcer_is_not_killed_while_the_role_is_there(double: NodeCluster) -> None:
    """An enforcer that could still ask would prove nothing: the fault fails before the kill."""
    prepared = ready(double)
    change(double, survives=True)
    with pytest.raises(HarnessError, match="system/brain gone: not within"):
        prepared.inject()
    assert restarts(double) == {VICTIM: 0, BYSTANDER: 0}


def test_a_proxy_in_the_pod_is_the_enforcer_where_there_is_one(double: NodeCluster) -> None:
    """The proxy of the app's pod on the victim is killed: not the app, not a proxy elsewhere, not the agent."""
    world = double.load()
    pods = [("ledger-6d5-abcde", VICTIM), ("ledger-6d5-fghij", BYSTANDER), ("payment-6d5-klmno", VICTIM)]
    for number, (pod, node) in enumerate(pods, start=1):
        uid = f"{number:08x}-0000-4000-8000-00000000000c"
        programs = (f"/usr/bin/proxy --of {pod}", "python3 app")
        world.processes += [
            Process(number * 10 + at, node, words, pod, "lab", uid, "10.0.2.1") for at, words in enumerate(programs)
        ]
    double.save(world)
    prepared = ready(double, mesh(components=(COMPONENT, AGENT), pod_proxy="/usr/bin/proxy"))
    prepared.inject()
    killed = [it.pid for it in double.load().processes if it.restarts]
    assert len(killed) == 1
    assert set(restarts(double).values()) == {0}
    assert next(it.pod for it in double.load().processes if it.restarts) == "ledger-6d5-abcde"


def test_a_proxy_that_is_a_native_sidecar_is_seen_to_end(double: NodeCluster) -> None:
    """The API lists native sidecars among the init containers: the kill of one is seen there, too."""
    world = double.load()
    uid = "00000001-0000-4000-8000-00000000000c"
    world.processes.append(Process(7, VICTIM, "/usr/bin/proxy", "ledger-6d5-abcde", "lab", uid, "10.0.2.1"))
    pod = {"metadata": {"name": "ledger-6d5-abcde", "uid": uid, "namespace": "lab"}, "status": {}}
    world.pods = [{**pod, "status": {"initContainerStatuses": [{"name": "proxy", "restartCount": 0}]}}]
    double.save(world)
    prepared = ready(double, mesh(components=(COMPONENT, AGENT), pod_proxy="/usr/bin/proxy"))
    prepared.inject()
    assert not prepared.receipt().landed
    ended = {"terminated": {"exitCode": 137, "containerID": "containerd://7"}}
    world = double.load()
    world.pods = [
        {**pod, "status": {"initContainerStatuses": [{"name": "proxy", "restartCount": 1, "lastState": ended}]}}
    ]
    double.save(world)
    assert prepared.receipt().landed


def test_a_mesh_without_an_enforcer_is_refused(double: NodeCluster) -> None:
    """A mesh that names neither is refused by name, before anything is done."""
    with pytest.raises(UsageError, match="the double names neither a proxy in each pod nor a node agent"):
        ready(double, mesh(components=(replace(COMPONENT),)))
