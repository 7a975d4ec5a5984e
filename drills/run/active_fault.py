"""The fault of one run, from the undo entry on disk to the verified undo. Each step is an event of the history."""

import time
from collections.abc import Callable

from clusters.runtime import HarnessError, wait_until
from drills.judge.events import FaultAccount, FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified, UndoWritten
from drills.run.context import Context
from drills.run.faults import Fault
from drills.run.faults.base import Receipt, prepare
from drills.run.undo import Pending, apply, verify


class ActiveFault:
    """A prepared fault: inject it, take receipts, undo it, verify the undo."""

    def __init__(self, context: Context, fault: Fault) -> None:
        self._context = context
        self._fault = fault
        self._prepared = prepare(fault, context.cluster, context.mesh, context.run_id)
        self._pending: Pending | None = None
        self._turn = 0

    def inject(self) -> None:
        """Write the undo entry to disk, inject the fault, and wait for the first receipt that says it landed.

        Raises HarnessError when the injection fails, or when no observer sees the fault land in time.
        """
        prepared, fault = self._prepared, self._fault
        self._pending = self._context.undo_log.write(prepared)
        title, note = fault.title, self._context.recorder.note
        note(UndoWritten(time.time_ns(), title, UndoWritten.Detail(action=prepared.kind, what=prepared.subject)))
        note(Phase(time.time_ns(), "fault"))
        # Recorded before the injection: its effects belong to the fault's window.
        role = fault.role.value if fault.role else ""
        note(FaultInjected(time.time_ns(), title, FaultInjected.Detail(fault=fault.kind, role=role, node=fault.node)))
        actor = prepared.inject(self._context.cluster, self._context.timing)
        note(FaultAccount(time.time_ns(), title, FaultAccount.Detail(actor=actor, signer=prepared.signer)))
        self._await_landing()

    def watch(self, until: Callable[[], bool], *, within_s: float) -> bool:
        """Take a receipt at each interval until `until` is true; return False when the deadline comes first.

        A momentary fault (kill) needs no further receipt. This is no `wait_until`: receipts keep their pace however
        long one of them takes, so that they cover the hold evenly.
        """
        every_s = self._context.timing.receipt_every_s
        deadline_s = time.monotonic() + within_s
        while not until():
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return False
            if self._prepared.is_watched and not self._prepared.is_over():
                self._look(self._turn)
                self._turn += 1
            self._context.phase.pause(max(0.0, min(deadline_s, now_s + every_s) - time.monotonic()))
        return True

    def is_over(self) -> bool:
        """Return whether the fault is complete by itself, so that nothing is left to hold."""
        return self._prepared.is_over()

    def undo(self) -> None:
        """Undo and verify; does nothing the second time. Raises HarnessError when the undo cannot be verified."""
        if self._pending is None:
            return
        title, note = self._fault.title, self._context.recorder.note
        note(UndoApplied(time.time_ns(), title, UndoApplied.Detail(action=self._prepared.kind)))
        apply(self._context.cluster, self._prepared, self._context.timing)
        verify(self._context.cluster, self._prepared, self._context.timing)
        note(UndoVerified(time.time_ns(), title))
        self._context.undo_log.remove(self._pending)
        self._pending = None

    def _await_landing(self) -> None:
        timing, pause = self._context.timing, self._context.phase.pause
        within_s = timing.land_within_s + self._prepared.land_extra_s(timing)
        pause(timing.land_every_s)  # no fault lands at once, and the cores are busiest now
        wait_until(
            self._look,
            bool,
            what=f"{self._fault.title} seen to land by an independent observer",
            within_s=within_s - timing.land_every_s,
            every_s=timing.land_every_s,
            pause=pause,
        )

    def _look(self, turn: int | None = None) -> bool:
        """Take one receipt. If the observer cannot look, the receipt records neither yes nor no."""
        try:
            seen: Receipt = self._prepared.receipt(self._context.cluster, turn)
        except HarnessError as error:
            self._note(FaultReceipt.Detail(landed=None, observer="", evidence=f"could not look: {error}"))
            return False
        self._note(
            FaultReceipt.Detail(
                landed=seen.landed, observer=seen.observer, evidence=seen.evidence, momentary=seen.momentary
            )
        )
        return seen.landed

    def _note(self, receipt: FaultReceipt.Detail) -> None:
        self._context.recorder.note(FaultReceipt(time.time_ns(), self._fault.title, receipt))
