"""The current phase of a run. Probes ask it before each attempt, so that an attempt lies entirely within one phase."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clusters.runtime import HarnessError

IDLE, BASELINE, FAULT, RECOVERY = "idle", "baseline", "fault", "recovery"


class StoppedError(HarnessError):
    """The run ends: an attempt that waits must stop waiting."""


class CurrentPhase:
    """The current phase. The runner sets it; probes ask for permission before each attempt."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._rested = threading.Condition(lock)  # separate, so that the end of an attempt wakes no other probe
        self._current = IDLE
        self._busy = 0
        self._stopped = False

    def enter(self, name: str) -> None:
        """Begin a phase. IDLE lets no new attempt begin."""
        with self._changed:
            self._current = name
            self._changed.notify_all()

    def stop(self) -> None:
        """End all attempts: the run ends."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def settle(self, within_s: float) -> bool:
        """Let no new attempt begin and wait for those in progress; return False when they outlast the deadline."""
        with self._changed:
            self._current = IDLE
            self._changed.notify_all()
            return self._rested.wait_for(lambda: self._busy == 0, within_s)

    @property
    def is_stopped(self) -> bool:
        """Whether the run ends."""
        return self._stopped

    @contextmanager
    def attempt(self) -> Iterator[str]:
        """Begin one attempt and yield its phase; IDLE means that no attempt may be made now."""
        with self._changed:
            name = IDLE if self._stopped else self._current
            self._busy += name != IDLE
        try:
            yield name
        finally:
            with self._rested:
                self._busy -= name != IDLE
                self._rested.notify_all()

    def wait_change(self, within_s: float) -> None:
        """Wait until the phase changes, for at most within_s."""
        with self._changed:
            if not self._stopped:
                self._changed.wait(within_s)

    def pause(self, seconds: float) -> None:
        """Sleep within an attempt; raise StoppedError at once when the run ends."""
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, seconds):
                raise StoppedError("the run ended in the middle of an attempt")
