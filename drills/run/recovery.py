"""When a recovery has come to its end."""

import time
from collections.abc import Callable

_LASTS_S = 10.0
_SHARE = 0.2
"""Of the time that the calm was waited for: what comes back late comes back pod by pod, with long back-offs between."""


class RecoveryDetector:
    """A calm that lasts: a few good seconds amid a ragged recovery are none.

    Seen with node proxies that got their expired certificates anew over three minutes, pod by pod: five seconds without
    a failed call in the middle of it ended the watch too early for any answer.
    """

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._is_calm = is_healthy
        self._begun_s = time.monotonic()
        self._since_s: float | None = None

    def is_stable(self) -> bool:
        """Tell whether it is calm and has been for 10 s, or for a fifth of the time before it when that is more."""
        now_s = time.monotonic()
        if not self._is_calm():
            self._since_s = None
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        return now_s - self._since_s >= max(_LASTS_S, _SHARE * (self._since_s - self._begun_s))
