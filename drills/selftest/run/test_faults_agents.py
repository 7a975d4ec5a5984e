"""Faults of node agents: they hit what they name, nothing else, and an independent observer sees both."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from clusters import model
from clusters.cluster import PLACED, find_node
from clusters.kube import Json
from clusters.model import Role
from clusters.runtime import HarnessError, UsageError
from drills.run import faults
from drills.run.active_fault import ActiveFault
from drills.run.context import Context
from drills.run.faults import Fault
from drills.run.phase import CurrentPhase
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.undo import UndoLog
from drills.selftest.doubles.cluster_double import COMPONENT, mesh
from drills.selftest.doubles.cluster_world import NODES
from drills.selftest.doubles.fault_steps import change, ready
from drills.selftest.doubles.node_double import AGENT, FAULTS, NodeCluster
from drills.selftest.doubles.node_world import PARTS
from drills.selftest.doubles.short_timing import SHORT

VICTIM, BYSTANDER = PARTS[model.VICTIM], PARTS[model.BYSTANDER]
KEEP_OFF = faults.keep_off_node(Role.NODE_AGENT)
ROLLING = faults.rolling_restart(Role.NODE_AGENT)


@pytest.fixture
def double(tmp_path: Path) -> NodeCluster:
    """Return a healthy agent on each node."""
    return NodeCluster(tmp_path)


def pids(double: NodeCluster) -> dict[str, int]:
    """Return node -> process id of its agent."""
    return {agent.node: agent.pid for agent in double.load().agents()}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_receipt_comes_after_the_fault_and_never_before(double: NodeCluster, fault: Fault) -> None:
    """Every fault has a receipt that is false while all is well and true once it is done."""
    prepared = ready(double, fault)
    assert not prepared.receipt().landed
    prepared.inject()
    assert prepared.receipt().landed
    assert all(prepared.turns())


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_fault_without_effect_has_no_receipt(double: NodeCluster, fault: Fault) -> None:
    """A victim that outlives the fault gives no receipt, whatever the actor believes it did."""
    prepared = ready(double, fault)
    change(double, survives=True)
    with suppress(HarnessError):  # a fault of two steps does not even try the second
        prepared.inject()
    assert not prepared.receipt().landed


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_life_of_a_fault_leaves_all_as_it_was(double: NodeCluster, fault: Fault) -> None:
    """After inject and undo the log is empty, and as many agents are ready as before."""
    log = UndoLog(double.state)
    facts, tail = mesh(components=(COMPONENT, AGENT)), Tail(double.share, "r1")
    context = Context("r1", double, facts, Recorder(), log, CurrentPhase(), tail, timing=SHORT)
    active = ActiveFault(context, fault)
    active.inject()
    assert len(log.pending()) == 1
    active.undo()
    assert log.pending() == ()
    assert double.replicas(AGENT) == (2, 2)
    kinds = [event.kind for event in context.recorder.events()]
    assert kinds[-2:] == ["fault.undo_applied", "fault.undo_verified"]


def test_keeping_off_touches_one_node_only(double: NodeCluster) -> None:
    """The agent leaves its node for the hold; on the other node one and the same process runs from first to last."""
    before = pids(double)
    prepared = ready(double, KEEP_OFF)
    prepared.inject()
    assert pids(double) == {BYSTANDER: before[BYSTANDER]}
    prepared.revert()
    assert prepared.reverted() == ""
    assert pids(double)[BYSTANDER] == before[BYSTANDER]
    assert set(pids(double)) == {VICTIM, BYSTANDER}


def test_keeping_off_leaves_the_desired_count(double: NodeCluster) -> None:
    """Kubernetes wants the agent on each node and counts one less ready: the alert of a real loss may fire."""
    prepared = ready(double, KEEP_OFF)
    prepared.inject()
    assert double.replicas(AGENT) == (2, 1)
    assert "wants 2 and counts 1 ready; wanted before: 2" in prepared.receipt().evidence
    policy: Json = double.load().objects["ValidatingAdmissionPolicy/None/meshdrill-unavailable-system-agent"]
    assert f"'{VICTIM}'" in policy["spec"]["validations"][0]["expression"]
    prepared.revert()
    assert (double.replicas(AGENT), double.load().objects) == ((2, 2), {})


def test_keeping_off_is_no_receipt_when_the_agent_is_wanted_no_more(double: NodeCluster) -> None:
    """A lowered desired count hides the loss from every alert on missing pods: that is another fault."""
    prepared = ready(double, KEEP_OFF)
    prepared.inject()
    world = double.load()
    world.daemon["spec"]["template"]["spec"]["nodeSelector"] = {f"{PLACED}={model.BYSTANDER}": ""}
    double.save(world)
    assert not prepared.receipt().landed
    assert False in prepared.turns()


def test_keeping_off_is_no_receipt_when_an_agent_elsewhere_restarts(double: NodeCluster) -> None:
    """A new process on the other node loses the receipt: what is measured then is not the loss of one agent."""
    prepared = ready(double, KEEP_OFF)
    prepared.inject()
    world = double.load()
    world.agents()[0].pid = 999
    double.save(world)
    assert not prepared.receipt().landed
    assert sorted(set(prepared.turns())) == [False, True]


def test_return_of_the_agent_is_seen_in_one_round_of_looks(double: NodeCluster) -> None:
    """An agent that comes back before its time loses the receipt."""
    prepared = ready(double, KEEP_OFF)
    prepared.inject()
    world = double.load()
    world.start_agent(VICTIM)
    double.save(world)
    assert False in prepared.turns()


def test_undo_of_keeping_off_waits_for_the_pods(double: NodeCluster) -> None:
    """An agent that is back and not ready verifies nothing."""
    prepared = ready(double, KEEP_OFF)
    world = double.load()
    world.agents()[0].state = "D"
    double.save(world)
    assert "has 1 of 2 replicas ready" in prepared.reverted()


def test_keeping_off_needs_a_daemon_set(double: NodeCluster) -> None:
    """A Deployment has no pod that belongs to one node."""
    with pytest.raises(UsageError, match="not a DaemonSet"):
        ready(double, KEEP_OFF, mesh(components=(replace(COMPONENT, role=Role.NODE_AGENT),)))


@pytest.mark.parametrize("part", PARTS)
def test_keeping_off_needs_an_agent_to_compare_with(double: NodeCluster, part: str) -> None:
    """Without the agent on the node, or without another one elsewhere, there is nothing to compare."""
    world = double.load()
    world.processes = [it for it in world.processes if it.node != PARTS[part]]
    world.stays_dead = True
    world.daemon["spec"]["template"]["spec"]["nodeSelector"] = {
        f"{PLACED}={next(it for it in PARTS if it != part)}": ""
    }
    double.save(world)
    with pytest.raises(HarnessError, match="and on another one"):
        ready(double, KEEP_OFF)


def test_rolling_restart_is_over_when_the_last_old_process_is_gone(double: NodeCluster) -> None:
    """It lands with the first process that goes; the hold may end, and its receipts do, with the last."""
    prepared = ready(double, ROLLING)
    change(double, is_stuck=True)
    prepared.inject()
    receipt = prepared.receipt()
    assert receipt.landed
    assert "old processes: 1 of 2" in receipt.evidence
    assert not prepared.prepared.is_over()
    world = double.load()
    world.is_stuck = False
    world.reconcile()
    double.save(world)
    assert prepared.receipt(0).landed
    assert prepared.prepared.is_over()


def test_rolling_restart_that_stops_half_way_is_never_verified(double: NodeCluster) -> None:
    """Every agent is ready, and one of them is an old one: the undo goes on waiting."""
    prepared = ready(double, ROLLING)
    change(double, is_stuck=True)
    prepared.inject()
    assert double.replicas(AGENT) == (2, 2)
    assert "1 of 2 old pods of DaemonSet system/agent still run" in prepared.reverted()
    world = double.load()
    world.daemon["spec"]["template"]["metadata"] = {}  # someone takes the restart back
    double.save(world)
    assert "still run" in prepared.reverted()


def test_rolling_restart_that_was_never_asked_for_needs_no_undo(double: NodeCluster) -> None:
    """A harness killed before it asked leaves an entry that a healthy agent satisfies."""
    prepared = ready(double, ROLLING)
    assert prepared.reverted() == ""


def test_rolling_restart_needs_a_controller_that_replaces_pods(double: NodeCluster) -> None:
    """Under OnDelete a changed template replaces nothing, which is refused before anything is done."""
    world = double.load()
    world.daemon["spec"]["updateStrategy"] = {"type": "OnDelete"}
    double.save(world)
    with pytest.raises(UsageError, match="OnDelete"):
        ready(double, ROLLING)


def test_node_is_found_by_its_part(double: NodeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly one node plays each part; none, two, or an unknown one is refused."""
    cluster = double
    assert (find_node(cluster, model.VICTIM), find_node(cluster, model.BYSTANDER)) == (VICTIM, BYSTANDER)
    for names in ((), NODES, ("stranger",)):
        monkeypatch.setattr(double, "find", lambda *_a, names=names, **_o: [{"metadata": {"name": n}} for n in names])
        with pytest.raises(HarnessError, match="expected exactly one"):
            find_node(cluster, model.VICTIM)


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        (faults.scale_to_zero(Role.CONTROL_PLANE), "scale-to-zero control-plane"),
        (KEEP_OFF, "keep-off-node node-agent on victim"),
        (ROLLING, "rolling-restart node-agent"),
        (faults.stop_api_server(), "stop-api-server"),
        (faults.reboot(), "reboot victim"),
        (faults.partition(Role.IDENTITY), "partition identity"),
    ],
)
def test_fault_is_called_by_what_it_breaks(fault: Fault, title: str) -> None:
    """Kind, role and node, as far as the fault has them."""
    assert fault.title == title
