"""Pods that the fault itself ends, with the node on which they run, and the breaks in their records that it explains.

What such a pod wrote is evidence like any other. What it may have done without writing it down lies between its last
line and its next start: that is not known, and nobody may take it for "nothing".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from drills.judge.events import Event, FaultInjected, ProgramStarted, ServerEnd, ServerRejoined
from drills.judge.records import NS_PER_S, Defect, RunFacts

LONGEST_CALL_S = 2.0
"""No call lasts longer; those under way when their caller ended have no line, and leave holes among the last ones."""

UNWRITTEN_S = 1.0
"""A program writes its lines a twentieth of a second late, on a busy machine more; this is ample."""


@dataclass(frozen=True)
class Casualties:
    """The pods, the instant from which the fault explains their end, and when they started again.

    boots: pod to the starts of its program after that instant. late: pods that took the run up again, as servers only.
    first_boots: node to the first of those starts on it.
    """

    pods: frozenset[str]
    injected_ns: int
    boots: dict[str, tuple[int, ...]]
    late: frozenset[str]
    first_boots: dict[str, int]

    @property
    def sure_until_ns(self) -> int:
        """Calls that were due before this have ended and were written down when their caller ended."""
        return self.injected_ns - round(LONGEST_CALL_S * NS_PER_S)

    def explains(self, boot: ProgramStarted) -> bool:
        """Whether the start of a program is one that follows from the fault."""
        return boot.detail.pod in self.pods and boot.at_ns >= self.injected_ns

    def undisturbed(self, calls: pl.LazyFrame) -> pl.LazyFrame:
        """Return the calls without those of the casualties that their end may have left incomplete."""
        is_theirs = pl.col("pod").is_in(sorted(self.pods)).fill_null(value=False)
        return calls.filter(~is_theirs | (pl.col("scheduled_ns") < self.sure_until_ns))


def casualties_of(events: tuple[Event, ...], facts: RunFacts) -> Casualties | None:
    """Return the casualties of a run; None when its fault ends no pod, or was never injected."""
    injected_ns = min((event.at_ns for event in events if isinstance(event, FaultInjected)), default=None)
    if not facts.casualties or injected_ns is None:
        return None
    pods = frozenset(facts.casualties)
    boots = sorted(
        (e for e in events if isinstance(e, ProgramStarted) and e.detail.pod in pods and e.at_ns >= injected_ns),
        key=_by_clock,
    )
    return Casualties(
        pods=pods,
        injected_ns=injected_ns,
        boots={pod: tuple(e.at_ns for e in boots if e.detail.pod == pod) for pod in pods},
        late=frozenset(e.detail.pod for e in events if isinstance(e, ServerRejoined) and e.detail.pod in pods),
        first_boots={event.detail.node: event.at_ns for event in reversed(boots)},
    )


def _by_clock(event: Event) -> int:
    return event.at_ns


def find_casualty_defects(calls: pl.LazyFrame, events: tuple[Event, ...], gone: Casualties) -> Iterator[Defect]:
    """Yield what the fault does not explain: calls after the break, and holes in what was served after it."""
    ours = calls.filter(pl.col("pod").is_in(sorted(gone.pods)), pl.col("started_ns") >= gone.injected_ns)
    started = ours.group_by("pod").agg(pl.col("started_ns").max()).sort("pod").collect()
    for pod, last_ns in started.iter_rows():
        if gone.boots[pod] and last_ns >= gone.boots[pod][0]:
            message = f"{pod} started again and made calls under the same run: two of them may share an id"
            yield Defect("restarted", pod, message)
    ends = {event.detail.pod: event.detail.served for event in events if isinstance(event, ServerEnd)}
    for pod in sorted(gone.late):
        yield from _served_since(calls, pod, max(gone.boots[pod], default=gone.injected_ns), ends.get(pod))


def _served_since(calls: pl.LazyFrame, pod: str, boot_ns: int, counted: int | None) -> Iterator[Defect]:
    served = calls.filter(pl.col("served_pod") == pod, pl.col("served_ns") >= boot_ns)
    rows = int(served.select(pl.len()).collect().item())
    if counted is None:
        message = f"server {pod} took the run up again and never reported its end: calls it served may be lost"
        yield Defect("missing-server-end", pod, message)
    elif counted != rows:
        message = f"server {pod} served {counted} calls after it started again, the table has {rows}: a hole"
        yield Defect("server-hole", pod, message)
