"""Mutations of calls. The record stays consistent, so only a claim can notice them."""

from collections.abc import Sequence

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.checks.pairs import REFUSALS
from drills.judge.checks.policy_changes import OPEN_BEFORE_S
from drills.judge.events import MembershipSeen, NewPod, PolicyChangeStep, revised
from drills.judge.history import History
from drills.judge.mutations.target import FROM_CALLER, Target, by_staying_server, each_of, table, whole
from drills.judge.records import CALLS_SCHEMA, NS_PER_MS, NS_PER_S

WAS_SERVED = pl.col("served_ns").is_not_null()
SERVED_COLUMNS = ("served_ns", "served_pod", "served_version", "served_status", "peer")
CALLER_COLUMNS = (
    *("seq", "pod", "node", "scheduled_ns", "started_ns", "ended_ns"),
    *("outcome", "status", "error", "reused", "server_pod", "server_version"),
)
LATE_NS = 10 * NS_PER_S
OTHER_VERSION = "another"

Change = dict[str, pl.Expr]

NOT_SERVED: Change = {name: pl.lit(None, CALLS_SCHEMA[name]) for name in SERVED_COLUMNS}


def fail_all(history: History, target: Target) -> History:
    """Let every call fail."""
    return _change(history, target.calls(), _failed("connect-reset"))


def one_outage(history: History, target: Target) -> History:
    """Let every call fail for a second more than the claim allows, in the middle of the window."""
    half_ns = round((max(target.number("max_gap_s", 0), target.number("max_outage_s", 0)) + 1) * NS_PER_S / 2)
    is_out = pl.col("started_ns").is_between(target.middle_ns - half_ns, target.middle_ns + half_ns)
    return _change(history, target.calls() & is_out, _failed("connect-reset"))


def slow_down(history: History, target: Target) -> History:
    """Let every answer come ten seconds later."""
    return _change(history, target.calls(), {"ended_ns": pl.col("ended_ns") + LATE_NS})


def drop_calls(history: History, target: Target) -> History:
    """Remove these calls, as if they had not been made."""
    calls = table(history)
    return whole(history, calls.filter(~target.calls()))


def serve_refused(history: History, target: Target) -> History:
    """Let a server serve one call that was refused for its caller, by an error or by a connect timeout."""
    is_refused = target.calls() & ~SUCCEEDED & pl.col("error").is_in([*REFUSALS, "connect-timeout"])
    return _change(history, _first(is_refused), _served(history))


def let_one_in(history: History, target: Target) -> History:
    """Let one refused call succeed, for both witnesses."""
    return _change(history, _first(target.calls() & ~SUCCEEDED), _served(history) | _succeeded(history))


def let_last_in(history: History, target: Target) -> History:
    """Let the last refused call succeed, for both witnesses, as if enforcement had not begun by then."""
    is_refused, due = target.calls() & ~SUCCEEDED, pl.col("scheduled_ns")
    is_last = is_refused & (due == due.filter(is_refused).max())
    return _change(history, is_last, _served(history) | _succeeded(history))


def disown_call(history: History, target: Target) -> History:
    """Let one served call fail for its caller with an error that rules out that it was served."""
    return _change(history, _first(target.calls() & SUCCEEDED & WAS_SERVED), _ended("fail", "connect-refused"))


def lose_posting(history: History, target: Target) -> History:
    """Let one call that succeeded for its caller not have reached a server, which the fault does not end."""
    return _change(history, _first(target.calls() & SUCCEEDED & WAS_SERVED & by_staying_server(history)), NOT_SERVED)


def serve_twice(history: History, target: Target) -> History:
    """Let one call be served once more than the claim allows."""
    calls = table(history)
    again = calls.filter(_first(target.calls() & WAS_SERVED)).with_columns(
        *(pl.lit(None, CALLS_SCHEMA[name]).alias(name) for name in CALLER_COLUMNS),
        served_ns=pl.col("served_ns") + NS_PER_MS,
    )
    return whole(history, pl.concat([calls, *[again] * round(target.number("at_most", 1))]))


def swap_peer(history: History, target: Target) -> History:
    """Let one served call show the identity of another service."""
    names = sorted(history.facts.identities.items())
    other = [pl.when(pl.col("source") != name).then(pl.lit(f"URI={shown}")) for name, shown in names if shown]
    return _change(history, _first(target.calls() & WAS_SERVED), {"peer": pl.coalesce(*other, pl.lit("URI=unknown"))})


def hide_peer(history: History, target: Target) -> History:
    """Let one served call show no identity."""
    return _change(history, _first(target.calls() & WAS_SERVED), {"peer": pl.lit("")})


def serve_one_version(history: History, target: Target) -> History:
    """Let the version with the smaller weight serve everything."""
    version = target.text("version") if target.number("weight", 1) < 1 / 2 else OTHER_VERSION
    change = {"server_version": pl.lit(version), "served_version": pl.lit(version)}
    return _change(history, target.calls() & SUCCEEDED, change)


def pool_connections(history: History, target: Target) -> History:
    """Let every call travel on a reused connection."""
    return _change(history, target.calls(), {"reused": pl.lit(value=True)})


def darken_new_pods(history: History, target: Target) -> History:
    """Let no call succeed that a new pod of the window made or served."""
    names = [event.subject for event in history.events_in(target.window, NewPod)]
    return _change(history, _touches(names) & FROM_CALLER, _failed("connect-reset"))


def serve_unmeshed_pod(history: History, target: Target) -> History:
    """Let one refused call of a new pod outside the mesh succeed, for both witnesses."""
    unmeshed = [event.subject for event in history.events_in(target.window, NewPod) if event.detail.meshed is False]
    refused = pl.col("pod").is_in(unmeshed).fill_null(value=False) & ~SUCCEEDED
    return _change(history, _first(refused), _served(history) | _succeeded(history))


def silence_pod(history: History, target: Target) -> History:
    """Let no call of the window succeed that one pod of the mesh made or served."""
    lost = history.facts.lost_pods
    members = [it.subject for it in history.of_kind(MembershipSeen) if it.detail.expected and it.subject not in lost]
    served = history.calls_in(target.window).filter(pl.col("served_pod").is_in(members), SUCCEEDED)
    first = served.select("served_pod").head(1).collect()["served_pod"].to_list()
    due = pl.col("scheduled_ns").is_between(target.window.start_ns, target.window.end_ns).fill_null(value=False)
    return _change(history, _touches(first) & due, _failed("connect-reset"))


def _touches(pods: Sequence[str]) -> pl.Expr:
    """Select the calls that one of these pods made or served."""
    ends = (pl.col(name).is_in(pods).fill_null(value=False) for name in ("pod", "served_pod", "server_pod"))
    return pl.any_horizontal(*ends)


def ignore_changes(history: History, target: Target) -> History:
    """Let every policy change of the window be accepted, and every call that it forbids be served."""
    applied = [e for e in history.events_in(target.window, PolicyChangeStep) if e.detail.step == "apply"]
    forbidden = pl.any_horizontal(pl.lit(value=False), *(_forbids(event) for event in applied))
    open_ = _change(history, forbidden & ~SUCCEEDED, _served(history) | _succeeded(history))
    return each_of(open_, PolicyChangeStep, lambda e: revised(e, outcome="accepted", message="") if e in applied else e)


def _forbids(event: PolicyChangeStep) -> pl.Expr:
    """Select the calls that a change may forbid, and those just before, which show that the edge was open."""
    from_ns = event.at_ns - round(OPEN_BEFORE_S * NS_PER_S)
    is_edge = (pl.col("source") == event.detail.source) & (pl.col("target") == event.detail.target)
    return is_edge & (pl.col("scheduled_ns") >= from_ns).fill_null(value=False)


def _change(history: History, selected: pl.Expr, change: Change) -> History:
    when = pl.when(selected)
    columns = (when.then(value).otherwise(pl.col(name)).alias(name) for name, value in change.items())
    calls = table(history).with_columns(columns)
    return whole(history, calls.select(pl.col(name).cast(kind) for name, kind in CALLS_SCHEMA.items()))


def _first(selected: pl.Expr) -> pl.Expr:
    """Select the first of the selected rows."""
    return selected & (selected.cast(pl.Int64).cum_sum() == 1)


def _failed(error: str) -> Change:
    return _ended("fail", error) | NOT_SERVED


def _ended(outcome: str, error: str) -> dict[str, pl.Expr]:
    no_server = {name: pl.lit(None, pl.String) for name in ("server_pod", "server_version")}
    return {"outcome": pl.lit(outcome), "status": pl.lit(0), "error": pl.lit(error)} | no_server


def _pod_of_target(history: History) -> pl.Expr:
    """Return a pod that serves the row's target, or the target's name when the record has none."""
    seen = history.judged.filter(WAS_SERVED).group_by("target").agg(pl.col("served_pod").min()).collect()
    return pl.col("target").replace(dict(seen.rows()))


def _served(history: History) -> dict[str, pl.Expr]:
    return {
        "served_ns": pl.col("started_ns") + NS_PER_MS,
        "served_pod": _pod_of_target(history),
        "served_version": pl.lit("v1"),
        "served_status": pl.lit(200),
        "peer": pl.lit(""),
    }


def _succeeded(history: History) -> dict[str, pl.Expr]:
    answered = {"server_pod": _pod_of_target(history), "server_version": pl.lit("v1")}
    return {"outcome": pl.lit("ok"), "status": pl.lit(200), "error": pl.lit("")} | answered
