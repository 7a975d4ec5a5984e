"""Mutations that damage the record: every claim that passed must stop passing."""

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.checks.pairs import WAS_SERVED
from drills.judge.events import (
    CallerEnd,
    E,
    FaultReceipt,
    HarnessTrouble,
    ProgramStalled,
    ProgramStarted,
    ServerEnd,
    UndoVerified,
)
from drills.judge.history import History
from drills.judge.mutations.target import FROM_CALLER, Target, by_staying_server, each_of, edited, table, with_events
from drills.judge.records import NS_PER_MS, NS_PER_S

SKEW_NS = NS_PER_S


def erase_receipts(history: History, _target: Target) -> History:
    """Erase every proof that the fault landed."""
    return _without(history, FaultReceipt)


def erase_undo(history: History, _target: Target) -> History:
    """Erase that the undo was verified."""
    return _without(history, UndoVerified)


def erase_caller_ends(history: History, _target: Target) -> History:
    """Erase the reports of callers at their end."""
    return _without(history, CallerEnd)


def erase_server_ends(history: History, _target: Target) -> History:
    """Erase the reports of servers at their end."""
    return _without(history, ServerEnd)


def lose_one_call(history: History, _target: Target) -> History:
    """Lose the row of one call in the middle of the table."""
    calls = table(history).with_row_index("at")
    made = calls.filter(FROM_CALLER)["at"]
    return edited(history, calls.filter(pl.col("at") != made[len(made) // 2]).drop("at"))


def lose_failures(history: History, _target: Target) -> History:
    """Lose the row of every call that did not succeed; of one that did, where none failed."""
    calls = table(history)
    kept = calls.filter(SUCCEEDED | ~FROM_CALLER)
    return edited(history, kept if kept.height < calls.height else calls.slice(1))


def lose_one_serving(history: History, _target: Target) -> History:
    """Lose the line of one served call in the log of a server that the fault does not end."""
    was_whole = WAS_SERVED & by_staying_server(history)
    is_first = was_whole & (was_whole.cast(pl.Int64).cum_sum() == 1)
    served = ("served_ns", "served_pod", "served_version", "served_status", "peer")
    blank = (pl.when(~is_first).then(pl.col(name)).alias(name) for name in served)
    return edited(history, table(history).with_columns(blank))


def repeat_one_row(history: History, _target: Target) -> History:
    """Write one row of the table twice."""
    calls = table(history)
    return edited(history, pl.concat([calls, calls.tail(1)]))


def reverse_rows(history: History, _target: Target) -> History:
    """Reverse the rows of the table."""
    return edited(history, table(history).reverse())


def skew_server_clock(history: History, _target: Target) -> History:
    """Let the clock of the servers be a second behind."""
    return edited(history, table(history).with_columns(served_ns=pl.col("served_ns") - SKEW_NS))


def skew_caller_clock(history: History, _target: Target) -> History:
    """Let calls end a second before they began."""
    return edited(history, table(history).with_columns(ended_ns=pl.col("started_ns") - SKEW_NS))


def starve_callers(history: History, _target: Target) -> History:
    """Let every call begin later than the lag that the facts of the run allow."""
    late_ns = round((history.facts.lag_bound_ms + 1) * NS_PER_MS)
    later = (pl.col(name) + late_ns for name in ("started_ns", "ended_ns", "served_ns"))
    return edited(history, table(history).with_columns(later))


def restart_a_witness(history: History, target: Target) -> History:
    """Let the program of one server restart in the middle of the run; one that the fault does not end."""
    pod = next((pod for pod in history.facts.servers if pod not in history.facts.lost_pods), "")
    started = ProgramStarted(target.middle_ns, pod, ProgramStarted.Detail(pod=pod, node=""))
    return with_events(history, [*history.events, started])


def stall_a_witness(history: History, target: Target) -> History:
    """Let the program of one server stand still for two seconds; one that the fault does not end."""
    pod = next((pod for pod in history.facts.servers if pod not in history.facts.lost_pods), "")
    stalled = ProgramStalled(target.middle_ns, pod, ProgramStalled.Detail(pod=pod, node="", stalled_ms=2000))
    return with_events(history, [*history.events, stalled])


def trouble_the_harness(history: History, target: Target) -> History:
    """Let the harness report trouble."""
    trouble = HarnessTrouble(target.middle_ns, "mutation", HarnessTrouble.Detail(message="made up"))
    return with_events(history, [*history.events, trouble])


def _without(history: History, kind: type[E]) -> History:
    return each_of(history, kind, lambda _event: None)
