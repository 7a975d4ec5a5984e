"""A component that is cut off: nobody reaches it, its rules count, and a sweep finds them without knowing the pod."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.model import Role
from clusters.runtime import HarnessError, UsageError
from drills.run import faults, mending
from drills.run.faults.prepare import prepare
from drills.run.undo import UndoLog, sweep
from drills.selftest.cluster_double import mesh
from drills.selftest.cluster_world import NODES
from drills.selftest.hurting import change, glances, ready
from drills.selftest.node_double import AGENT, NodeCluster

PARTITION = faults.partition(Role.NODE_AGENT)


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy agent on each node."""
    return NodeCluster(tmp_path)


def test_every_pod_is_cut_off(double: NodeCluster) -> None:
    """One pod that is still reached, or whose rules count nothing, is no receipt."""
    injury = ready(double, PARTITION)
    injury.inject()
    assert injury.observe().landed
    assert glances(injury) == [True] * 4
    world = double.load()
    world.cut.pop(world.agents()[0].uid)
    double.save(world)
    assert not injury.observe().landed
    assert glances(injury) == [False, False, True, True]


def test_rules_that_drop_nothing_are_no_receipt(double: NodeCluster) -> None:
    """Rules that are there and past which no packet comes prove nothing."""
    injury = ready(double, PARTITION)
    injury.inject()
    receipt = injury.glance(1)
    assert receipt is not None
    assert not receipt.landed
    assert "0 packets dropped" in receipt.evidence


def test_port_that_refuses_is_no_receipt(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is an answer: the packets came through."""
    injury = ready(double, PARTITION)
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "000 7 0.000000")
    receipt = injury.glance(0)
    assert receipt is not None
    assert not receipt.landed


def test_half_of_a_partition_is_swept(double: NodeCluster) -> None:
    """A harness killed between two pods leaves rules in one of them: the sweep finds and removes them."""
    injury = ready(double, PARTITION)
    UndoLog(double.state).write(injury.undo("r1"))
    injury.inject()
    world = double.load()
    world.cut.pop(world.agents()[1].uid)
    double.save(world)
    assert sweep(double, within_s=1.0) == ("DaemonSet system/agent reached again",)
    assert double.load().cut == {}


def test_rules_that_stay_keep_the_undo_pending(double: NodeCluster) -> None:
    """Ready replicas are not enough: a cut-off pod is Ready, too."""
    injury = ready(double, PARTITION)
    injury.inject()
    assert double.replicas(AGENT) == (2, 2)
    undo = injury.undo("r1")
    assert "still drop packets on node node-a" in mending.missing(double, undo)
    mending.act(double, undo)
    mending.act(double, undo)
    assert mending.missing(double, undo) == ""


def test_pod_in_its_node_s_network_is_refused(double: NodeCluster) -> None:
    """To cut it off would be to cut off the node."""
    change(double, is_in_node_network=True)
    with pytest.raises(UsageError, match="is in the network of node"):
        ready(double, PARTITION)


def test_component_without_a_port_is_refused(double: NodeCluster) -> None:
    """Without a port that answers nobody could see that it is not reached."""
    with pytest.raises(UsageError, match="needs a port"):
        prepare(double, PARTITION, replace(AGENT, port=0), mesh())


def test_component_that_does_not_answer_beforehand_is_refused(double: NodeCluster) -> None:
    """Silence before the fault would look like its receipt."""
    world = double.load()
    world.cut = {agent.uid: 0 for agent in world.agents()}
    double.save(world)
    with pytest.raises(HarnessError, match="before the fault"):
        ready(double, PARTITION)


def test_partition_needs_a_second_node(double: NodeCluster) -> None:
    """From its own node a pod is reached by way of its gateway."""
    double.nodes = NODES[:1]  # type: ignore[assignment]  # a cluster of one node
    with pytest.raises(HarnessError, match="a second node"):
        ready(double, PARTITION)


def test_network_that_cannot_be_looked_at_is_no_receipt(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer about the rules is no word that there are none; without a gateway nothing is cut."""
    injury = ready(double, PARTITION)
    monkeypatch.setattr("drills.selftest.node_programs.PROGRAMS", {})
    run = double.exec

    def silent(node: str, argv: list[str], **options: object) -> str:
        return "" if argv[0] == "nsenter" else run(node, argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(double, "exec", silent)
    with pytest.raises(HarnessError, match="could not be looked at"):
        injury.glance(1)
    with pytest.raises(HarnessError, match="no default gateway"):
        ready(double, PARTITION)
