"""Which part of the run it is, told to the probes: an attempt lies whole inside one window or is not made."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clusters.runtime import HarnessError

IDLE, BASELINE, FAULT, RECOVERY = "idle", "baseline", "fault", "recovery"


class StoppedError(HarnessError):
    """The run ends; whoever waits within an attempt stops waiting."""


class CurrentPhase:
    """The current part of the run. The runner sets it; probes ask for leave before each attempt."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._rested = threading.Condition(lock)  # apart, so that a probe which ends an attempt wakes no other probe
        self._current = IDLE
        self._busy = 0
        self._stopped = False

    def enter(self, name: str) -> None:
        """Begin a part of the run. IDLE lets no new attempt begin."""
        with self._changed:
            self._current = name
            self._changed.notify_all()

    def stop(self) -> None:
        """End all probing."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def settle(self, within_s: float) -> bool:
        """Let no new attempt begin and wait for those under way; False when they outlast the deadline."""
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
        """Give leave for one attempt and yield the part of the run it belongs to, IDLE when there is none."""
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
        """Wait until the runner says something, or the time is over."""
        with self._changed:
            if not self._stopped:
                self._changed.wait(within_s)

    def pause(self, seconds: float) -> None:
        """Let time pass within an attempt; StoppedError at once when the run ends."""
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, seconds):
                raise StoppedError("the run ended in the middle of an attempt")
