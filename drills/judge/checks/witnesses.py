"""Two witnesses of one call: what the caller was told against what the server did, and how often it did it."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, WAS_MADE, on_edges
from drills.judge.checks.security import ANSWERS
from drills.judge.checks.tally import all_true, any_true, deciding_reason, examples_of, need_edges
from drills.judge.checks.unwritten import unwritten
from drills.judge.history import History
from drills.judge.measure import Edge, Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.records import Window

REFUSALS = sorted(ANSWERS | {"http-401", "http-403"})
"""Errors that tell a caller in so many words that it was not let in."""

LANE = ("source", "target", "connection")
FROM_CALLER = pl.col("scheduled_ns").is_not_null()
WAS_SERVED = pl.col("served_ns").is_not_null()
WAS_REFUSED = WAS_MADE & ~SUCCEEDED & pl.col("error").is_in(REFUSALS)
DENIED_YET_SERVED = FROM_CALLER & WAS_REFUSED & WAS_SERVED
FAILED_YET_SERVED = FROM_CALLER & WAS_MADE & ~SUCCEEDED & WAS_SERVED
CONTRADICTED = FROM_CALLER & (pl.col("outcome") == "fail") & WAS_SERVED
LOST = FROM_CALLER & SUCCEEDED & ~WAS_SERVED


def served_but_failed(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """A server served a call whose caller got no good answer: work was done and nobody told the caller.

    That it never happened is known only where enough calls were made and the target wrote down that it served anybody.
    """
    need_edges(edges)

    def rule(pair: _Pair) -> tuple[Truth, str]:
        if pair.served_not_ok:
            return Truth.TRUE, f"{pair.served_not_ok} of {pair.made} calls were served and not answered well"
        if pair.made < min_samples:
            return Truth.UNKNOWN, f"{pair.made} calls, needs {min_samples}"
        return _unless_silent(pair)

    says = "a call is served whose caller got no good answer"
    judged = partial(_occurs, edges, rule, FAILED_YET_SERVED)
    return Occurrence("served_but_failed", says, judged, {"min_samples": min_samples}, edges)


def denied_but_served(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """A caller was told that it is refused, and a server served the call all the same.

    That it never happened is known only where enough calls were refused and the target served somebody.
    """
    need_edges(edges)

    def rule(pair: _Pair) -> tuple[Truth, str]:
        if pair.served_refused:
            return Truth.TRUE, f"{pair.served_refused} of {pair.refused} refused calls were served"
        if pair.refused < min_samples:
            return Truth.UNKNOWN, f"{pair.refused} calls were refused, needs {min_samples}"
        return _unless_silent(pair)

    says = "a refused call is served"
    judged = partial(_occurs, edges, rule, DENIED_YET_SERVED)
    return Occurrence("denied_but_served", says, judged, {"min_samples": min_samples}, edges)


def attempts_per_request(*edges: Edge, at_most: int = 1, min_samples: int = 20) -> Invariant:
    """No request was served more than at_most times: the callers never retry, so more is what proxies added.

    Only attempts that reached a server are seen; those that a proxy lost on the way are not.
    """
    need_edges(edges)

    def rule(pair: _Pair) -> tuple[Truth, str]:
        if pair.most_attempts > at_most:
            return Truth.FALSE, f"a request was served {pair.most_attempts} times, at most {at_most} may be"
        if pair.served < min_samples:
            return Truth.UNKNOWN, f"{pair.served} requests were served, needs {min_samples}"
        return Truth.TRUE, ""

    says = f"no request is served more than {at_most} times"
    params: dict[str, Number] = {"at_most": at_most, "min_samples": min_samples}
    judged = partial(_holds, edges, rule, ~FROM_CALLER, lambda pair: pair.most_attempts > at_most)
    return Invariant("attempts_per_request", says, judged, params, edges)


def conservation(*edges: Edge, min_samples: int = 20) -> Invariant:
    """No posting is lost or doubled, counted from both ends: the caller's ledger and the server's.

    Each call that its caller counts as done was served exactly once; none that its caller counts as certainly not
    done was served; and none was served that no caller knows. A caller that cannot know its outcome contradicts
    nothing; such calls are counted apart. So are calls whose other witness the fault itself ended just then, before it
    could write them down: whether one of them was served twice is not known.
    """
    need_edges(edges)

    def rule(pair: _Pair) -> tuple[Truth, str]:
        harms = {"lost": pair.lost, "doubled": pair.doubled, "denied": pair.contradicted, "unclaimed": pair.unclaimed}
        if any(harms.values()):
            return Truth.FALSE, ", ".join(f"{count} {harm}" for harm, count in harms.items() if count)
        if pair.unsure:
            return Truth.UNKNOWN, f"{pair.unsure} calls were done by a server whose record had ended before"
        sure = pair.ok - pair.answered
        if sure < min_samples:
            return Truth.UNKNOWN, f"{sure} calls were done, needs {min_samples}"
        return Truth.TRUE, ""

    params: dict[str, Number] = {"min_samples": min_samples}
    # A lost posting may be a hole in the server's record; one that was written down twice or denied may not.
    judged = partial(
        _holds, edges, rule, LOST | CONTRADICTED | ~FROM_CALLER, lambda pair: pair.doubled + pair.contradicted > 0
    )
    return Invariant("conservation", "every posting is served exactly once", judged, params, edges)


class _Told(msgspec.Struct, frozen=True):
    """What the callers' rows of one lane say, beside what the servers wrote for the same calls."""

    source: str
    target: str
    connection: str
    made: int
    ok: int
    refused: int
    served: int
    served_not_ok: int
    served_refused: int
    lost: int
    contradicted: int


class _More(msgspec.Struct, frozen=True):
    """Servings of one lane beyond the first of each request, or of a request that no caller knows."""

    source: str
    target: str
    connection: str
    servings: int = 0
    doubled: int = 0
    unclaimed: int = 0
    most_attempts: int = 0


class _Pair(_Told, frozen=True):
    """Both, and whether the target wrote down that it served anybody in the window."""

    servings: int
    doubled: int
    unclaimed: int
    most_attempts: int
    is_target_live: bool
    answered: int = 0  # these four are counted where the fault ends pods: see unwritten.py
    unsure: int = 0
    orphaned: int = 0
    unwitnessed: int = 0
    ends_pods: bool = False

    def row(self, truth: Truth, reason: str) -> Row:
        """Return the row of a finding."""
        numbers = {key: value for key, value in msgspec.structs.asdict(self).items() if key not in self._unshown()}
        return Row(f"{self.source}->{self.target}", self.connection, truth, numbers, reason)

    def _unshown(self) -> set[str]:
        return {*LANE, "ends_pods"} | (set() if self.ends_pods else {"answered", "unsure", "orphaned", "unwitnessed"})


Rule = Callable[[_Pair], tuple[Truth, str]]


def _unless_silent(pair: _Pair) -> tuple[Truth, str]:
    if not pair.is_target_live:
        return Truth.UNKNOWN, f"{pair.target} wrote down no call of anybody: what it served is not known"
    if pair.unwitnessed:
        return Truth.UNKNOWN, f"{pair.unwitnessed} calls failed while a server's record was ended with its node"
    return Truth.FALSE, ""


def _pairs(history: History, window: Window, edges: tuple[Edge, ...]) -> tuple[_Pair, ...]:
    in_window = history.calls_in(window)
    calls = in_window.filter(on_edges(edges)).with_columns(pl.col("connection").fill_null("unknown"))
    more, live = pl.collect_all(
        [
            _beyond(calls.filter(~FROM_CALLER, WAS_SERVED), history.calls.filter(on_edges(edges), FROM_CALLER)),
            in_window.filter(WAS_SERVED).select("target").unique(),
        ],
        engine="streaming",
    )
    ours = _ours(calls.filter(FROM_CALLER))
    extra = {_lane(row): row for row in msgspec.convert(more.to_dicts(), list[_More])}
    keys = set(ours) | set(extra)
    keys |= {(*edge, "none") for edge in edges if edge not in {key[:2] for key in keys}}
    pairs = [_pair(key, ours.get(key), extra.get(key), (key[1],) in set(live.rows())) for key in sorted(keys)]
    return tuple(_without_unwritten(history, window, edges, pairs))


def _without_unwritten(
    history: History, window: Window, edges: tuple[Edge, ...], pairs: list[_Pair]
) -> Iterator[_Pair]:
    """Count apart what lacks a witness because the fault ended it."""
    lacking = unwritten(history, window, edges)
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
            unwitnessed=lacking.unwitnessed[key],
            ends_pods=True,
        )


def _ours(calls: pl.LazyFrame) -> dict[tuple[str, str, str], _Told]:
    """Count every lane. Calls that are alike are counted first, and what they mean is asked once for all of them."""
    alike = calls.group_by(*LANE, "outcome", "error", is_served=WAS_SERVED)
    kinds = alike.agg(pl.col("scheduled_ns", "served_ns").min(), calls=pl.len()).collect(engine="streaming")
    told = kinds.group_by(LANE).agg(**_told())
    return {_lane(row): row for row in msgspec.convert(told.to_dicts(), list[_Told])}


def _told() -> dict[str, pl.Expr]:
    meanings = {
        "made": WAS_MADE,
        "ok": SUCCEEDED,
        "refused": WAS_REFUSED,
        "served": WAS_SERVED,
        "served_not_ok": FAILED_YET_SERVED,
        "served_refused": DENIED_YET_SERVED,
        "lost": LOST,
        "contradicted": CONTRADICTED,
    }
    return {name: pl.col("calls").filter(meaning).sum() for name, meaning in meanings.items()}


def _beyond(servings: pl.LazyFrame, claimed: pl.LazyFrame) -> pl.LazyFrame:
    """Count, per lane, servings that stand in rows of their own; they are few, so the join is cheap."""
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


def _lane(row: _Told | _More) -> tuple[str, str, str]:
    return row.source, row.target, row.connection


def _pair(key: tuple[str, str, str], told: _Told | None, more: _More | None, is_target_live: bool) -> _Pair:
    ours, extra = told or _Told(*key, *[0] * 8), more or _More(*key)
    return _Pair(
        **msgspec.structs.asdict(ours),
        servings=ours.served + extra.servings,
        doubled=extra.doubled,
        unclaimed=extra.unclaimed,
        most_attempts=max(extra.most_attempts, min(ours.served, 1)),
        is_target_live=is_target_live,
    )


def _occurs(edges: tuple[Edge, ...], rule: Rule, harm: pl.Expr, history: History, window: Window) -> Measurement:
    rows = tuple(pair.row(*rule(pair)) for pair in _pairs(history, window, edges))
    truth = any_true([row.truth for row in rows])
    examples = examples_of(history.calls_in(window).filter(on_edges(edges), harm))
    at_ns = examples[0].at_ns if examples else None
    return Measurement(truth, deciding_reason(rows, truth), rows, examples, at_ns=at_ns, is_proof=truth is Truth.TRUE)


def _holds(
    edges: tuple[Edge, ...],
    rule: Rule,
    harm: pl.Expr,
    is_proof: Callable[[_Pair], bool],
    history: History,
    window: Window,
) -> Measurement:
    pairs = _pairs(history, window, edges)
    rows = tuple(pair.row(*rule(pair)) for pair in pairs)
    truth = all_true([row.truth for row in rows])
    examples = examples_of(history.calls_in(window).filter(on_edges(edges), harm))
    if history.casualties is not None and truth is not Truth.FALSE:
        examples = ()  # what lacks a witness is no example of harm
    at_ns = examples[0].at_ns if examples else None
    proven = any(is_proof(pair) for pair in pairs)
    return Measurement(truth, deciding_reason(rows, truth), rows, examples, at_ns=at_ns, is_proof=proven)
