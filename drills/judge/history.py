"""One run as immutable data, and the questions every check asks of it."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar, cast

import polars as pl

from drills.judge import storage
from drills.judge.caller_ids import CallerIds, caller_ids_of
from drills.judge.cohorts import NewPods, new_pods_of
from drills.judge.completeness import find_defects
from drills.judge.events import E, Event, FaultInjected, FaultReceipt, Phase, PodListed, UndoApplied, UndoVerified
from drills.judge.lost_pods import LostPods, lost_pods_of
from drills.judge.records import (
    CALLS_SCHEMA,
    Caller,
    Defect,
    RunFacts,
    Window,
)
from drills.judge.slices import slices
from drills.judge.wrong_service import Crossing, crossings_of, marked, services_of

__all__ = [
    "CALLS_SCHEMA",
    "Caller",
    "Defect",
    "History",
    "RunFacts",
    "Window",
    "write_history",
]

T = TypeVar("T")

KEPT_ROWS = 250_000
"""About 70 MB of calls, ten times an ordinary run. For a longer table each query reads what it needs from disk."""


@dataclass(frozen=True)
class History:
    """Calls, events and facts of one run. It is immutable; every question is a query.

    calls: the record itself; checks ask `judged`, calls_in, due_in and due_slices.
    whole: the full history from which this one was filtered. New pods are determined on the full history.
    """

    calls: pl.LazyFrame
    events: tuple[Event, ...]
    facts: RunFacts
    defects_on_reading: tuple[Defect, ...] = ()
    whole: "History | None" = None

    @classmethod
    def load(cls, bundle: Path) -> Self:
        """Open the history in a bundle directory; calls stay on disk until a query needs them.

        Raises FileError for a file that cannot be read, down to each page of the table. A readable file that differs
        from the seal is a defect, and so are rows that nothing can have recorded; these are left out.
        """
        return cls(*storage.read(bundle))

    def at_hand(self) -> Self:
        """Return the same history with its calls in memory, unless they are too many: use it for many queries."""
        return replace(self, calls=self.calls.collect().lazy()) if self._rows <= KEPT_ROWS else self

    def of_kind(self, *kinds: type[E]) -> tuple[E, ...]:
        """Return the events of these kinds in the order of the record."""
        return tuple(event for event in self.events if isinstance(event, kinds))

    def events_in(self, window: Window, *kinds: type[E]) -> tuple[E, ...]:
        """Return the events of these kinds inside a window."""
        return tuple(event for event in self.of_kind(*kinds) if window.holds(event.at_ns))

    def calls_in(self, window: Window) -> pl.LazyFrame:
        """Return the calls of a window, by the caller's schedule; by the server's clock where only a server saw one."""
        is_served_only = pl.col("scheduled_ns").is_null()
        return self.judged.filter(_lies_in(window, "scheduled_ns") | (is_served_only & _lies_in(window, "served_ns")))

    def due_in(self, window: Window) -> pl.LazyFrame:
        """Return the calls of a window that a caller recorded."""
        return self.judged.filter(_lies_in(window, "scheduled_ns"))

    def due_slices(self, window: Window) -> Iterator[pl.LazyFrame]:
        """Yield the calls of due_in in slices, ordered by the instant at which they started."""
        parts = tuple(slices(self.judged, window, self.rows_in(window)))
        for part in parts:
            # The file's statistics show, without reading rows, that most slices of a long run need no filter.
            is_all_due = len(parts) > 1 and not _has(part, _lies_out_of(window, "scheduled_ns"))
            yield part if is_all_due else part.filter(_lies_in(window, "scheduled_ns"))

    def rows_in(self, window: Window) -> int:
        """Return about how many rows lie in a window, from its share of the run's length; reads no rows."""
        run = self._windows.get("run", window)
        return round(self._rows * min(1.0, window.length_s / run.length_s))

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return the cached result for this key, or read it: a history never changes."""
        if key not in self._kept:
            self._kept[key] = read()
        return cast("T", self._kept[key])

    @cached_property
    def _kept(self) -> dict[Hashable, object]:
        return {}

    @cached_property
    def undone_ns(self) -> int | None:
        """When the undo of the fault began; None when that was not recorded."""
        return min(self._instants(UndoApplied), default=None)

    @cached_property
    def judged(self) -> pl.LazyFrame:
        """The calls as checks count them: one that another service than its target served has failed."""
        return marked(self.calls, self.crossings)

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """The targets whose calls a pod of another service served, each with that pod."""
        return self.whole.crossings if self.whole else crossings_of(self.calls, self.services)

    @cached_property
    def services(self) -> dict[str, str]:
        """The service of each pod whose service the record names."""
        return services_of(self.events, self.facts)

    @cached_property
    def nodes(self) -> dict[str, str]:
        """The node of each pod that was listed at the start of the run."""
        return {event.subject: event.detail.node for event in self.of_kind(PodListed)}

    @cached_property
    def caller_ids(self) -> CallerIds:
        """The ids of all callers that left a row."""
        return caller_ids_of(self.calls)

    def windows(self) -> dict[str, Window]:
        """Return baseline, fault, recovery and run, in that order, without those of which an end was not recorded."""
        return dict(self._windows)

    def window(self, name: str) -> Window | None:
        """Return one of the windows, or None; "hold" is the part of the fault in which the fault was in force.

        It ends when the undo begins, or with the last receipt that saw the fault in force where a later one did not.
        The fault's window goes on until the undo is verified.
        """
        fault = self._windows.get("fault")
        if name != "hold" or fault is None:
            return self._windows.get(name)
        end_ns = fault.end_ns if self.undone_ns is None else self.undone_ns
        looks = [it for it in self.events_in(fault, FaultReceipt) if it.detail.landed is not None]
        looks = [it for it in looks if it.at_ns <= end_ns]
        seen_ns = max((it.at_ns for it in looks if it.detail.landed), default=fault.start_ns)
        if looks and looks[-1].detail.landed:
            seen_ns = min(end_ns, fault.end_ns)
        return Window(name, fault.start_ns, seen_ns) if seen_ns > fault.start_ns else None

    def phase_at(self, at_ns: int) -> str:
        """Return the phase in which an instant lies, "" for none."""
        return next((name for name, it in self._windows.items() if name != "run" and it.holds(at_ns)), "")

    def completeness(self) -> tuple[Defect, ...]:
        """Return every reason to doubt that this history is complete; empty when there is none."""
        return self._defects

    @cached_property
    def lost_pods(self) -> LostPods | None:
        """The pods that the fault ended; None when it ends none, or was never injected."""
        return lost_pods_of(self.events, self.facts)

    @cached_property
    def new_pods(self) -> NewPods:
        """The pods that were not in the run's plan and appeared after the baseline."""
        return self.whole.new_pods if self.whole else new_pods_of(self.calls, self.facts, self.window("baseline"))

    @cached_property
    def _rows(self) -> int:
        return int(self.calls.select(pl.len()).collect(engine="streaming").item())

    @cached_property
    def _windows(self) -> dict[str, Window]:
        start_ns = min(self._instants(Phase, "baseline"), default=None)
        injected_ns = min(self._instants(FaultInjected), default=None)
        verified_ns = max(self._instants(UndoVerified), default=None)
        end_ns = max(self._instants(Phase, "end"), default=None)
        edges = {
            "baseline": (start_ns, injected_ns),
            "fault": (injected_ns, verified_ns),
            "recovery": (verified_ns, end_ns),
            "run": (start_ns, end_ns),
        }
        return {
            name: Window(name, first, last)
            for name, (first, last) in edges.items()
            if first is not None and last is not None and first < last
        }

    @cached_property
    def _defects(self) -> tuple[Defect, ...]:
        return self.defects_on_reading + find_defects(self.calls, self.events, self.facts, self._windows)

    def _instants(self, kind: type[E], subject: str | None = None) -> Iterator[int]:
        return (event.at_ns for event in self.of_kind(kind) if subject in (None, event.subject))


def _lies_in(window: Window, column: str) -> pl.Expr:
    """Compare the column as stored, so that the reader can skip row groups by their statistics."""
    return (pl.col(column) >= window.start_ns) & (pl.col(column) < window.end_ns)


def _lies_out_of(window: Window, column: str) -> pl.Expr:
    at_ns = pl.col(column)
    return (at_ns < window.start_ns) | (at_ns >= window.end_ns) | at_ns.is_null()


def _has(calls: pl.LazyFrame, wanted: pl.Expr) -> bool:
    return not calls.filter(wanted).select("scheduled_ns").head(1).collect(engine="streaming").is_empty()


def write_history(bundle: Path, calls: pl.DataFrame, events: tuple[Event, ...], facts: RunFacts) -> None:
    """Write calls.parquet, events.jsonl and run.json (facts and a seal over both) into a bundle directory.

    Calls are sorted by schedule and events by clock. Code that adds to run.json keeps the keys "facts" and "seal".
    """
    storage.write(bundle, calls, events, facts)
