"""Pods that came up while the run went on: what is new fails in other ways than what stands, so it is judged apart.

A pod is new when the run did not begin with it, by its plan, and its first call was due, or served, after the
baseline. A planned caller that is silent at first is none: its silence is a gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from drills.judge.callers import CALLER, CallerKey
from drills.judge.records import RunFacts, Window


def subject_of(source: str, target: str, *, is_new: bool) -> str:
    """Return the name of a row: its edge, and that it is of new pods."""
    return f"{source}->{target}{', new pods' if is_new else ''}"


@dataclass(frozen=True)
class Age:
    """One of the two sorts of pods, and which calls are of that sort; None where all are."""

    is_new: bool
    holds: pl.Expr | None

    def of(self, calls: pl.LazyFrame) -> pl.LazyFrame:
        """Return the calls of this sort."""
        return calls if self.holds is None else calls.filter(self.holds)


@dataclass(frozen=True)
class Newcomers:
    """The new pods of a run.

    callers: those that call, by source, target, connection and pod: when the first call of the pod was due, in ns.
    servers: those that serve.
    """

    callers: Mapping[CallerKey, int] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()

    @property
    def since_ns(self) -> dict[str, int]:
        """When the first call of each new pod was due."""
        return {pod: at_ns for (_, _, _, pod), at_ns in self.callers.items()}

    def by_caller(self) -> tuple[Age, ...]:
        """Tell calls apart by the pod that made them; of one that only a server saw, by the pod that served it."""
        return _ages(self, pl.coalesce(_is_in("pod", self.since_ns), _is_in("served_pod", self.servers)))

    def by_either(self) -> tuple[Age, ...]:
        """Tell calls apart by both of their pods: new is a call that a new pod made, or that a new pod served."""
        is_made = _is_in("pod", self.since_ns).fill_null(value=False)
        return _ages(self, is_made | _is_in("served_pod", self.servers))


def newcomers_of(calls: pl.LazyFrame, facts: RunFacts, baseline: Window | None) -> Newcomers:
    """Return the new pods; none where no baseline was recorded, as nobody knows what was before.

    Hardly a row is read for it as long as each pod is one of the plan: a file's statistics tell.
    """
    if baseline is None:
        return Newcomers()
    callers = {caller.pod for caller in facts.callers}
    made = _strangers(calls, "pod", callers).group_by(CALLER).agg(at_ns=pl.col("scheduled_ns").min())
    served = _strangers(calls, "served_pod", facts.servers).group_by("served_pod").agg(at_ns=pl.col("served_ns").min())
    first = made.with_columns(pl.col("at_ns").min().over("pod"))
    is_new = pl.col("at_ns") >= baseline.end_ns
    seen, servers = pl.collect_all([first.filter(is_new), served.filter(is_new)], engine="streaming")
    return Newcomers(
        {(source, target, connection, pod): at_ns for source, target, connection, pod, at_ns in seen.iter_rows()},
        frozenset(servers["served_pod"]),
    )


def _strangers(calls: pl.LazyFrame, column: str, known: set[str] | tuple[str, ...]) -> pl.LazyFrame:
    return calls.filter(pl.col(column).is_not_null(), ~pl.col(column).is_in(sorted(known)))


def _is_in(column: str, pods: Mapping[str, int] | frozenset[str]) -> pl.Expr:
    return pl.col(column).is_in(sorted(pods))


def _ages(newcomers: Newcomers, is_new: pl.Expr) -> tuple[Age, ...]:
    if not newcomers.callers and not newcomers.servers:
        return (Age(is_new=False, holds=None),)
    known = is_new.fill_null(value=False)
    return Age(is_new=False, holds=~known), Age(is_new=True, holds=known)
