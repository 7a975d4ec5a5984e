"""Pods that the fault itself ends together with their node, and the breaks in their records that the fault explains.

What such a pod recorded is evidence like any other. What it did between its last line and its next start is unknown,
and never counts as "nothing happened".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from drills.judge.events import Event, FaultInjected, ProgramStarted, ServerEnd, ServerRejoined
from drills.judge.records import NS_PER_S, Defect, RunFacts

LONGEST_CALL_S = 2.0
"""No call lasts longer. Calls in flight when their caller ended have no line, so its last seconds have holes."""

UNWRITTEN_S = 1.0
"""How late a program may write a line. It buffers for 0.05 s, longer on a busy machine."""


@dataclass(frozen=True)
class LostPods:
    """The pods that the fault ended, and when they started again.

    injected_ns: the fault explains ends from this instant on. boots: pod to the later starts of its program.
    late: pods that rejoined the run, as servers only. first_boots: node to the first of the boots on it.
    """

    pods: frozenset[str]
    injected_ns: int
    boots: dict[str, tuple[int, ...]]
    late: frozenset[str]
    first_boots: dict[str, int]

    @property
    def sure_until_ns(self) -> int:
        """Calls due before this instant had ended and were recorded when their caller ended."""
        return self.injected_ns - round(LONGEST_CALL_S * NS_PER_S)

    def explains(self, boot: ProgramStarted) -> bool:
        """Whether the fault caused this start of a program."""
        return boot.detail.pod in self.pods and boot.at_ns >= self.injected_ns

    def undisturbed(self, calls: pl.LazyFrame) -> pl.LazyFrame:
        """Return the calls without those of lost pods that may be recorded incompletely."""
        is_theirs = pl.col("pod").is_in(sorted(self.pods)).fill_null(value=False)
        return calls.filter(~is_theirs | (pl.col("scheduled_ns") < self.sure_until_ns))


def lost_pods_of(events: tuple[Event, ...], facts: RunFacts) -> LostPods | None:
    """Return the pods that the fault ended; None when it ends none, or was never injected."""
    injected_ns = min((event.at_ns for event in events if isinstance(event, FaultInjected)), default=None)
    if not facts.lost_pods or injected_ns is None:
        return None
    pods = frozenset(facts.lost_pods)
    boots = sorted(
        (e for e in events if isinstance(e, ProgramStarted) and e.detail.pod in pods and e.at_ns >= injected_ns),
        key=_by_clock,
    )
    return LostPods(
        pods=pods,
        injected_ns=injected_ns,
        boots={pod: tuple(e.at_ns for e in boots if e.detail.pod == pod) for pod in pods},
        late=frozenset(e.detail.pod for e in events if isinstance(e, ServerRejoined) and e.detail.pod in pods),
        first_boots={event.detail.node: event.at_ns for event in reversed(boots)},
    )


def _by_clock(event: Event) -> int:
    return event.at_ns


def find_lost_pod_defects(calls: pl.LazyFrame, events: tuple[Event, ...], lost: LostPods) -> Iterator[Defect]:
    """Yield what the fault does not explain: calls after a restart, and holes in the calls served after it."""
    ours = calls.filter(pl.col("pod").is_in(sorted(lost.pods)), pl.col("started_ns") >= lost.injected_ns)
    started = ours.group_by("pod").agg(pl.col("started_ns").max()).sort("pod").collect()
    for pod, last_ns in started.iter_rows():
        if lost.boots[pod] and last_ns >= lost.boots[pod][0]:
            message = f"{pod} restarted and made calls in the same run: two of its calls may share an id"
            yield Defect("restarted", pod, message)
    ends = {event.detail.pod: event.detail.served for event in events if isinstance(event, ServerEnd)}
    for pod in sorted(lost.late):
        yield from _served_since(calls, pod, max(lost.boots[pod], default=lost.injected_ns), ends.get(pod))


def _served_since(calls: pl.LazyFrame, pod: str, boot_ns: int, counted: int | None) -> Iterator[Defect]:
    served = calls.filter(pl.col("served_pod") == pod, pl.col("served_ns") >= boot_ns)
    rows = int(served.select(pl.len()).collect().item())
    if counted is None:
        message = f"server {pod} rejoined the run and never reported its end: calls it served may be lost"
        yield Defect("missing-server-end", pod, message)
    elif counted != rows:
        message = f"server {pod} served {counted} calls after it restarted, the table has {rows}: its record has a gap"
        yield Defect("server-hole", pod, message)
