"""One fault, from the undo on disk to the undo verified; each step is an event of the history."""

import time
from collections.abc import Callable

from clusters.model import Component
from clusters.runtime import HarnessError
from drills.judge.events import FaultAccount, FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified, UndoWritten
from drills.run.context import Context
from drills.run.faults import Fault
from drills.run.faults.injury import Receipt
from drills.run.faults.prepare import prepare
from drills.run.undo import apply, verify

_LAND_S = 45.0  # longer than the grace period that a pod usually has
# A look costs a tenth of a second of a core, and the callers share the cores: seldom is kinder, and often enough.
_LAND_LOOK_S = 1.0
_LOOK_S = 2.0


class Injured:
    """The victim of one run while it is hurt."""

    def __init__(self, context: Context, fault: Fault, component: Component | None) -> None:
        self._context = context
        self._fault = fault
        self._injury = prepare(context.cluster, fault, component, context.mesh)
        self._undo = self._injury.undo(context.run_id)
        self._is_pending = False
        self._turn = 0

    def inject(self) -> None:
        """Write the undo to disk, do the fault, and wait for the first receipt.

        Raises HarnessError when the fault could not be done, or when no observer saw it land in time.
        """
        self._context.undo_log.write(self._undo)
        self._is_pending = True
        title, note = self._fault.title, self._context.recorder.note
        written = UndoWritten.Detail(action=self._undo.action, what=self._undo.subject)
        note(UndoWritten(time.time_ns(), title, written))
        note(Phase(time.time_ns(), "fault"))
        # Noted before the act: whatever the act causes belongs to the fault's window.
        role = self._fault.role.value if self._fault.role else ""
        injected = FaultInjected.Detail(fault=self._fault.kind.value, role=role, node=self._fault.node)
        note(FaultInjected(time.time_ns(), title, injected))
        account = FaultAccount.Detail(actor=self._injury.inject(), signer=self._injury.signer)
        note(FaultAccount(time.time_ns(), title, account))
        within_s = _LAND_S + self._injury.land_extra_s
        deadline_s = time.monotonic() + within_s
        self._context.stage.pause(_LAND_LOOK_S)  # nothing lands at once, and this is when the cores are wanted most
        while not self._look(self._injury.observe):
            if time.monotonic() >= deadline_s:
                raise HarnessError(f"{self._fault.title}: no independent observer saw it land within {within_s:g} s.")
            self._context.stage.pause(_LAND_LOOK_S)

    def watch(self, until: Callable[[], bool], *, within_s: float) -> bool:
        """Take a receipt every other second until told, and return whether that came before the deadline.

        An injury that is an instant (kill, crash) has had its receipt: there is nothing that must last.
        """
        deadline_s = time.monotonic() + within_s
        while not until():
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return False
            self._look(lambda: self._injury.glance(self._turn))
            self._turn += 1
            self._context.stage.pause(max(0.0, min(deadline_s, now_s + _LOOK_S) - time.monotonic()))
        return True

    def is_over(self) -> bool:
        """Tell whether the injury has run its course, so that there is nothing more to hold."""
        return self._injury.is_over()

    def undo(self) -> None:
        """Undo and verify; nothing to do when it was done before. HarnessError when it could not be verified."""
        if not self._is_pending:
            return
        title, note = self._fault.title, self._context.recorder.note
        note(UndoApplied(time.time_ns(), title, UndoApplied.Detail(action=self._undo.action)))
        apply(self._context.cluster, self._undo)
        verify(self._context.cluster, self._undo)
        note(UndoVerified(time.time_ns(), title))
        self._context.undo_log.remove(self._undo)
        self._is_pending = False

    def _look(self, look: Callable[[], Receipt | None]) -> bool:
        """Take one receipt; an observer that could not look says neither yes nor no."""
        try:
            seen = look()
        except HarnessError as error:
            self._note(FaultReceipt.Detail(landed=None, observer="", evidence=f"could not look: {error}"))
            return False
        if seen is not None:
            self._note(
                FaultReceipt.Detail(
                    landed=seen.landed, observer=seen.observer, evidence=seen.evidence, momentary=seen.momentary
                )
            )
        return seen is not None and seen.landed

    def _note(self, receipt: FaultReceipt.Detail) -> None:
        self._context.recorder.note(FaultReceipt(time.time_ns(), self._fault.title, receipt))
