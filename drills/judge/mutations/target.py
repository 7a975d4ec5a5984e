"""What a mutation is, what it changes, and how a changed history is made consistent again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from drills.judge.checks.lanes import on_edges
from drills.judge.events import CallerEnd, E, Event, ServerEnd, revised
from drills.judge.history import History
from drills.judge.keys import CALLER_OF_POD
from drills.judge.measure import Edge, Number
from drills.judge.records import Window
from drills.judge.verdict import Finding

FROM_CALLER = pl.col("scheduled_ns").is_not_null()


@dataclass(frozen=True)
class Target:
    """What a mutation changes: the edges and the window of a claim, and the bounds that it must break."""

    edges: tuple[Edge, ...]
    window: Window
    params: Mapping[str, Number]

    @classmethod
    def of(cls, finding: Finding, window: Window, edges: tuple[str, ...]) -> "Target":
        """Return the target that a finding names, narrowed to these of its edges."""
        pairs = (edge.partition("->") for edge in edges)
        return cls(tuple((source, target) for source, _, target in pairs), window, finding.params)

    def number(self, key: str, default: float) -> float:
        """Return a bound of the claim, the default when it has none."""
        value = self.params.get(key)
        return value if isinstance(value, int | float) else default

    def text(self, key: str) -> str:
        """Return a text parameter of the claim, "" when it has none."""
        value = self.params.get(key)
        return value if isinstance(value, str) else ""

    @property
    def middle_ns(self) -> int:
        """Return the middle of the window."""
        return (self.window.start_ns + self.window.end_ns) // 2

    def calls(self) -> pl.Expr:
        """Select the calls of the edges that were due in the window."""
        due = pl.col("scheduled_ns")
        in_window = ((due >= self.window.start_ns) & (due < self.window.end_ns)).fill_null(value=False)
        return on_edges(self.edges) & in_window


@dataclass(frozen=True)
class Mutation:
    """One named change of a history. It returns the same history when there is nothing to change.

    reads: the claim's parameters on which it depends; claims with equal ones share one trial. on_every_edge: whether it
    changes all edges of the claim. Otherwise only the last: the smaller the change, the harder to notice. given: the
    parameter without which a claim is blind to it on purpose; "" when none is needed. in_each_phase: a claim about the
    whole run must notice it in whichever phase it happens.
    """

    name: str
    says: str
    apply: Callable[[History, Target], History]
    reads: tuple[str, ...] = ()
    on_every_edge: bool = False
    given: str = ""
    in_each_phase: bool = False

    def suits(self, finding: Finding) -> bool:
        """Whether the claim can notice this mutation."""
        return not self.given or bool(finding.params.get(self.given))

    def edges_of(self, finding: Finding) -> tuple[str, ...]:
        """Return the edges that it changes."""
        return finding.edges if self.on_every_edge else finding.edges[-1:]


def in_memory(history: History) -> History:
    """Return the history with its calls in memory, for many queries."""
    return replace(history, calls=history.calls.collect().lazy())


def table(history: History) -> pl.DataFrame:
    """Return the calls as a table."""
    return history.calls.collect()


def with_events(history: History, events: list[Event]) -> History:
    """Return the history with other events, in the order of their clock."""
    return replace(history, events=tuple(sorted(events, key=lambda event: event.at_ns)))


def by_staying_server(history: History) -> pl.Expr:
    """Select the calls served by a pod that the fault does not end: what befalls the record of another is explained."""
    return ~pl.col("served_pod").is_in(history.facts.lost_pods).fill_null(value=False)


def each_event(history: History, change: Callable[[Event], Event | None]) -> History:
    """Return the history with every event changed, or left out where the change gives None."""
    changed = (change(event) for event in history.events)
    return with_events(history, [event for event in changed if event is not None])


def each_of(history: History, kind: type[E], change: Callable[[E], E | None]) -> History:
    """Return the history with every event of a kind changed, or left out where the change gives None."""
    return each_event(history, lambda event: change(event) if isinstance(event, kind) else event)


def edited(history: History, calls: pl.DataFrame) -> History:
    """Return the history with another table; its events still report the ends of the old one."""
    return replace(history, calls=calls.lazy())


def _served_since_restart(history: History, calls: pl.DataFrame) -> dict[object, int]:
    """Return how many calls each pod served that the fault restarted: its end counts from its last start on."""
    lost = history.lost_pods
    if lost is None:
        return {}
    since_ns = {pod: max(lost.boots[pod], default=lost.injected_ns) for pod in lost.late}
    return {
        pod: calls.filter(pl.col("served_pod") == pod, pl.col("served_ns") >= at_ns).height
        for pod, at_ns in since_ns.items()
    }


def whole(history: History, calls: pl.DataFrame) -> History:
    """Return the history with a consistent record: sequence numbers without holes, ends that agree with the table."""
    ordered = calls.sort("scheduled_ns", "id")
    number = pl.int_range(pl.len(), dtype=pl.Int64).over(CALLER_OF_POD)
    numbered = ordered.with_columns(seq=pl.when(FROM_CALLER).then(number))
    made: dict[object, int] = {
        row[:3]: row[3] for row in numbered.filter(FROM_CALLER).group_by(CALLER_OF_POD).len().rows()
    }
    served: dict[object, int] = dict(numbered.group_by("served_pod").len().rows())
    served |= _served_since_restart(history, numbered)

    def recount(event: Event) -> Event:
        if isinstance(event, CallerEnd):
            count = made.get((event.detail.pod, event.detail.target, event.detail.connection), 0)
            return revised(event, scheduled=count, written=count)
        if isinstance(event, ServerEnd):
            return revised(event, served=served.get(event.detail.pod, 0))
        return event

    return each_event(edited(history, numbered), recount)
