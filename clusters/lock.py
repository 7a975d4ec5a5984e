"""One holder at a time: a lock file that the kernel lets go when its holder dies, however it dies."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from clusters.errors import UsageError


@contextlib.contextmanager
def hold(lock: Path, taken: str) -> Iterator[None]:
    """Hold the lock for as long as this lasts; UsageError that says `taken` when a living process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise UsageError(taken) from busy
        yield
