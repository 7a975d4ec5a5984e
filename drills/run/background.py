"""The threads that observe something beside the run, from its first call to its last."""

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """A thread that works until it is stopped."""

    def __init__(self, name: str, *, ends_within_s: float) -> None:
        self._ended = threading.Event()
        self._ends_within_s = ends_within_s
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait until it ends, at most ends_within_s; harmless if it never started."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(self._ends_within_s)

    @abstractmethod
    def _run(self) -> None:
        """Work until `_ended` is set."""
