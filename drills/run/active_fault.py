"""The fault of one run, from the undo on disk to the undo verified; each step is an event of the history."""

import time
from collections.abc import Callable

from clusters.runtime import HarnessError
from drills.judge.events import FaultAccount, FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified, UndoWritten
from drills.run.context import Context
from drills.run.faults import Fault
from drills.run.faults.base import Receipt, prepare
from drills.run.undo import Pending, apply, verify

_LAND_S = 45.0  # longer than the grace period that a pod usually has
# A look costs a tenth of a second of a core, and the callers share the cores: seldom is kinder, and often enough.
_LAND_LOOK_S = 1.0
_LOOK_S = 2.0


class ActiveFault:
    """A fault that is prepared, and then injected, observed, undone and verified."""

    def __init__(self, context: Context, fault: Fault) -> None:
        self._context = context
        self._fault = fault
        self._prepared = prepare(fault, context.cluster, context.mesh, context.run_id)
        self._pending: Pending | None = None
        self._turn = 0

    def inject(self) -> None:
        """Write the undo to disk, do the fault, and wait for the first receipt.

        Raises HarnessError when the fault could not be done, or when no observer saw it land in time.
        """
        prepared, fault = self._prepared, self._fault
        self._pending = self._context.undo_log.write(prepared)
        title, note = fault.title, self._context.recorder.note
        note(UndoWritten(time.time_ns(), title, UndoWritten.Detail(action=prepared.kind, what=prepared.subject)))
        note(Phase(time.time_ns(), "fault"))
        # Noted before the act: whatever the act causes belongs to the fault's window.
        role = fault.role.value if fault.role else ""
        note(FaultInjected(time.time_ns(), title, FaultInjected.Detail(fault=fault.kind, role=role, node=fault.node)))
        account = FaultAccount.Detail(actor=prepared.inject(self._context.cluster), signer=prepared.signer)
        note(FaultAccount(time.time_ns(), title, account))
        within_s = _LAND_S + prepared.land_extra_s
        deadline_s = time.monotonic() + within_s
        self._context.phase.pause(_LAND_LOOK_S)  # nothing lands at once, and this is when the cores are wanted most
        while not self._look():
            if time.monotonic() >= deadline_s:
                raise HarnessError(f"{fault.title}: no independent observer saw it land within {within_s:g} s.")
            self._context.phase.pause(_LAND_LOOK_S)

    def watch(self, until: Callable[[], bool], *, within_s: float) -> bool:
        """Take a receipt every other second until `until` is true, and return whether that came before the deadline.

        A fault that is an instant (kill) has had its receipt, and nothing of it must last.
        """
        deadline_s = time.monotonic() + within_s
        while not until():
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return False
            if self._prepared.is_watched and not self._prepared.is_over():
                self._look(self._turn)
                self._turn += 1
            self._context.phase.pause(max(0.0, min(deadline_s, now_s + _LOOK_S) - time.monotonic()))
        return True

    def is_over(self) -> bool:
        """Tell whether the fault has run its course, so that there is nothing more to hold."""
        return self._prepared.is_over()

    def undo(self) -> None:
        """Undo and verify; nothing to do when it was done before. HarnessError when it could not be verified."""
        if self._pending is None:
            return
        title, note = self._fault.title, self._context.recorder.note
        note(UndoApplied(time.time_ns(), title, UndoApplied.Detail(action=self._prepared.kind)))
        apply(self._context.cluster, self._prepared)
        verify(self._context.cluster, self._prepared)
        note(UndoVerified(time.time_ns(), title))
        self._context.undo_log.remove(self._pending)
        self._pending = None

    def _look(self, turn: int | None = None) -> bool:
        """Take one receipt; an observer that could not look says neither yes nor no."""
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
