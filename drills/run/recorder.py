"""Where everything that happens in a run is written down, from several threads, on one clock."""

import threading
import time

from drills.judge.history import Detail, Event

_LIMIT = 200_000  # a run makes a few thousand; a loop gone wild must not take the machine


class Recorder:
    """The events of one run so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._lost = 0

    def note(self, kind: str, subject: str = "", *, at_ns: int | None = None, **detail: Detail) -> Event:
        """Write down one event, now or at the instant given."""
        event = Event(time.time_ns() if at_ns is None else at_ns, kind, subject, detail)
        with self._lock:
            if len(self._events) < _LIMIT:
                self._events.append(event)
            else:
                self._lost += 1
        return event

    def trouble(self, cause: str, message: str) -> None:
        """Write down that something went wrong on our side: it makes the run inconclusive, never passed."""
        self.note("harness", cause, message=message)

    def has(self, kind: str, subject: str | None = None) -> bool:
        """Tell whether such an event was written down."""
        with self._lock:
            return any(event.kind == kind and subject in (None, event.subject) for event in self._events)

    def events(self) -> tuple[Event, ...]:
        """Return what was written down so far, by the clock."""
        with self._lock:
            events = [*self._events]
            if self._lost:
                events.append(
                    Event(time.time_ns(), "harness", "events", {"message": f"{self._lost} events beyond {_LIMIT} lost"})
                )
        return tuple(sorted(events, key=lambda event: event.at_ns))
