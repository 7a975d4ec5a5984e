"""Notices when a program of the lab did not run for a while: a server that stands still looks like a broken mesh.

Callers show it by calls that begin late. A server that is not called, or makes no calls, shows it here.
"""

from __future__ import annotations

import asyncio
import time

from share import Log, Me, writer

WAKE_S = 0.1
STALLED_MS = 500
"""A shorter stall is not logged: on two busy cores every program is up to 200 ms late when pods start."""


class StallWatch:
    """Wakes every WAKE_S while a run is under way, and logs each time that it woke more than STALLED_MS late."""

    def __init__(self, me: Me, log: Log) -> None:
        self._me = me
        self._log = log
        self._run_id = ""
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, run_id: str) -> None:
        """Watch for the time of this run."""
        self._run_id = run_id
        self._arm()

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + WAKE_S
        self._timer = loop.call_at(self._due_s, self._wake)

    def _wake(self) -> None:
        late_ms = round((asyncio.get_running_loop().time() - self._due_s) * 1000)
        if late_ms > STALLED_MS:
            stalled = {"type": "stalled", "run_id": self._run_id, **writer(self._me), "stalled_ms": late_ms}
            self._log.note({**stalled, "at_ns": time.time_ns()})
        self._arm()
