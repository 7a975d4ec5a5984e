"""Counts what both witnesses, callers and servers, recorded about the calls of each lane.

A call belongs to the cohort of the pod that made it. So does a further serving of it, which has a row of its own; a
serving that no caller knows belongs to the cohort of the pod that served it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, WAS_MADE, on_edges
from drills.judge.checks.liveness import ANSWERS
from drills.judge.checks.unwritten import unwritten
from drills.judge.cohorts import Cohort, subject_of
from drills.judge.history import History
from drills.judge.keys import LANE, LaneKey
from drills.judge.measure import Edge, Row, Truth
from drills.judge.records import WRONG_SERVICE, Window

REFUSALS = sorted(ANSWERS | {"http-401", "http-403"})
"""Errors that state a refusal."""

FROM_CALLER = pl.col("scheduled_ns").is_not_null()
WAS_SERVED = pl.col("served_ns").is_not_null()
FAILED_YET_SERVED = FROM_CALLER & WAS_MADE & ~SUCCEEDED & WAS_SERVED
CONTRADICTED = FROM_CALLER & (pl.col("outcome") == "fail") & WAS_SERVED
LOST = FROM_CALLER & (SUCCEEDED | (pl.col("error") == WRONG_SERVICE).fill_null(value=False)) & ~WAS_SERVED
"""The caller got a good answer, and its target did not serve the call."""


class _Calls(msgspec.Struct, frozen=True):
    """The callers' rows of one lane, compared with what the servers recorded for the same calls."""

    source: str
    target: str
    connection: str
    made: int
    ok: int
    served: int
    served_not_ok: int
    lost: int
    contradicted: int


class _More(msgspec.Struct, frozen=True):
    """Servings of one lane after the first of each request, and those of requests that no caller knows."""

    source: str
    target: str
    connection: str
    servings: int = 0
    doubled: int = 0
    unclaimed: int = 0
    most_attempts: int = 0


class Pair(_Calls, frozen=True):
    """Both for one lane."""

    servings: int
    doubled: int
    unclaimed: int
    most_attempts: int
    answered: int = 0  # these three are counted when the fault ends pods: see unwritten.py
    unsure: int = 0
    orphaned: int = 0
    ends_pods: bool = False
    is_new: bool = False  # of new pods

    def row(self, truth: Truth, reason: str) -> Row:
        """Return the row of a finding."""
        numbers = {key: value for key, value in msgspec.structs.asdict(self).items() if key not in self._unshown()}
        subject = subject_of(self.source, self.target, is_new=self.is_new)
        return Row(subject, self.connection, truth, numbers, reason)

    def _unshown(self) -> set[str]:
        apart = {"answered", "unsure", "orphaned"}
        return {*LANE, "ends_pods", "is_new"} | (set() if self.ends_pods else apart)


def pairs_of(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[Pair, ...]:
    """Return every lane of the edges in a stable order, and "none" for an edge with no call on record."""
    calls = history.calls_in(window).filter(on_edges(edges)).with_columns(pl.col("connection").fill_null("unknown"))
    claimed = history.judged.filter(on_edges(edges), FROM_CALLER)
    cohorts = history.new_pods.by_caller()
    servings = calls.filter(~FROM_CALLER, WAS_SERVED)
    servings = servings if len(cohorts) == 1 else _with_callers(servings, claimed)
    more = pl.collect_all([_beyond(cohort.of(servings), claimed) for cohort in cohorts], engine="streaming")
    lanes = [list(_of_cohort(cohort, calls, rows)) for cohort, rows in zip(cohorts, more, strict=True)]
    asked = {(pair.source, pair.target) for pairs in lanes for pair in pairs}
    lanes[0] += [_pair((*edge, "none"), None, None) for edge in set(edges) - asked]
    pairs = chain(
        *(_without_unwritten(history, cohort.of(calls), ours) for cohort, ours in zip(cohorts, lanes, strict=True))
    )
    return tuple(sorted(pairs, key=lambda pair: (*_lane(pair), pair.is_new)))


def _with_callers(servings: pl.LazyFrame, claimed: pl.LazyFrame) -> pl.LazyFrame:
    """Add to each serving in a row of its own the pod that made the request, where it is known."""
    made = claimed.select("id", "pod").unique("id")
    return servings.drop("pod").join(made, on="id", how="left")


def _of_cohort(cohort: Cohort, calls: pl.LazyFrame, more: pl.DataFrame) -> Iterator[Pair]:
    ours = _ours(cohort.of(calls.filter(FROM_CALLER)))
    extra = {_lane(row): row for row in msgspec.convert(more.to_dicts(), list[_More])}
    for key in set(ours) | set(extra):
        pair = _pair(key, ours.get(key), extra.get(key))
        yield msgspec.structs.replace(pair, is_new=cohort.is_new)


def _without_unwritten(history: History, calls: pl.LazyFrame, pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Count calls separately that lack a witness because the fault ended it."""
    lacking = unwritten(history, calls)
    for pair in pairs:
        if lacking is None:
            yield pair
            continue
        key = (pair.source, pair.target, pair.connection)
        answered, unsure, orphaned = lacking.answered[key], lacking.unsure[key], lacking.orphaned[key]
        yield msgspec.structs.replace(
            pair,
            lost=pair.lost - answered - unsure,
            unclaimed=pair.unclaimed - orphaned,
            answered=answered,
            unsure=unsure,
            orphaned=orphaned,
            ends_pods=True,
        )


def _ours(calls: pl.LazyFrame) -> dict[LaneKey, _Calls]:
    """Count every lane. Equal calls are grouped first, so that their meaning is computed once."""
    alike = calls.group_by(*LANE, "outcome", "error", is_served=WAS_SERVED)
    kinds = alike.agg(pl.col("scheduled_ns", "served_ns").min(), calls=pl.len()).collect(engine="streaming")
    counts = kinds.group_by(LANE).agg(**_meanings())
    return {_lane(row): row for row in msgspec.convert(counts.to_dicts(), list[_Calls])}


def _meanings() -> dict[str, pl.Expr]:
    meanings = {
        "made": WAS_MADE,
        "ok": SUCCEEDED,
        "served": WAS_SERVED,
        "served_not_ok": FAILED_YET_SERVED,
        "lost": LOST,
        "contradicted": CONTRADICTED,
    }
    return {name: pl.col("calls").filter(meaning).sum() for name, meaning in meanings.items()}


def _beyond(servings: pl.LazyFrame, claimed: pl.LazyFrame) -> pl.LazyFrame:
    """Count, per lane, servings in rows of their own; they are few, so the join is cheap."""
    requests = servings.group_by(*LANE, "id").agg(servings=pl.len())
    known = claimed.join(requests.select("id"), on="id", how="semi").select("id", first=WAS_SERVED.cast(pl.UInt32))
    attempts = pl.col("servings") + pl.col("first").fill_null(0)
    return (
        requests.join(known, on="id", how="left")
        .group_by(LANE)
        .agg(
            servings=pl.col("servings").sum(),
            doubled=(attempts > 1).sum(),
            unclaimed=pl.col("first").is_null().sum(),
            most_attempts=attempts.max(),
        )
    )


def _lane(row: _Calls | _More) -> LaneKey:
    return row.source, row.target, row.connection


def _pair(key: LaneKey, made: _Calls | None, more: _More | None) -> Pair:
    ours, extra = made or _Calls(*key, *[0] * 6), more or _More(*key)
    return Pair(
        **msgspec.structs.asdict(ours),
        servings=ours.served + extra.servings,
        doubled=extra.doubled,
        unclaimed=extra.unclaimed,
        most_attempts=max(extra.most_attempts, min(ours.served, 1)),
    )
