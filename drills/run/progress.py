"""Progress of the calls, one line every few seconds while a drill runs."""

import threading
import time

from clusters.runtime import Progress
from drills.run.lab import ROUTES
from drills.run.tail import Pulse, Tail

_EVERY_S = 5.0
_JOIN_S = 10.0


class ProgressReporter:
    """Prints one line every 5 s from the first call to the last."""

    def __init__(self, tail: Tail, progress: Progress) -> None:
        self._tail = tail
        self._progress = progress
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._begun_s = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._begun_s = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._progress(f"{time.monotonic() - self._begun_s:4.0f} s  {line_of(self._tail.pulse())}")


def line_of(pulse: Pulse) -> str:
    """Return the line: the number of calls, and the routes on which calls fail now."""
    losing = [
        f"{source}->{target} {count}/{pulse.recent[source, target]}"
        for (source, target), count in sorted(pulse.failing.items())
        if (source, target) in ROUTES
    ]
    words = f"failing now: {', '.join(losing)}" if losing else "no route loses calls"
    return f"{pulse.calls} calls so far; {words}"
