"""The base of all probes: a thread, a fixed interval, bounded attempts, and errors recorded as events."""

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import replace

from clusters.runtime import HarnessError
from drills.run.context import Context
from drills.run.phase import BASELINE, FAULT, IDLE, RECOVERY, StoppedError
from drills.run.undo import Pending, carry_out


class Probe(ABC):
    """An observer that runs beside the whole drill, and reverts what it changes."""

    name: str

    def __init__(self, context: Context, *, every_s: float) -> None:
        self._context = context
        self._every_s = every_s
        self._done: set[str] = set()
        self._deferred: list[Pending] = []
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Start the thread; the first attempt waits for the first phase."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread after the phase was stopped; record a thread that hangs."""
        if self._thread.ident is None:
            return
        within_s = self._context.timing.probe_ends_within_s
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._context.recorder.trouble(self.name, f"the probe did not end within {within_s:g} s of the run's end")

    def is_done(self, phase: str) -> bool:
        """Return whether the probe is done in a phase: after one attempt, in the recovery after a good one."""
        return phase in self._done

    @abstractmethod
    def attempt(self, phase: str) -> bool:
        """Make one attempt, record its result, clean up, and return whether the mesh behaved as it should."""

    def _clean_up(self, pending: Pending, phase: str) -> None:
        """Remove what an attempt created; HarnessError when that could not be verified.

        If the run's own fault took the API away, the clean-up is deferred: it stays in the undo log and is retried
        before the first attempt after the fault.
        """
        is_away, timing = self._is_api_away(phase), self._context.timing
        within_s = timing.probe_undo_without_api_within_s if is_away else timing.probe_undo_within_s
        try:
            carry_out(self._context.cluster, self._context.undo_log, pending, replace(timing, undo_within_s=within_s))
        except HarnessError:
            if not is_away:
                raise
            self._deferred.append(pending)

    def _retry_deferred(self, phase: str) -> None:
        if not self._is_api_away(phase):
            deferred, self._deferred = self._deferred, []
            for pending in deferred:
                self._clean_up(pending, phase)

    def _is_api_away(self, phase: str) -> bool:
        return self._context.takes_api and phase == FAULT

    def _run(self) -> None:
        # Paced, and begun anew by each phase: another idea than a wait until something holds.
        timing, due_s, last = self._context.timing, time.monotonic(), IDLE
        while not self._context.phase.is_stopped:
            now_s = time.monotonic()
            with self._context.phase.attempt() as phase:
                is_enough = phase == IDLE or (phase == BASELINE and phase in self._done)
                if not is_enough and (phase != last or now_s >= due_s):  # a new phase begins with an attempt
                    longest_s = timing.probe_recovery_every_s if phase == RECOVERY else self._every_s
                    due_s, last = now_s + min(self._every_s, longest_s), phase
                    self._try(phase)
                    continue
            self._context.phase.wait_change(timing.probe_every_s)

    def _try(self, phase: str) -> None:
        try:
            self._retry_deferred(phase)
            is_good = self.attempt(phase)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave an unnoticed gap
            self._context.recorder.trouble(self.name, f"{type(error).__name__}: {error}")
            is_good = False
        if is_good or phase != RECOVERY:
            self._done.add(phase)
