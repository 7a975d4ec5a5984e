"""The fate of policy changes made during the run: refused, enforced in time, or accepted and ignored.

A change forbids one edge. The calls of that edge show whether it is enforced: they succeeded before it, and must be
refused from within_s after the API accepted it until its removal was requested. That its target is down looks the same
for its callers: so another caller of the target must succeed meanwhile or, where the run has no such caller, the edge
must be open again soon after the removal. Calls that found no address count for nothing, and a caller that only times
out must get through again. A proxy that authorizes connections
only when they open enforces a change on new connections, not on open ones; so each kind can be checked by itself.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import polars as pl

from drills.judge.checks.lanes import ASKED, SUCCEEDED, on_edges
from drills.judge.checks.liveness import SPOKE
from drills.judge.checks.security import SERVED
from drills.judge.events import PolicyChangeStep
from drills.judge.history import History
from drills.judge.measure import (
    MAX_EXAMPLES,
    Example,
    Harm,
    Invariant,
    Measurement,
    Need,
    Number,
    Occurrence,
    Row,
    Truth,
)
from drills.judge.records import NS_PER_S, Window

OPEN_BEFORE_S = 5.0
"""An edge without a success in this time before the change was closed already: its refusals prove nothing."""

REOPENED_S = 5.0
"""An edge whose target no other caller calls must be open within this time and within_s after the removal."""

BESIDE_S = 2.0
"""The target must serve another caller at least this often, or it may have been down for some of the refused calls."""

REFUSED = "refused"
ACCEPTED = "accepted"
ENFORCED = "enforced"
IGNORED = "accepted and ignored"
UNKNOWN = "accepted, effect not found out"
FAILED = "could not be asked"

_FOR_EVER = 1 << 62

_NEEDS = frozenset({Need.POLICY_CHANGES})


def change_ignored(within_s: float, connection: str = "", min_samples: int = 5) -> Occurrence:
    """A change was accepted, and a call it forbids was served more than within_s later, before its removal.

    A change that was in place for less than within_s, or whose edge was closed before, proves nothing.
    connection: NEW or REUSED, "" for calls on both.
    """
    says = f"a policy change is accepted and not enforced after {within_s:g} s{_on(connection)}"
    rule = _Rule(within_s, connection, min_samples)
    return Occurrence("change_ignored", says, partial(_ignored, rule), rule.params, needs=_NEEDS)


def change_enforced(within_s: float, connection: str = "", min_samples: int = 5) -> Invariant:
    """Every change that the API answered was accepted and enforced within within_s until its removal.

    connection: NEW or REUSED, "" for calls on both.
    """
    says = f"every policy change is accepted and enforced within {within_s:g} s{_on(connection)}"
    rule = _Rule(within_s, connection, min_samples)
    return Invariant("change_enforced", says, partial(_enforced, rule), rule.params, needs=_NEEDS)


def change_tried() -> Occurrence:
    """The API accepted or refused at least one change."""
    return Occurrence("change_tried", "a policy change is tried", _tried, needs=_NEEDS)


@dataclass(frozen=True)
class _Rule:
    """What makes a change enforced, and on which calls."""

    within_s: float
    connection: str
    min_samples: int

    @property
    def params(self) -> dict[str, Number]:
        return {"within_s": self.within_s, "connection": self.connection, "min_samples": self.min_samples}

    @property
    def calls(self) -> pl.Expr:
        return pl.col("connection") == self.connection if self.connection else pl.lit(value=True)


def _on(connection: str) -> str:
    return f" on {connection} connections" if connection else ""


@dataclass(frozen=True)
class _Change:
    name: str
    at_ns: int
    fate: str
    message: str = ""
    examples: tuple[Example, ...] = ()
    since_ns: int | None = None  # when its enforcement was first seen

    def shown(self) -> tuple[Example, ...]:
        return self.examples or (Example(self.name, self.at_ns, self.fate, self.message),)


@dataclass(frozen=True)
class _Hold:
    """What the calls showed while a change was due.

    calls: those of its edge from its application on, with `at_ns` (when they were due), `ended_ns`, `is_served`,
    `spoke` (whether the answer came from beyond the caller) and `counts` (whether the change is due by then).
    beside_ns: when other callers of its target had a success. was_open, reopened: whether the edge had a success before
    and after.
    """

    was_open: bool
    calls: pl.DataFrame
    beside_ns: tuple[int, ...]
    reopened: bool
    has_other_caller: bool


def _changes(history: History, window: Window, rule: _Rule) -> tuple[_Change, ...]:
    """Return the fate of each change that was applied in a window, or still was in force and called there."""
    found = (_judge_change(history, event, rule, window) for event in _applied(history))
    return tuple(change for change in found if change is not None)


def _applied(history: History) -> tuple[PolicyChangeStep, ...]:
    return tuple(event for event in history.of_kind(PolicyChangeStep) if event.detail.step == "apply")


def _judge_change(history: History, applied: PolicyChangeStep, rule: _Rule, window: Window) -> _Change | None:
    name, at_ns, message = applied.subject, applied.at_ns, applied.detail.message
    if at_ns >= window.end_ns:
        return None
    if applied.detail.outcome == "accepted":
        # What the calls showed does not depend on the window, so it is read once.
        hold = history.once(("change", name, at_ns, rule), lambda: _read_hold(history, applied, rule))
        return _judge_hold(applied, hold, rule, window)
    fate = REFUSED if applied.detail.outcome == "refused" else FAILED
    return _Change(name, at_ns, fate, message) if window.holds(at_ns) else None


def _read_hold(history: History, applied: PolicyChangeStep, rule: _Rule) -> _Hold:
    at_ns, removed_ns = applied.at_ns, _removal(history, applied)
    due_ns = at_ns + round(rule.within_s * NS_PER_S)
    reopened_ns = removed_ns + round((rule.within_s + REOPENED_S) * NS_PER_S)
    calls = history.judged.filter(on_edges((applied.edge,)), ASKED, rule.calls)
    scheduled = pl.col("scheduled_ns")
    before = calls.filter(scheduled >= at_ns - round(OPEN_BEFORE_S * NS_PER_S), scheduled < at_ns, SERVED)
    # A call that was decided after the removal was requested proves nothing, whenever it was due.
    held = calls.filter(scheduled >= at_ns, pl.coalesce("served_ns", "ended_ns") < removed_ns)
    beside = _beside(history, applied)
    open_before, after, is_called, seen, held_calls = pl.collect_all(
        [
            *(query.select(pl.len()) for query in (before, calls.filter(_between(removed_ns, reopened_ns), SERVED))),
            beside.head(1).select(pl.len()),
            beside.filter(scheduled >= due_ns, pl.col("ended_ns") < removed_ns).select("scheduled_ns"),
            held.select("id", "outcome", "error", "ended_ns", at_ns=scheduled, **_meanings(due_ns)),
        ],
        engine="streaming",
    )
    return _Hold(
        was_open=open_before.item() > 0,
        calls=held_calls.sort("at_ns", "id"),
        beside_ns=tuple(seen["scheduled_ns"]),
        reopened=after.item() > 0,
        has_other_caller=is_called.item() > 0,
    )


def _meanings(due_ns: int) -> dict[str, pl.Expr]:
    return {"is_served": SERVED, "spoke": SPOKE.fill_null(value=False), "counts": pl.col("scheduled_ns") >= due_ns}


def _between(start_ns: int, end_ns: int) -> pl.Expr:
    return (pl.col("scheduled_ns") >= start_ns) & (pl.col("scheduled_ns") < end_ns)


def _judge_hold(applied: PolicyChangeStep, hold: _Hold, rule: _Rule, window: Window) -> _Change | None:
    """Return the fate of an accepted change; None where it was applied before the window and shows nothing there."""
    name, at_ns, is_here = applied.subject, applied.at_ns, window.holds(applied.at_ns)
    since_ns = at_ns if is_here else window.start_ns
    shown = window if not is_here else Window("", at_ns, _FOR_EVER)
    calls = hold.calls.filter("counts", _in(shown, pl.col("at_ns")))
    served = calls.filter("is_served")
    doubt = _doubt(applied, hold, rule, calls)
    if hold.was_open and served.height:
        message = f"{served.height} of {calls.height} calls were served"
        return _Change(name, max(at_ns, since_ns), IGNORED, message, _examples(served))
    if doubt:
        return _Change(name, at_ns, UNKNOWN, doubt) if is_here else None
    return _Change(
        name, at_ns, ENFORCED, f"{calls.height} calls refused", since_ns=_first_refused_ns(hold.calls, since_ns)
    )


def _first_refused_ns(calls: pl.DataFrame, since_ns: int) -> int:
    """Return when the first call was refused after the last one that was served, at the earliest since_ns."""
    last_ns = calls.filter("is_served").select(pl.col("at_ns").max().fill_null(0)).item()
    refused = calls.filter(~pl.col("is_served"), pl.col("at_ns") > last_ns, pl.col("at_ns") >= since_ns)
    return int(refused["ended_ns"][0])


def _in(window: Window, due: pl.Expr) -> pl.Expr:
    return (due >= window.start_ns) & (due < window.end_ns)


def _doubt(applied: PolicyChangeStep, hold: _Hold, rule: _Rule, calls: pl.DataFrame) -> str:
    """Return why refused calls do not show that the change is enforced, "" where they do."""
    if not hold.was_open:
        return "the edge was closed before the change"
    if calls.height < rule.min_samples:
        return f"{calls.height} calls after {rule.within_s:g} s of its hold, needs {rule.min_samples}"
    is_up = _serves_throughout(calls, hold.beside_ns) if hold.has_other_caller else hold.reopened
    if not is_up:
        return f"{applied.detail.target} served no other caller: it may have been down"
    is_cut_off = not hold.reopened and not calls["spoke"].any()
    return f"{applied.detail.source} got no answer from anywhere: it may have been cut off" if is_cut_off else ""


def _serves_throughout(calls: pl.DataFrame, beside_ns: tuple[int, ...]) -> bool:
    """Whether another caller had a success at least every BESIDE_S from the first of these calls to the last."""
    first_ns, last_ns = calls["at_ns"][0], calls["at_ns"][-1]
    inside = [at_ns for at_ns in beside_ns if first_ns <= at_ns <= last_ns]
    longest_ns = max(after - before for before, after in pairwise([first_ns, *inside, last_ns]))
    return bool(inside) and longest_ns <= BESIDE_S * NS_PER_S


def _examples(served: pl.DataFrame) -> tuple[Example, ...]:
    first = served.head(MAX_EXAMPLES).select("id", "at_ns", "outcome", "error")
    return tuple(Example(call, at_ns, outcome, error or "") for call, at_ns, outcome, error in first.iter_rows())


def _beside(history: History, applied: PolicyChangeStep) -> pl.LazyFrame:
    """Return the successes of other callers of the target."""
    is_other = (pl.col("target") == applied.detail.target) & (pl.col("source") != applied.detail.source)
    return history.judged.filter(is_other, SUCCEEDED)


def _removal(history: History, applied: PolicyChangeStep) -> int:
    """Return when the removal was requested; without a removal, the end of the record."""
    removals = (
        event.at_ns
        for event in history.of_kind(PolicyChangeStep)
        if event.detail.step == "remove" and event.subject == applied.subject and event.at_ns > applied.at_ns
    )
    return min(removals, default=max((event.at_ns for event in history.events), default=applied.at_ns))


def _measured(truth: Truth, reason: str, changes: tuple[_Change, ...], harms: frozenset[str]) -> Measurement:
    counts: dict[str, Number] = dict(sorted(Counter(change.fate for change in changes).items()))
    shown = tuple(change for change in changes if change.fate in harms)
    examples = tuple(example for change in shown for example in change.shown())
    unknown = "".join(f"; {change.name}: {change.message}" for change in changes if change.fate in {UNKNOWN, FAILED})
    reason = f"{reason}{unknown}" if truth is Truth.UNKNOWN else reason
    return Measurement(
        truth=truth,
        reason=reason,
        rows=(Row("policy changes", "", truth, counts, reason),),
        examples=examples[:MAX_EXAMPLES],
        at_ns=min((example.at_ns for example in examples), default=None),
        harms=tuple(Harm(it.name, it.shown()[0].at_ns, it.shown()[-1].at_ns) for it in shown),
        is_proof=any(change.fate == IGNORED for change in shown),
        since_ns=min((it.since_ns for it in changes if it.since_ns is not None), default=None),
    )


def _ignored(rule: _Rule, history: History, window: Window) -> Measurement:
    changes = _changes(history, window, rule)
    fates = {change.fate for change in changes}
    if IGNORED in fates:
        truth = Truth.TRUE
    elif UNKNOWN in fates or not fates & {REFUSED, ENFORCED}:
        truth = Truth.UNKNOWN
    else:
        truth = Truth.FALSE
    return _measured(truth, _tally(changes, IGNORED), changes, frozenset({IGNORED}))


def _enforced(rule: _Rule, history: History, window: Window) -> Measurement:
    changes = _changes(history, window, rule)
    fates = {change.fate for change in changes}
    if fates & {REFUSED, IGNORED}:
        truth = Truth.FALSE
    elif UNKNOWN in fates or ENFORCED not in fates:
        truth = Truth.UNKNOWN
    else:
        truth = Truth.TRUE
    return _measured(truth, _tally(changes, ENFORCED), changes, frozenset({REFUSED, IGNORED}))


def _answers(history: History, window: Window) -> tuple[_Change, ...]:
    """Return what the API answered to each change, not whether the change was enforced."""
    fates = {"refused": REFUSED, "accepted": ACCEPTED, "failed": FAILED}
    return tuple(
        _Change(event.subject, event.at_ns, fates[event.detail.outcome], event.detail.message)
        for event in _applied(history)
        if window.holds(event.at_ns)
    )


def _tried(history: History, window: Window) -> Measurement:
    changes = _answers(history, window)
    answered = sum(change.fate != FAILED for change in changes)
    truth = Truth.TRUE if answered else Truth.FALSE
    return _measured(truth, f"the API answered for {answered} of {len(changes)} policy changes", changes, frozenset())


def _tally(changes: tuple[_Change, ...], fate: str) -> str:
    return f"{sum(change.fate == fate for change in changes)} of {len(changes)} policy changes: {fate}"
