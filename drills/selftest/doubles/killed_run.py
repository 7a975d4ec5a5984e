"""Runs one fault on the double up to a phase, says so, and waits to be killed. Started by test_undo.py."""

import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from drills.judge.events import Event, FaultAccount, FaultInjected, FaultReceipt, UndoApplied, UndoVerified, UndoWritten
from drills.run import undo
from drills.run.active_fault import ActiveFault
from drills.run.context import Context
from drills.run.phase import CurrentPhase
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.timing import Timing
from drills.run.undo import UndoLog
from drills.selftest.doubles.cluster_world import World
from drills.selftest.doubles.fault_doubles import double_for


def wait_for_the_end(phase: str, test: Connection) -> None:
    """Say to the test how far it is, and never come back."""
    test.send(phase)
    threading.Event().wait(60)


def main(root: Path, kind: str, phase: str, test: Connection) -> None:
    """Stop dead after `phase`: written, half, injected, landed, applied, verified.

    Half is after the first thing that the fault changes in the world, whatever else it still has to change.
    """
    os.environ["PATH"] = ""  # the double needs no program of this machine
    double, fault, mesh = double_for(root, kind)
    cluster = double
    context = Context(
        "r1",
        cluster,
        mesh,
        Recorder(),
        UndoLog(cluster.state),
        CurrentPhase(),
        Tail(cluster.share, "r1"),
        timing=Timing(land_every_s=0.02),  # on the double every fault lands at once
    )
    note = context.recorder.note
    stops: dict[str, type[Event]] = {
        "written": UndoWritten,
        "injected": FaultAccount,
        "landed": FaultReceipt,
        "applied": UndoApplied,
        "verified": UndoVerified,
    }

    def stop_half_way() -> None:
        before, save = double.load(), double.save

        def save_and_stop(world: World) -> None:
            save(world)
            if double.load() != before:
                wait_for_the_end(phase, test)

        double.save = save_and_stop  # type: ignore[method-assign]  # as below

    def note_and_stop(event: Event) -> None:
        note(event)
        if type(event) is stops.get(phase):
            wait_for_the_end(phase, test)
        if isinstance(event, FaultInjected) and phase == "half":
            stop_half_way()

    context.recorder.note = note_and_stop  # type: ignore[method-assign]  # the one seam of this test
    with undo.sole_use(cluster):
        active = ActiveFault(context, fault)
        active.inject()
        active.undo()
