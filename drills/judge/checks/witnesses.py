"""Compares the two witnesses of a call: the outcome for the caller, and whether and how often a server served it."""

from collections.abc import Callable
from functools import partial

import polars as pl

from drills.judge.checks.lanes import on_edges
from drills.judge.checks.pairs import CONTRADICTED, FROM_CALLER, LOST, Pair, pairs_of
from drills.judge.checks.tally import all_true, deciding_reason, examples_of, need_edges
from drills.judge.history import History
from drills.judge.measure import Edge, Invariant, Measurement, Number, Truth
from drills.judge.records import Window


def attempts_per_request(*edges: Edge, at_most: int = 1, min_samples: int = 20) -> Invariant:
    """No request was served more than at_most times. Callers never retry, so proxies caused any further attempt.

    Only attempts that reached a server are seen; those that a proxy lost on the way are not.
    """
    need_edges(edges)

    def rule(pair: Pair) -> tuple[Truth, str]:
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
    """No posting is lost or duplicated, counted at both ends.

    Each call that its caller saw answered well was served exactly once, by its target; no call that certainly failed
    for its caller was served; and every served call is known to a caller. A call with an unknown outcome contradicts
    nothing and is counted separately. So is a call whose other witness the fault ended before it could record the call:
    whether it was served twice is not known.
    """
    need_edges(edges)

    def rule(pair: Pair) -> tuple[Truth, str]:
        harms = {"lost": pair.lost, "doubled": pair.doubled, "denied": pair.contradicted, "unclaimed": pair.unclaimed}
        if any(harms.values()):
            return Truth.FALSE, ", ".join(f"{count} {harm}" for harm, count in harms.items() if count)
        if pair.unsure:
            return Truth.UNKNOWN, f"{pair.unsure} calls were served by a server whose record had ended before"
        sure = pair.ok - pair.answered
        if sure < min_samples:
            return Truth.UNKNOWN, f"{sure} calls succeeded, needs {min_samples}"
        return Truth.TRUE, ""

    params: dict[str, Number] = {"min_samples": min_samples}
    # A gap in the server's record could explain a lost posting, but not one that is duplicated or denied.
    judged = partial(
        _holds, edges, rule, LOST | CONTRADICTED | ~FROM_CALLER, lambda pair: pair.doubled + pair.contradicted > 0
    )
    return Invariant("conservation", "every posting is served exactly once", judged, params, edges)


Rule = Callable[[Pair], tuple[Truth, str]]


def _holds(
    edges: tuple[Edge, ...],
    rule: Rule,
    harm: pl.Expr,
    is_proof: Callable[[Pair], bool],
    history: History,
    window: Window,
) -> Measurement:
    pairs = pairs_of(history, window, edges)
    rows = tuple(pair.row(*rule(pair)) for pair in pairs)
    truth = all_true([row.truth for row in rows])
    examples = examples_of(history.calls_in(window).filter(on_edges(edges), harm))
    if history.lost_pods is not None and truth is not Truth.FALSE:
        examples = ()  # a call that lacks a witness is not an example of harm
    at_ns = examples[0].at_ns if examples else None
    proven = any(is_proof(pair) for pair in pairs)
    return Measurement(truth, deciding_reason(rows, truth), rows, examples, at_ns=at_ns, is_proof=proven)
