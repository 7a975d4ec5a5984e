"""The base of all probes: a thread, a fixed interval, bounded attempts, and errors recorded as events."""

import threading
import time
from abc import ABC, abstractmethod

from clusters.runtime import HarnessError
from drills.run.context import Context
from drills.run.phase import BASELINE, FAULT, IDLE, RECOVERY, StoppedError
from drills.run.undo import Pending, carry_out

_NAP_S = 0.2
_AGAIN_S = 10.0  # longest interval in the recovery: its end must be seen
_UNDO_S = 20.0
_API_AWAY_S = 1.0
_JOIN_S = 45.0  # longer than the slowest attempt: two webhook timeouts, and a pod that never starts


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
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            self._context.recorder.trouble(self.name, f"the probe did not end within {_JOIN_S:g} s of the run's end")

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
        is_away = self._is_api_away(phase)
        try:
            within_s = _API_AWAY_S if is_away else _UNDO_S
            carry_out(self._context.cluster, self._context.undo_log, pending, within_s=within_s)
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
        due_s, last = time.monotonic(), IDLE
        while not self._context.phase.is_stopped:
            now_s = time.monotonic()
            with self._context.phase.attempt() as phase:
                is_enough = phase == IDLE or (phase == BASELINE and phase in self._done)
                if not is_enough and (phase != last or now_s >= due_s):  # a new phase begins with an attempt
                    every_s = min(self._every_s, _AGAIN_S) if phase == RECOVERY else self._every_s
                    due_s, last = now_s + every_s, phase
                    self._try(phase)
                    continue
            self._context.phase.wait_change(_NAP_S)

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
