"""Faults: each kind lands, is seen by an observer other than its actor, and can be undone."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.model import Role
from clusters.runtime import HarnessError, UsageError
from drills.judge.events import FaultReceipt
from drills.run import faults
from drills.run.active_fault import ActiveFault
from drills.run.context import Context
from drills.run.faults import Fault, process_table
from drills.run.faults.tcp import ask
from drills.run.phase import CurrentPhase
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.undo import UndoLog
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.cluster_world import NODES, Process
from drills.selftest.doubles.fault_steps import change, ready
from drills.selftest.doubles.short_timing import SHORT

ROLE = Role.CONTROL_PLANE
KINDS = [faults.scale_to_zero(ROLE), faults.make_unavailable(ROLE), faults.kill(ROLE), faults.pause(ROLE)]


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component."""
    return FileCluster(tmp_path)


def context_of(double: FileCluster) -> Context:
    """Return the context of run r1."""
    return Context(
        "r1",
        double,
        mesh(),
        Recorder(),
        UndoLog(double.state),
        CurrentPhase(),
        Tail(double.share, "r1"),
        timing=SHORT,
    )


@pytest.mark.parametrize("fault", KINDS, ids=lambda fault: fault.kind)
def test_receipt_comes_after_the_fault_and_never_before(double: FileCluster, fault: Fault) -> None:
    """Every kind of fault has a receipt that is false on the healthy component and true once the fault is injected."""
    prepared = ready(double, fault)
    assert not prepared.receipt().landed
    prepared.inject()
    assert prepared.receipt().landed


@pytest.mark.parametrize("fault", KINDS, ids=lambda fault: fault.kind)
def test_fault_without_effect_has_no_receipt(double: FileCluster, fault: Fault) -> None:
    """A component that outlives the fault gets no receipt, whatever the actor believes it did."""
    prepared = ready(double, fault)
    change(double, survives=True)
    prepared.inject()
    assert not prepared.receipt().landed


@pytest.mark.parametrize("fault", KINDS, ids=lambda fault: fault.kind)
def test_life_of_a_fault_is_in_the_events(double: FileCluster, fault: Fault) -> None:
    """From the undo on disk to the undo verified each step is one event, in that order, and the log ends empty."""
    context = context_of(double)
    active = ActiveFault(context, fault)
    active.inject()
    assert len(context.undo_log.pending()) == 1
    active.undo()
    kinds = [event.kind for event in context.recorder.events()]
    assert kinds == [
        *("fault.undo_written", "phase", "fault.injected", "fault.account", "fault.receipt"),
        *("fault.undo_applied", "fault.undo_verified"),
    ]
    assert context.undo_log.pending() == ()
    assert double.replicas(COMPONENT) == (1, 1)


def test_receipts_are_taken_all_along_the_hold(double: FileCluster) -> None:
    """A hold of a little more than two intervals leaves at least two receipts beyond the first."""
    context = context_of(double)
    active = ActiveFault(context, faults.scale_to_zero(ROLE))
    active.inject()
    assert not active.watch(lambda: False, within_s=0.5)
    receipts = [event for event in context.recorder.events() if isinstance(event, FaultReceipt)]
    assert len(receipts) >= 3
    assert all(event.detail.landed for event in receipts)


def test_receipt_is_lost_when_the_kubelet_restarts_a_hanging_container(double: FileCluster) -> None:
    """A new process in place of the stopped one is not the fault: the receipt says so from then on."""
    prepared = ready(double, faults.pause(ROLE))
    prepared.inject()
    assert prepared.receipt().landed
    assert set(prepared.turns()) == {True}
    world = double.load()
    world.processes[0].pid, world.processes[0].state = 999, "S"
    double.save(world)
    assert not prepared.receipt().landed
    assert set(prepared.turns()) == {False}


def test_return_of_a_stopped_component_is_seen_in_a_few_looks(double: FileCluster) -> None:
    """One round of partial looks covers every node and the Service: a process that came back loses the receipt."""
    prepared = ready(double, faults.scale_to_zero(ROLE))
    prepared.inject()
    assert set(prepared.turns()) == {True}
    world = double.load()
    world.start_brain(NODES[1])
    double.save(world)
    assert False in prepared.turns()


def test_momentary_fault_has_nothing_to_watch(double: FileCluster) -> None:
    """A kill is over when it has landed: its hold takes no further receipts."""
    context = context_of(double)
    active = ActiveFault(context, faults.kill(ROLE))
    active.inject()
    assert not active.watch(lambda: False, within_s=0.2)
    assert len([event for event in context.recorder.events() if event.kind == "fault.receipt"]) == 1


def test_blind_observer_gives_no_receipt(double: FileCluster) -> None:
    """An observer that cannot look (here: the API is dead) says neither yes nor no, and the fault did not land."""
    context = context_of(double)
    active = ActiveFault(context, faults.kill(ROLE))
    change(double, is_api_dead=True)
    with pytest.raises(HarnessError, match="seen to land by an independent observer: not within"):
        active.inject()
    last = [event for event in context.recorder.events() if isinstance(event, FaultReceipt)][-1]
    assert last.detail.landed is None
    assert "could not look" in last.detail.evidence


def test_end_of_another_container_is_no_receipt(double: FileCluster) -> None:
    """A container that ended otherwise than by SIGKILL (here: exit code 1) does not prove the kill."""
    prepared = ready(double, faults.kill(ROLE))
    world = double.load()
    world.processes[0].ended, world.processes[0].exit_code = "containerd://x", 1
    double.save(world)
    assert not prepared.receipt().landed


def test_fault_that_is_seen_beforehand_is_refused(double: FileCluster) -> None:
    """An observer that reports the fault before it was done proves nothing: the fault is not even tried."""
    misnamed = replace(COMPONENT, process="brian", service="", port=0)
    with pytest.raises(HarnessError, match="already reports it as landed"):
        ready(double, faults.scale_to_zero(ROLE), mesh(components=(misnamed,)))


@pytest.mark.parametrize("fault", [faults.kill(ROLE), faults.pause(ROLE)], ids=lambda fault: fault.kind)
def test_component_without_a_process_is_refused(double: FileCluster, fault: Fault) -> None:
    """A process name that no node knows is refused before anything is done."""
    misnamed = replace(COMPONENT, process="brian")
    with pytest.raises(HarnessError, match="No node runs a process 'brian'"):
        ready(double, fault, mesh(components=(misnamed,)))


def test_unhealthy_component_is_refused(double: FileCluster) -> None:
    """A component that is not fully ready is not broken further."""
    change(double, desired=2)
    with pytest.raises(HarnessError, match="1 of 2 replicas ready"):
        ready(double, faults.scale_to_zero(ROLE))


def test_daemon_set_cannot_be_scaled(double: FileCluster) -> None:
    """Scaling a DaemonSet is refused with the faults that can be used instead."""
    with pytest.raises(UsageError, match="Use make_unavailable"):
        ready(double, faults.scale_to_zero(ROLE), mesh(components=(replace(COMPONENT, kind="DaemonSet"),)))


def test_only_the_component_s_own_processes_are_found(double: FileCluster) -> None:
    """A process of the same name in another pod, outside any pod, or dead already is not the component's."""
    world = double.load()
    own = world.processes[0]
    world.processes += [
        Process(7, NODES[0], "brain-server", "brain-canary-5f1-abcde", "system", own.uid.replace("0", "1"), ""),
        Process(8, NODES[0], "brain-server", "brain-5f1-abcde", "elsewhere", own.uid.replace("0", "2"), ""),
        Process(9, NODES[1], "brain-server", own.pod, "system", own.uid, "", state="Z"),
        Process(10, NODES[1], "sidecar", own.pod, "system", own.uid, ""),
    ]
    double.save(world)
    found = process_table.find(double, COMPONENT)
    assert [process.pid for process in found] == [own.pid]


def test_scaling_to_zero_hits_every_node(double: FileCluster) -> None:
    """The receipt of an absence needs every node free of the process."""
    world = double.load()
    world.start_brain(NODES[1])
    world.desired = 2
    double.save(world)
    prepared = ready(double, faults.scale_to_zero(ROLE))
    world.processes.pop(0)
    double.save(world)
    assert not prepared.receipt().landed
    prepared.inject()
    assert prepared.receipt().landed


@pytest.mark.parametrize(
    ("report", "accepted", "replied"),
    [
        ("400 0 0.000300", True, True),
        ("000 52 0.000300", True, False),
        ("000 28 0.000300", True, False),
        ("000 28 0.000000", False, False),
        ("000 7 0.000000", False, False),
    ],
)
def test_answers_of_a_port_are_distinct(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch, report: str, accepted: bool, replied: bool
) -> None:
    """A reply, silence after the handshake, and no handshake are three different answers."""
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: report)
    answer = ask(double, NODES[0], "10.0.0.1", 80)
    assert (answer.accepted, answer.replied) == (accepted, replied)


def test_node_without_curl_is_no_answer(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence of the tool is not silence of the port."""
    monkeypatch.setattr(double, "exec", lambda *_args, **_options: "")
    with pytest.raises(HarnessError, match="Is curl installed"):
        ask(double, NODES[0], "10.0.0.1", 80)
