"""Faults of nodes, of the API server and of the network: seen by someone else than their actor, and undone in full."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters import model, network
from clusters.runtime import HarnessError, UsageError
from drills.run import faults
from drills.run.undo import UndoLog, sweep
from drills.selftest.doubles.fault_steps import change, ready
from drills.selftest.doubles.node_double import NodeCluster
from drills.selftest.doubles.node_world import PARTS
from drills.selftest.doubles.short_timing import SHORT

VICTIM, BYSTANDER = PARTS[model.VICTIM], PARTS[model.BYSTANDER]


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy agent on each node."""
    return NodeCluster(tmp_path)


def test_api_server_that_is_only_silent_is_no_receipt(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost packet, or a port that refuses while the process lives on, does not prove that it is gone."""
    prepared = ready(double, faults.stop_api_server())
    prepared.inject()
    run = double.exec

    def silent(node: str, argv: list[str], **options: object) -> str:
        return "000 28 0.000000" if argv[0] == "curl" else run(node, argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(double, "exec", silent)
    assert not prepared.receipt().landed
    assert prepared.turns() == [False, True, False, True]
    monkeypatch.setattr(double, "exec", run)
    world = double.load()
    world.is_api_dead = False
    double.save(world)
    assert prepared.turns() == [False] * 4


def test_node_is_rebooted_only_once_the_api_is_gone(double: NodeCluster) -> None:
    """A kubelet that could still ask would prove nothing: without the API's absence no power is cut."""
    prepared = ready(double, faults.reboot_without_api())
    change(double, survives=True)
    with pytest.raises(HarnessError, match="The API server gone: not within"):
        prepared.inject()
    assert set(double.load().boots.values()) == {1}


def test_api_that_comes_back_ends_the_receipt_of_a_reboot_without_it(double: NodeCluster) -> None:
    """What must last is the absence of the API; the reboot is an instant, and stays seen."""
    prepared = ready(double, faults.reboot_without_api())
    prepared.inject()
    assert prepared.receipt().landed
    assert prepared.turns() == [True] * 4
    world = double.load()
    world.is_api_dead = False
    double.save(world)
    assert not prepared.receipt().landed


def test_undo_gives_the_api_back_before_the_node(double: NodeCluster) -> None:
    """What the node lacks is unknown until the API answers; the undo is among the first of a sweep."""
    prepared = ready(double, faults.reboot_without_api())
    prepared.inject()
    assert prepared.entry.comes_first
    assert "does not report ready" in prepared.reverted()
    UndoLog(double.state).write(prepared.entry)
    assert len(sweep(double)) == 1
    assert prepared.reverted() == ""


def test_node_that_is_cut_from_the_api_is_seen_from_itself_and_by_its_rule(double: NodeCluster) -> None:
    """Without the rule, or with one that dropped nothing yet, there is no receipt; other nodes have no rule."""
    prepared = ready(double, faults.block_api())
    prepared.inject()
    assert prepared.turns() == [True] * 4
    assert set(double.load().api_cut) == {VICTIM}
    change(double, api_cut={})
    assert prepared.turns() == [False] * 4


def test_cut_needs_an_api_that_is_reached_from_another_node(double: NodeCluster) -> None:
    """The API's own node cannot be cut from it, and a node that is cut already proves nothing."""
    with pytest.raises(HarnessError, match="runs the API server itself"):
        ready(double, faults.block_api(model.BYSTANDER))
    change(double, api_cut={VICTIM: 3})
    with pytest.raises(HarnessError, match="expected a connection"):
        ready(double, faults.block_api())


def test_rules_that_cannot_be_looked_at_are_no_absence(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that answers nothing proves neither the rule nor that it is gone."""
    prepared = ready(double, faults.block_api())
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "")
    with pytest.raises(HarnessError, match="could not be read"):
        prepared.reverted()


def test_process_table_that_cannot_be_read_is_no_absence(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that answers nothing does not prove that the API server is gone."""
    prepared = ready(double, faults.stop_api_server())
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "")
    with pytest.raises(HarnessError, match="instead of a table"):
        prepared.receipt(1)


def test_api_server_is_brought_back_without_the_api(double: NodeCluster) -> None:
    """The undo acts through the node alone, twice as well as once, and is verified when the API answers us."""
    prepared = ready(double, faults.stop_api_server())
    prepared.inject()
    assert "does not report ready" in prepared.reverted()
    prepared.revert()
    prepared.revert()
    assert prepared.reverted() == ""


@pytest.mark.parametrize("count", [0, 2])
def test_stopping_one_of_several_api_servers_is_refused(
    double: NodeCluster, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Where another server would go on answering, the API would not be gone."""
    monkeypatch.setattr(double, "find", lambda *_args, **_options: [{}] * count)
    with pytest.raises(HarnessError, match="exactly one control-plane node"):
        ready(double, faults.stop_api_server())


def test_api_server_needs_a_watcher_elsewhere(double: NodeCluster) -> None:
    """On a cluster of one node there is no other node that could see the port refuse."""
    double.nodes = (BYSTANDER,)  # type: ignore[assignment]  # a cluster of one node
    with pytest.raises(HarnessError, match="a second node besides"):
        ready(double, faults.stop_api_server())


def test_node_that_stayed_down_is_started_by_a_sweep(double: NodeCluster) -> None:
    """Killed between the cut and the start, the harness leaves a node that is off: the sweep starts it."""
    cluster = double
    UndoLog(double.state).write(ready(double, faults.reboot()).entry)
    double.power_off(VICTIM)
    assert sweep(cluster, timing=replace(SHORT, undo_within_s=1.0)) == ("node node-b up and Ready",)
    assert double.load().off == []


def test_undo_of_a_reboot_lays_the_lost_routes_again(double: NodeCluster) -> None:
    """A restarted node has no routes to the other nodes' pods, and is not back before it has."""
    routes = double.load().routes
    prepared = ready(double, faults.reboot())
    prepared.inject()
    assert "has no route 10.244.0.0/24 via 172.18.0.2" in prepared.reverted()
    prepared.revert()
    assert prepared.reverted() == ""
    assert double.load().routes == routes


def test_network_of_a_mesh_is_left_to_the_mesh(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network of the harness there is no route to miss."""
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "")
    assert network.missing_routes(double) == ""


def test_word_of_the_kubelet_of_before_does_not_count(double: NodeCluster) -> None:
    """The API goes on saying Ready after the node died: only a report that is younger than the boot verifies."""
    prepared = ready(double, faults.reboot())
    prepared.inject()
    change(double, mute=[VICTIM])
    with pytest.raises(HarnessError, match="has not reported since"):
        prepared.revert()
    assert "has not reported since" in prepared.reverted()


def test_node_that_is_not_ready_says_why(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet's own message is what a person needs; such a node is not rebooted either."""
    seen = double.get("v1", "Node", VICTIM)
    assert seen is not None
    stated = {"type": "Ready", "status": "False", "message": "no network", "lastHeartbeatTime": "2030-01-01T00:00:00Z"}
    monkeypatch.setattr(double, "get", lambda *_args: {"status": {"conditions": [stated]}})
    with pytest.raises(HarnessError, match="needs a healthy node: node node-b is not Ready: no network"):
        ready(double, faults.reboot())


def test_control_plane_is_never_rebooted(double: NodeCluster) -> None:
    """With its node the API would go, and with that most of what is asked."""
    with pytest.raises(UsageError, match="runs the control plane"):
        ready(double, faults.reboot(model.BYSTANDER))


@pytest.mark.parametrize("said", ["", "1 (init) S 0"])
def test_unreadable_state_of_a_process_is_no_receipt(
    double: NodeCluster, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """A node that answers something else than its first process's state proves no reboot."""
    prepared = ready(double, faults.reboot())
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: said)
    with pytest.raises(HarnessError, match="expected the state of a process"):
        prepared.receipt()
    with pytest.raises(HarnessError, match="expected its clock"):
        prepared.reverted()
