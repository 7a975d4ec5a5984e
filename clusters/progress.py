"""How long work tells a person what it does: one line of text per step."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]
"""Receives one line of text per step. May be called from several threads at once."""


def silent(_line: str) -> None:
    """Discard a line of progress."""


class Steps:
    """Numbers no steps and owns no terminal: it adds elapsed seconds to the lines of one `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """Emit one line; lines of several threads never mix."""
        with self._lock:
            self._progress(line)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Emit `name ... started` and, at the end, `name ... 12 s` or `name ... failed after 12 s`."""
        started_s = time.monotonic()
        self.say(f"{name} ... started")
        try:
            yield
        except BaseException:
            self.say(f"{name} ... failed after {time.monotonic() - started_s:.0f} s")
            raise
        self.say(f"{name} ... {time.monotonic() - started_s:.0f} s")
