"""A component that is cut off: nothing reaches it, its rules count, and a sweep finds them without knowing the pod."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.model import Role
from clusters.runtime import HarnessError, UsageError
from drills.run import faults
from drills.run.undo import UndoLog, sweep
from drills.selftest.doubles.cluster_double import mesh
from drills.selftest.doubles.cluster_world import NODES
from drills.selftest.doubles.fault_steps import change, ready
from drills.selftest.doubles.node_double import AGENT, NodeCluster
from drills.selftest.doubles.short_timing import SHORT

PARTITION = faults.partition(Role.NODE_AGENT)


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy agent on each node."""
    return NodeCluster(tmp_path)


def test_every_pod_is_cut_off(double: NodeCluster) -> None:
    """One pod that is still reached, or whose rules count nothing, is no receipt."""
    prepared = ready(double, PARTITION)
    prepared.inject()
    assert prepared.receipt().landed
    assert prepared.turns() == [True] * 4
    world = double.load()
    world.cut.pop(world.agents()[0].uid)
    double.save(world)
    assert not prepared.receipt().landed
    assert prepared.turns() == [False, False, True, True]


def test_rules_that_drop_nothing_are_no_receipt(double: NodeCluster) -> None:
    """Rules that are there and past which no packet comes prove nothing."""
    prepared = ready(double, PARTITION)
    prepared.inject()
    receipt = prepared.receipt(1)
    assert not receipt.landed
    assert "0 packets dropped" in receipt.evidence


def test_port_that_refuses_is_no_receipt(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is an answer: the packets came through."""
    prepared = ready(double, PARTITION)
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "000 7 0.000000")
    receipt = prepared.receipt(0)
    assert not receipt.landed


def test_half_of_a_partition_is_swept(double: NodeCluster) -> None:
    """A harness killed between two pods leaves rules in one of them: the sweep finds and removes them."""
    prepared = ready(double, PARTITION)
    UndoLog(double.state).write(prepared.entry)
    prepared.inject()
    world = double.load()
    world.cut.pop(world.agents()[1].uid)
    double.save(world)
    assert sweep(double, timing=replace(SHORT, undo_within_s=1.0)) == ("DaemonSet system/agent reached again",)
    assert double.load().cut == {}


def test_rules_that_stay_keep_the_undo_pending(double: NodeCluster) -> None:
    """Ready replicas are not enough: a cut-off pod is Ready, too."""
    prepared = ready(double, PARTITION)
    prepared.inject()
    assert double.replicas(AGENT) == (2, 2)
    assert "still drop packets on node node-a" in prepared.reverted()
    prepared.revert()
    prepared.revert()
    assert prepared.reverted() == ""


def test_pod_in_its_node_s_network_is_refused(double: NodeCluster) -> None:
    """To cut it off would be to cut off the node."""
    change(double, is_in_node_network=True)
    with pytest.raises(UsageError, match="is in the network of node"):
        ready(double, PARTITION)


def test_component_without_a_port_is_refused(double: NodeCluster) -> None:
    """Without a port that answers, it cannot be seen that it is not reached."""
    with pytest.raises(UsageError, match="needs a port"):
        ready(double, PARTITION, mesh(components=(replace(AGENT, port=0),)))


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
    prepared = ready(double, PARTITION)
    monkeypatch.setattr("drills.selftest.doubles.node_programs.PROGRAMS", {})
    run = double.exec

    def silent(node: str, argv: list[str], **options: object) -> str:
        return "" if argv[0] == "nsenter" else run(node, argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(double, "exec", silent)
    with pytest.raises(HarnessError, match="could not be read"):
        prepared.receipt(1)
    with pytest.raises(HarnessError, match="no default gateway"):
        ready(double, PARTITION)
