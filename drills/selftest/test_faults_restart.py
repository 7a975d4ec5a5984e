"""A part that is restarted while the one it asks is away: both are done, both are seen, and one undo is enough."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run import faults, placement
from drills.run.faults.injury import Injury
from drills.run.faults.prepare import prepare
from drills.selftest.cluster_double import COMPONENT, mesh
from drills.selftest.cluster_world import Process
from drills.selftest.hurting import change
from drills.selftest.node_double import AGENT, NodeCluster
from drills.selftest.node_world import PARTS

FAULT = faults.restart_without(Role.CONTROL_PLANE, "ledger")
VICTIM, BYSTANDER = PARTS[placement.VICTIM], PARTS[placement.BYSTANDER]


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy component, and a healthy agent on each node."""
    return NodeCluster(tmp_path)


def ready(double: NodeCluster, facts: Mesh | None = None) -> Injury:
    """Return the fault, prepared and not done."""
    return prepare(double, FAULT, COMPONENT, facts or mesh(components=(COMPONENT, AGENT)))


def restarts(double: NodeCluster) -> dict[str, int]:
    """Return node -> how often its agent was started again."""
    return {agent.node: agent.restarts for agent in double.load().agents()}


def test_both_halves_are_done_on_the_named_node_and_seen(double: NodeCluster) -> None:
    """The role is away, the agent of the victim was killed, that of the bystander was not."""
    injury = ready(double)
    assert not injury.observe().landed
    account = injury.inject()
    assert "scaled from 1 to 0; SIGKILL" in account
    assert restarts(double) == {VICTIM: 1, BYSTANDER: 0}
    seen = injury.observe()
    assert seen.landed
    assert "exit 137" in seen.evidence
    assert injury.undo("r1").action == "scale"


def test_one_half_alone_is_not_the_fault(double: NodeCluster) -> None:
    """A role that is away while nobody was killed, or one that came back, has no receipt."""
    injury = ready(double)
    double.scale(COMPONENT, 0)
    assert not injury.observe().landed
    double.scale(COMPONENT, 1)
    injury.inject()
    double.scale(COMPONENT, 1)
    assert not injury.observe().landed


def test_the_role_is_kept_away_all_along_the_hold(double: NodeCluster) -> None:
    """What lasts is the absence: it is looked at again and again."""
    injury = ready(double)
    injury.inject()
    assert all(seen.landed for seen in map(injury.glance, range(4)) if seen)
    double.scale(COMPONENT, 1)
    assert not all(seen.landed for seen in map(injury.glance, range(4)) if seen)


def test_nobody_is_killed_while_the_role_is_still_there(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An enforcer that could still ask would prove nothing: the fault fails before the kill."""
    monkeypatch.setattr("drills.run.faults.injuries._GONE_S", 0.1)
    injury = ready(double)
    change(double, survives=True)
    with pytest.raises(HarnessError, match="system/brain gone: not within"):
        injury.inject()
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
    injury = ready(double, mesh(components=(COMPONENT, AGENT), pod_proxy="/usr/bin/proxy"))
    injury.inject()
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
    injury = ready(double, mesh(components=(COMPONENT, AGENT), pod_proxy="/usr/bin/proxy"))
    injury.inject()
    assert not injury.observe().landed
    ended = {"terminated": {"exitCode": 137, "containerID": "containerd://7"}}
    world = double.load()
    world.pods = [
        {**pod, "status": {"initContainerStatuses": [{"name": "proxy", "restartCount": 1, "lastState": ended}]}}
    ]
    double.save(world)
    assert injury.observe().landed


def test_a_mesh_without_an_enforcer_is_refused(double: NodeCluster) -> None:
    """A mesh that names neither is told by name, before anything is done."""
    with pytest.raises(UsageError, match="the double names neither a proxy in each pod nor a node agent"):
        ready(double, mesh(components=(replace(COMPONENT),)))
