"""Every way in which a record can be less than whole is found and named; a whole record has none."""

from collections.abc import Callable

import msgspec
import polars as pl
import pytest

from drills.judge import slices
from drills.judge.events import (
    CallerEnd,
    Event,
    FaultInjected,
    FaultReceipt,
    HarnessTrouble,
    Phase,
    ProgramStalled,
    ProgramStarted,
    ServerEnd,
    UndoApplied,
    UndoVerified,
    WireReady,
)
from drills.judge.history import Defect, History
from drills.judge.records import NS_PER_S
from drills.selftest.doubles.story import FAULT, START_NS, Story, event_of

EDGE = ("checkout", "payment")


def defects(history: History) -> set[tuple[str, str]]:
    """Return kind and subject of every defect."""
    return {(defect.kind, defect.subject) for defect in history.completeness()}


def kinds(history: History) -> set[str]:
    """Return the kinds of the defects."""
    return {defect.kind for defect in history.completeness()}


def test_a_whole_record_has_no_defect() -> None:
    """A complete record of two edges over three phases has no defect."""
    assert Story().steady(EDGE, ("payment", "ledger")).refused(("intruder", "ledger")).history().completeness() == ()


HARMS: list[tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    (lambda t: t.filter(pl.col("seq") != 7), "hole"),
    (lambda t: t.filter(pl.col("seq") != 0), "hole"),
    (lambda t: t.filter(pl.col("seq") < 400), "hole"),
    (lambda t: pl.concat([t, t.head(1)]).sort("scheduled_ns", "id"), "duplicate"),
    (lambda t: t.reverse(), "reordered"),
    (lambda t: t.with_columns(ended_ns=pl.col("started_ns") - NS_PER_S), "clock"),
    (lambda t: t.with_columns(started_ns=pl.col("scheduled_ns") - NS_PER_S), "clock"),
    (lambda t: t.with_columns(served_ns=pl.col("started_ns") - NS_PER_S), "clock"),
    (lambda t: t.with_columns(seq=500 - pl.col("seq")), "clock"),
    (lambda t: t.with_columns(started_ns=pl.col("started_ns") + NS_PER_S), "starved"),
    (lambda t: t.with_columns(error=pl.lit("in-flight-bound")), "saturated"),
    (lambda t: t.with_columns(served_ns=None, served_pod=None, peer=None), "server-hole"),
    (lambda t: t.clear(), "hole"),
]


@pytest.mark.parametrize("rows_per_slice", [1_000_000, 50], ids=["at once", "in slices"])
@pytest.mark.parametrize(("edit", "kind"), HARMS)
def test_a_harmed_table_is_named(
    edit: Callable[[pl.DataFrame], pl.DataFrame], kind: str, rows_per_slice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost, doubled, reordered and mistimed rows, late callers and lost servers each have their name."""
    monkeypatch.setattr(slices, "ROWS_PER_SLICE", rows_per_slice)
    story = Story().steady(EDGE)
    table = edit(story.table()).cast(dict(story.table().schema))  # type: ignore[arg-type]
    assert kind in kinds(story.history(table))


def test_a_hole_in_the_middle_is_found_without_the_callers_end() -> None:
    """Sequence numbers alone prove that a row is missing, and the caller that lost it is named."""
    story = Story().steady(EDGE)
    history = story.without(CallerEnd).history(
        story.table().filter(pl.col("id") != "mdc.checkout.payment.checkout-1.n7")
    )
    assert ("hole", "checkout-1 -> payment (new)") in defects(history)
    assert ("missing-end", "checkout-1 -> payment (reused)") in defects(history)


def test_only_saturation_does_not_excuse_failures() -> None:
    """Too many calls in flight are the target's doing: that defect never explains failed calls away, a hole does."""
    story = Story().steady(EDGE)
    bound = story.history(story.table().with_columns(error=pl.lit("in-flight-bound"))).completeness()
    assert {(d.kind, d.excuses) for d in bound} == {("saturated", False)}
    assert all(d.excuses for d in story.history(story.table().clear()).completeness())


def test_a_slow_warm_up_is_no_defect() -> None:
    """Callers that were late or laden before the baseline began are not starved: nothing is claimed of that time."""
    story = Story().steady(EDGE).baseline().calls(*EDGE, ok=40, over=(-4, 0), lag_ms=800)
    story.calls(*EDGE, info=40, over=(-4, 0), error="in-flight-bound")
    assert story.history().completeness() == ()


def test_one_call_that_is_seconds_late_is_starvation() -> None:
    """A caller that fell silent once for longer than claims resolve is starved, however many calls were in time."""
    story = Story().steady(EDGE)
    assert "starved" not in kinds(story.calls(*EDGE, ok=1, over=(5, 6), lag_ms=900).history())
    assert "starved" in kinds(story.calls(*EDGE, ok=1, over=(7, 8), lag_ms=1100).history())


def test_two_late_calls_of_a_caller_that_makes_few_are_no_starvation() -> None:
    """Of few calls one is soon more than a hundredth; the third tells."""
    story = Story().calls(*EDGE, ok=20).calls(*EDGE, ok=2, over=(7, 8), lag_ms=800)
    assert "starved" not in kinds(story.history())
    assert "starved" in kinds(story.calls(*EDGE, ok=1, over=(8, 9), lag_ms=800).history())


def test_without_a_run_all_calls_count_for_starvation() -> None:
    """A record without its end is judged for late callers all the same."""
    story = Story().calls(*EDGE, ok=40, lag_ms=800).without(Phase)
    assert "starved" in kinds(story.history())


def test_a_caller_that_never_wrote_is_missed() -> None:
    """A planned caller with neither row nor end is a defect, although the table shows nothing of it."""
    story = Story().steady(EDGE)
    silent = story.history(story.table().filter(pl.col("connection") == "new"))
    assert ("hole", "checkout-1 -> payment (reused)") in defects(silent)


@pytest.mark.parametrize(
    ("kind", "defect"),
    [
        (CallerEnd, "missing-end"),
        (ServerEnd, "missing-server-end"),
        (Phase, "missing-window"),
        (FaultInjected, "missing-window"),
        (FaultReceipt, "no-receipt"),
        (UndoVerified, "undo-unverified"),
    ],
)
def test_a_missing_event_is_named(kind: type[Event], defect: str) -> None:
    """A record without an end, a phase, a receipt or a verified undo says so."""
    assert defect in kinds(Story().steady(EDGE).without(kind).history())


def test_facts_that_name_no_witness_are_a_defect() -> None:
    """Without the list of callers and servers a record cannot be shown to be complete."""
    assert defects(Story().history()) == {("no-witness", "callers"), ("no-witness", "servers")}


def test_reordered_events_are_named() -> None:
    """Events that do not follow their clock were moved by somebody."""
    recorded = Story().steady(EDGE).history()
    assert "reordered" in kinds(History(recorded.calls, recorded.events[::-1], recorded.facts))


def test_a_fault_that_did_not_stay_is_named() -> None:
    """A control plane that came back in the middle of the hold was not gone for the hold."""
    story = Story().steady(EDGE).fault()
    story.event(FaultReceipt, FAULT, at_s=10.2, landed=False, evidence="1 process runs")
    assert ("receipt-lost", FAULT) in defects(story.history())


def test_an_observer_that_could_not_look_lost_nothing() -> None:
    """A receipt that says neither yes nor no is a look that failed: the fault may well have stayed."""
    story = Story().steady(EDGE).fault().event(FaultReceipt, FAULT, at_s=10.2, landed=None, evidence="API timed out")
    assert story.history().completeness() == ()


def test_a_fault_that_was_held_too_short_is_named() -> None:
    """A drill that asked for half a minute and got twenty seconds did not ask its question."""
    recorded = Story(fault_s=20).steady(EDGE).history()
    held = [msgspec.structs.replace(recorded.facts, hold_s=hold_s) for hold_s in (18, 30)]
    found = [defects(History(recorded.calls, recorded.events, facts)) for facts in held]
    assert found == [set(), {("short-hold", FAULT)}]


def test_a_fault_that_lands_late_is_no_defect() -> None:
    """Receipts that deny the fault before it landed are the time it took, not a lost fault."""
    story = Story().steady(EDGE).fault()
    assert story.event(FaultReceipt, FAULT, at_s=0.1, landed=False).history().completeness() == ()


def test_a_momentary_fault_needs_one_receipt_only() -> None:
    """A killed process that is back a second later was killed: its receipt says that it is momentary."""
    story = Story().steady(EDGE).fault().without(FaultReceipt).history()
    at_ns = START_NS + 11 * NS_PER_S
    killed = event_of(FaultReceipt, at_ns, FAULT, landed=True, momentary=True)
    back = event_of(FaultReceipt, at_ns + NS_PER_S, FAULT, landed=False, momentary=True)
    events = tuple(sorted((*story.events, killed, back), key=lambda event: event.at_ns))
    assert History(story.calls, events, story.facts).completeness() == ()


def test_a_hold_that_nobody_watched_is_named() -> None:
    """One receipt at its beginning does not prove a hold of half a minute."""
    story = Story(fault_s=30).steady(EDGE).without(FaultReceipt).history()
    once = event_of(FaultReceipt, START_NS + 11 * NS_PER_S, FAULT, landed=True)
    events = tuple(sorted((*story.events, once), key=lambda event: event.at_ns))
    assert defects(History(story.calls, events, story.facts)) == {("receipt-gap", FAULT)}


def test_an_undo_that_was_never_applied_is_still_judged() -> None:
    """Without the moment of the undo the receipts must last to the last thing known of that fault."""
    assert Story().steady(EDGE).without(UndoApplied).history().completeness() == ()


def test_a_server_that_stood_still_is_named_with_its_time() -> None:
    """Two seconds in which a server's program did not run explain slow and lost calls; half a second does not."""
    story = Story().steady(EDGE).fault()
    story.event(ProgramStalled, "payment-1", at_s=5, pod="payment-1", stalled_ms=600)
    assert defects(story.history()) == set()
    story.event(ProgramStalled, "payment-1", at_s=7, pod="payment-1", stalled_ms=2000)
    (defect,) = story.history().completeness()
    assert (defect.kind, defect.pod) == ("stalled", "payment-1")
    assert (defect.from_ns, defect.until_ns) == (story.at(5), story.at(7))


def test_a_starved_caller_is_named_with_its_time() -> None:
    """The part of the run in which its calls began late is known, so that it excuses nothing else."""
    story = Story().steady(EDGE).fault().calls(*EDGE, ok=10, over=(5, 6), lag_ms=1500, pod="checkout-2")
    (defect,) = story.history().completeness()
    assert (defect.kind, defect.pod, defect.from_ns) == ("starved", "checkout-2", story.at(5))
    assert story.at(7) < (defect.until_ns or 0) < story.at(8)


def test_an_observer_that_restarted_is_named() -> None:
    """An observer that begins to watch during the run saw nothing before; one that is ready before it is in order."""
    story = Story().steady(EDGE).watched()
    assert defects(story.history()) == set()
    story.fault().event(WireReady, "n2", at_s=3.0, node="n2")
    assert defects(story.history()) == {("observer-restarted", "n2")}


def test_a_witness_that_restarted_is_named() -> None:
    """A lab program that starts anew during the run breaks its record; one that started before, or is new, does not."""
    story = Story().steady(EDGE).fault()
    story.event(ProgramStarted, "new-pod-1").baseline().event(ProgramStarted, "payment-1", at_s=-5.0)
    assert story.history().completeness() == ()
    assert defects(story.event(ProgramStarted, "payment-1", at_s=3.0).history()) == {("restarted", "payment-1")}


def test_trouble_of_the_harness_is_a_defect() -> None:
    """Whatever went wrong on our side is named, in full up to twenty times and then counted."""
    story = Story().steady(EDGE)
    for number in range(25):
        story.event(HarnessTrouble, f"probe {number}", message="no answer")
    found = story.history().completeness()
    assert len(found) == 21
    assert found[0] == Defect("harness", "probe 0", "the harness had trouble: no answer")
    assert "5 more" in found[-1].message
