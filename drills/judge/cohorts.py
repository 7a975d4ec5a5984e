"""Splits calls into two cohorts, standing pods and new pods, which are judged apart: they fail in different ways.

A pod is new when the plan of the run does not name it and its first call was due, or served, after the baseline.
A planned caller that starts late is not new: its silence is a gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from drills.judge.keys import CALLER, CallerKey
from drills.judge.records import RunFacts, Window


def subject_of(source: str, target: str, *, is_new: bool) -> str:
    """Return the subject of a row: its edge, and whether it is about new pods."""
    return f"{source}->{target}{', new pods' if is_new else ''}"


@dataclass(frozen=True)
class Cohort:
    """One cohort. holds: selects its calls; None for all calls."""

    is_new: bool
    holds: pl.Expr | None

    def of(self, calls: pl.LazyFrame) -> pl.LazyFrame:
        """Return the calls of this cohort."""
        return calls if self.holds is None else calls.filter(self.holds)


@dataclass(frozen=True)
class NewPods:
    """The new pods of a run.

    callers: caller to the instant, in ns, at which the first call of its pod was due. servers: pods that serve.
    """

    callers: Mapping[CallerKey, int] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()

    @property
    def since_ns(self) -> dict[str, int]:
        """When the first call of each new pod was due."""
        return {pod: at_ns for (_, _, _, pod), at_ns in self.callers.items()}

    def by_caller(self) -> tuple[Cohort, ...]:
        """Split calls by the pod that made them; a call that only a server saw, by the pod that served it."""
        return _cohorts(self, pl.coalesce(_is_in("pod", self.since_ns), _is_in("served_pod", self.servers)))

    def by_either_end(self) -> tuple[Cohort, ...]:
        """Split calls by both of their pods: a call is new when a new pod made it or served it."""
        is_made = _is_in("pod", self.since_ns).fill_null(value=False)
        return _cohorts(self, is_made | _is_in("served_pod", self.servers))


def new_pods_of(calls: pl.LazyFrame, facts: RunFacts, baseline: Window | None) -> NewPods:
    """Return the new pods; none where no baseline was recorded, as no pod is known to be later than it.

    Reads few rows: the statistics of a Parquet file exclude those of planned pods.
    """
    if baseline is None:
        return NewPods()
    callers = {caller.pod for caller in facts.callers}
    made = _unplanned(calls, "pod", callers).group_by(CALLER).agg(at_ns=pl.col("scheduled_ns").min())
    served = _unplanned(calls, "served_pod", facts.servers).group_by("served_pod").agg(at_ns=pl.col("served_ns").min())
    first = made.with_columns(pl.col("at_ns").min().over("pod"))
    is_new = pl.col("at_ns") >= baseline.end_ns
    seen, servers = pl.collect_all([first.filter(is_new), served.filter(is_new)], engine="streaming")
    return NewPods(
        {(source, target, connection, pod): at_ns for source, target, connection, pod, at_ns in seen.iter_rows()},
        frozenset(servers["served_pod"]),
    )


def _unplanned(calls: pl.LazyFrame, column: str, known: set[str] | tuple[str, ...]) -> pl.LazyFrame:
    return calls.filter(pl.col(column).is_not_null(), ~pl.col(column).is_in(sorted(known)))


def _is_in(column: str, pods: Mapping[str, int] | frozenset[str]) -> pl.Expr:
    return pl.col(column).is_in(sorted(pods))


def _cohorts(new_pods: NewPods, is_new: pl.Expr) -> tuple[Cohort, ...]:
    if not new_pods.callers and not new_pods.servers:
        return (Cohort(is_new=False, holds=None),)
    known = is_new.fill_null(value=False)
    return Cohort(is_new=False, holds=~known), Cohort(is_new=True, holds=known)
