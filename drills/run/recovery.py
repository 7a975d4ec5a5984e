"""Decides when a recovery is complete."""

import time
from collections.abc import Callable

_STABLE_S = 10.0
_STABLE_SHARE = 0.2  # of the elapsed recovery time: a slow recovery returns pod by pod, with long back-offs between


class RecoveryDetector:
    """Detects stable recovery: healthy for 10 s, or for 20 % of the elapsed recovery time if that is longer.

    The share matters: node proxies once renewed expired certificates pod by pod over three minutes, and 5 s without a
    failed call in between ended the watch before the recovery was complete.
    """

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._is_calm = is_healthy
        self._begun_s = time.monotonic()
        self._since_s: float | None = None

    def is_stable(self) -> bool:
        """Return whether the mesh is healthy and has been for the required time."""
        now_s = time.monotonic()
        if not self._is_calm():
            self._since_s = None
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        return now_s - self._since_s >= max(_STABLE_S, _STABLE_SHARE * (self._since_s - self._begun_s))
