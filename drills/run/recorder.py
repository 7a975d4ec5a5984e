"""Records the events of a run, from several threads, on one clock."""

import threading
import time

from drills.judge.events import E, Event, HarnessTrouble

_LIMIT = 200_000  # a run has a few thousand; a runaway loop must not exhaust the memory


class Recorder:
    """The events of one run so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._lost = 0

    def note(self, event: Event) -> None:
        """Record one event."""
        with self._lock:
            if len(self._events) < _LIMIT:
                self._events.append(event)
            else:
                self._lost += 1

    def trouble(self, cause: str, message: str) -> None:
        """Record a failure of the harness itself: it makes the run INCONCLUSIVE."""
        self.note(_trouble(cause, message))

    def has(self, kind: type[E], subject: str) -> bool:
        """Return whether an event of this kind and subject was recorded."""
        with self._lock:
            return any(isinstance(event, kind) and event.subject == subject for event in self._events)

    def events(self) -> tuple[Event, ...]:
        """Return the events so far, by time."""
        with self._lock:
            events = [*self._events]
            if self._lost:
                events.append(_trouble("events", f"{self._lost} events beyond {_LIMIT} lost"))
        return tuple(sorted(events, key=lambda event: event.at_ns))


def _trouble(cause: str, message: str) -> HarnessTrouble:
    return HarnessTrouble(time.time_ns(), cause, HarnessTrouble.Detail(message=message))
