"""What pods do that came up after the baseline has its own row, in each check that has one row for each lane."""

from dataclasses import replace
from pathlib import Path

import pytest

from drills.judge import checks
from drills.judge.claims import Claim, always, never, reached, sometimes
from drills.judge.events import Phase
from drills.judge.history import History, write_history
from drills.judge.measure import Truth
from drills.judge.verdict import Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story, answer, xfcc

EDGE = ("checkout", "payment")
NEW_POD = "checkout-9"
NEW_SERVER = "payment-9"
RATE = always(checks.success_rate(EDGE, at_least=0.99))
OLD, NEW = "checkout->payment", "checkout->payment, new pods"


def standing(*, served_by_new: bool = False) -> Story:
    """Tell of one planned caller that is well throughout, and that two pods are in no plan."""
    story = Story().steady(EDGE).watched().unplanned(NEW_POD, NEW_SERVER)
    return story.fault().calls(*EDGE, ok=50, over=(10, 20), server=NEW_SERVER) if served_by_new else story.fault()


def with_new_pod(ok: int = 100, fail: int = 0, *, until_s: float = 20.0, **words: str) -> Story:
    """Tell also of a pod that comes up in the middle of the fault."""
    story = standing()
    return story.calls(*EDGE, ok=ok, fail=fail, over=(10, until_s), pod=NEW_POD, **words)  # type: ignore[arg-type]


def rows_of(story: Story, claim: Claim) -> list[tuple[str, str, Truth]]:
    """Return what each row of a finding says."""
    return [(row.subject, row.connection, row.truth) for row in answer(story, claim).rows]


def test_new_pods_that_do_well_hold_in_a_row_of_their_own() -> None:
    """A pod that came up ten seconds into the window is asked for no call before its first, and is shown apart."""
    finding = answer(with_new_pod(), RATE)
    assert finding.outcome is Outcome.HELD
    assert [(row.subject, row.connection) for row in finding.rows] == [(OLD, "new"), (NEW, "new"), (OLD, "reused")]
    numbers = finding.rows[1].numbers
    assert (numbers["calls"], numbers["calls_per_s"], numbers["largest_gap_ms"]) == (100, 10.0, 100.0)
    assert (numbers["first_call_at_s"], finding.rows[0].numbers.get("first_call_at_s")) == (10.0, None)
    assert (finding.resolving and finding.resolving.calls_per_s) == 10.0


def test_new_pods_that_fail_are_not_averaged_away() -> None:
    """A hundred old calls that are well hide no new pod that never gets through, and its row says so."""
    finding = answer(with_new_pod(ok=0, fail=30), RATE)
    assert finding.outcome is Outcome.VIOLATED
    assert finding.reason == f"{NEW} new: 30 of 30 calls were lost, at most 0.01 of them may"
    assert [row.truth for row in finding.rows] == [Truth.TRUE, Truth.FALSE, Truth.TRUE]
    assert (finding.rows[1].numbers["failed"], finding.rows[0].numbers["failed"]) == (30, 0)
    assert finding.rows[1].numbers["error connect-reset"] == 30


def test_new_pods_with_too_few_calls_are_inconclusive_by_name() -> None:
    """Three calls do not show whether a new pod works, and those of the old pods do not either."""
    finding = answer(with_new_pod(ok=3), RATE)
    assert (finding.outcome, finding.reason) == (Outcome.INCONCLUSIVE, f"{NEW} new: 3 calls, needs 20")


def test_a_window_without_new_pods_has_no_row_of_them() -> None:
    """Before a new pod's first call nothing can be asked of it."""
    story = with_new_pod().recovery().calls(*EDGE, ok=100, pod=NEW_POD)
    assert rows_of(story, always(RATE.check, "baseline")) == [(OLD, kind, Truth.TRUE) for kind in ("new", "reused")]  # type: ignore[arg-type]
    late = standing().recovery().calls(*EDGE, ok=100, pod=NEW_POD)
    assert answer(late, RATE).outcome is Outcome.HELD
    assert len(rows_of(late, RATE)) == 2


def test_a_new_pod_that_falls_silent_leaves_a_gap() -> None:
    """From its first call on it is asked for as much as any other: at the end of a window, and in the next."""
    story = with_new_pod(until_s=15)
    assert "no call was made for 5.0" in answer(story, RATE).reason
    after = answer(story, always(RATE.check, "recovery"))  # type: ignore[arg-type]
    assert (after.outcome, after.reason) == (Outcome.INCONCLUSIVE, f"{NEW} new: 0 calls, needs 20")
    assert after.rows[1].numbers["first_call_at_s"] == -10.0
    two = with_new_pod().recovery().calls(*EDGE, ok=400, pod="checkout-8").unplanned("checkout-8")
    silent = answer(two, always(RATE.check, "recovery"))  # type: ignore[arg-type]
    assert (silent.outcome, "no call was made for 20.000 s" in silent.reason) == (Outcome.INCONCLUSIVE, True)


def test_an_outage_of_a_new_pod_counts_from_its_first_call() -> None:
    """A pod that is not let in at first waits from its own start, not from the window's."""
    story = standing().calls(*EDGE, fail=3, over=(10, 10.3), pod=NEW_POD)
    story.calls(*EDGE, ok=100, over=(10.3, 20), pod=NEW_POD)
    finding = answer(story, always(checks.availability(EDGE, max_outage_s=1)))
    assert finding.outcome is Outcome.HELD
    assert finding.rows[1].numbers["longest_outage_ms"] == pytest.approx(302, abs=1)
    worse = answer(story, always(checks.availability(EDGE, max_outage_s=0.25)))
    assert (worse.outcome, worse.reason.startswith(f"{NEW} new: 0.3")) == (Outcome.VIOLATED, True)


def test_a_planned_caller_is_never_new() -> None:
    """One with which the run began and that calls only later was silent before: that is a gap."""
    story = Story().steady(EDGE).fault().calls(*EDGE, ok=100, over=(10, 20), pod=NEW_POD)
    finding = answer(story, RATE)
    assert (finding.outcome, [row.subject for row in finding.rows]) == (Outcome.INCONCLUSIVE, [OLD, OLD])
    assert "no call was made for 10.0" in finding.reason


def test_an_unplanned_caller_that_called_before_is_not_new() -> None:
    """Who called in the baseline was there, whether or not a plan names it."""
    story = standing().baseline().calls(*EDGE, ok=100, pod=NEW_POD).fault().calls(*EDGE, ok=200, pod=NEW_POD)
    assert [row.subject for row in answer(story, RATE).rows] == [OLD, OLD]


def test_without_a_baseline_nobody_is_new() -> None:
    """Its state before is unknown then: each caller is asked for the whole window."""
    finding = answer(with_new_pod().without(Phase), RATE)
    assert [row.subject for row in finding.rows] == [OLD, OLD]
    assert "no call was made for 10.0" in finding.reason


def test_only_new_pods_on_an_edge() -> None:
    """Where no plan names a caller there is the row of the new ones alone, and without a call the row "none"."""
    edge = ("frontend", "checkout")
    story = standing().calls(*edge, ok=100, over=(10, 20), pod=NEW_POD)
    claim = always(checks.success_rate(edge, at_least=0.99))
    assert rows_of(story, claim) == [("frontend->checkout, new pods", "new", Truth.TRUE)]
    assert rows_of(story, always(claim.check, "baseline"))[0][:2] == ("frontend->checkout", "none")  # type: ignore[arg-type]


def test_denied_tells_new_pods_apart() -> None:
    """A new pod that is let in violates, in its own row; one that is refused as the old ones are holds."""
    other, claim = ("intruder", "payment"), always(checks.denied(("intruder", "payment")), must_hold=True)
    recorded = Story().steady(EDGE).refused(other).unplanned("intruder-9").fault()
    assert answer(recorded, claim).outcome is Outcome.HELD
    refused = replace(recorded, rows=[*recorded.rows]).calls(*other, fail=100, over=(10, 20), pod="intruder-9")
    assert answer(refused, claim).outcome is Outcome.HELD
    few = replace(recorded, rows=[*recorded.rows]).calls(*other, fail=3, over=(19, 20), pod="intruder-9")
    assert answer(few, claim).outcome is Outcome.INCONCLUSIVE
    let_in = answer(recorded.calls(*other, ok=5, fail=95, over=(10, 20), pod="intruder-9"), claim)
    assert (let_in.outcome, [row.truth for row in let_in.rows]) == (
        Outcome.VIOLATED,
        [Truth.TRUE, Truth.FALSE, Truth.TRUE],
    )


@pytest.mark.parametrize("ask", [checks.attempted, checks.handshake], ids=["attempted", "handshake"])
def test_few_calls_of_new_pods_undo_nothing_that_happened(ask: object) -> None:
    """What old pods did often enough happened; that new ones did it seldom is not known to be "never"."""
    claims = sometimes(ask(EDGE)), reached(ask(EDGE))  # type: ignore[operator]
    few, many = (replace(with_new_pod(ok=count), fresh_edges=(EDGE,)) for count in (3, 100))
    assert [answer(few, claim).outcome for claim in claims] == [Outcome.INCONCLUSIVE] * 2
    assert [answer(many, claim).outcome for claim in claims] == [Outcome.HELD] * 2


def test_the_split_is_counted_for_new_pods() -> None:
    """The versions that serve them are a row of its own."""
    story = standing().calls(*EDGE, ok=200, over=(10, 20), pod=NEW_POD, version="v2")
    claim = always(checks.split_ratio(EDGE, version="v1", weight=1.0))
    assert rows_of(story, claim) == [
        (OLD, "new", Truth.TRUE),
        (NEW, "new", Truth.FALSE),
        (OLD, "reused", Truth.TRUE),
    ]


def test_slow_calls_of_new_pods_are_counted_for_themselves() -> None:
    """A new pod that is slow violates in its own row, and slows no other."""
    claim = always(checks.calls_fast(EDGE))
    story = with_new_pod()
    assert answer(story, claim).outcome is Outcome.HELD
    for row in story.rows:
        if row["pod"] == NEW_POD:
            row["ended_ns"] = int(str(row["started_ns"])) + 1_000_000_000
    slow = answer(story, claim)
    assert (slow.outcome, [row.truth for row in slow.rows]) == (Outcome.VIOLATED, [Truth.TRUE, Truth.FALSE, Truth.TRUE])
    assert [row.numbers["slow"] for row in slow.rows] == [0, 100, 0]
    assert len(slow.counter_examples) == 5


def test_servers_tell_new_pods_apart_at_either_end() -> None:
    """A new caller without an identity, or a new server that sees none, is named in the row of new pods."""
    claim = never(checks.unauthenticated(EDGE), must_hold=True)
    assert rows_of(with_new_pod(), claim)[1] == (NEW, "new", Truth.FALSE)
    assert answer(with_new_pod(), claim).outcome is Outcome.HELD
    assert answer(with_new_pod(ok=3), claim).outcome is Outcome.INCONCLUSIVE
    nameless = answer(with_new_pod(peer=""), claim)
    assert (nameless.outcome, [row.truth for row in nameless.rows]) == (
        Outcome.VIOLATED,
        [Truth.FALSE, Truth.TRUE, Truth.FALSE],
    )
    assert len(nameless.counter_examples) == 5
    seen = standing(served_by_new=True)
    assert [row.numbers["served"] for row in answer(seen, claim).rows] == [200, 50, 200]
    blind = standing().calls(*EDGE, ok=50, over=(10, 20), server=NEW_SERVER, peer=xfcc("fraud", "payment"))
    assert [row.numbers["wrong_identity"] for row in answer(blind, claim).rows] == [0, 50, 0]


def test_an_old_caller_that_a_new_pod_serves_stays_in_its_row() -> None:
    """A call that fails names no server: who serves tells nothing of whether traffic flows."""
    assert [row.subject for row in answer(standing(served_by_new=True), RATE).rows] == [OLD, OLD]


def test_both_witnesses_are_paired_apart_for_new_pods() -> None:
    """Work that was done for a new pod and not answered, or denied to it, is named in its row."""
    once = always(checks.conservation(EDGE))
    assert answer(with_new_pod(), once).outcome is Outcome.HELD
    unsure = with_new_pod().calls(*EDGE, info=3, served=True, over=(12, 13), pod=NEW_POD)
    assert [row.numbers["served_not_ok"] for row in answer(unsure, once).rows] == [0, 3, 0]
    denied = answer(with_new_pod().calls(*EDGE, fail=3, served=True, over=(12, 13), pod=NEW_POD), once)
    assert (denied.outcome, denied.reason) == (Outcome.VIOLATED, f"{NEW} new: 3 denied")
    few = with_new_pod(ok=3)
    assert answer(few, once).outcome is Outcome.INCONCLUSIVE
    assert rows_of(few, once)[1] == (NEW, "new", Truth.UNKNOWN)


def test_a_serving_in_a_row_of_its_own_belongs_to_its_request() -> None:
    """An old caller's request that a new pod served again is the old caller's; one without a caller is the server's."""
    once, most = always(checks.conservation(EDGE)), always(checks.attempts_per_request(EDGE, at_most=2))
    again = standing(served_by_new=True).served_again(*EDGE, 15.0, server=NEW_SERVER)
    finding = answer(again, once)
    assert finding.outcome is Outcome.VIOLATED
    assert [(row.subject, row.numbers["doubled"]) for row in finding.rows] == [(OLD, 1), (OLD, 0)]
    assert answer(again, most).outcome is Outcome.HELD
    stray = answer(standing(served_by_new=True).served_only(*EDGE, 15.0, server=NEW_SERVER), once)
    assert (stray.outcome, (stray.rows[-1].subject, stray.rows[-1].connection)) == (Outcome.VIOLATED, (NEW, "unknown"))
    assert stray.rows[-1].numbers["unclaimed"] == 1


def test_what_is_left_out_makes_no_pod_newer() -> None:
    """An unplanned pod whose calls of the baseline lie within the harm is as old outside of it."""
    story = standing().baseline().calls(*EDGE, ok=100, pod=NEW_POD, server="payment-2")
    story.fault().calls(*EDGE, ok=100, over=(10, 20), pod=NEW_POD)
    finding = answer(story, always(checks.blast_radius(EDGE, within=("payment-2",), at_least=0.9)))
    assert (finding.outcome, [row.subject for row in finding.rows]) == (Outcome.INCONCLUSIVE, [OLD, OLD])


def test_new_pods_read_the_same_from_a_file(tmp_path: Path) -> None:
    """The verdict of the stored history is the one of the history in memory, byte for byte."""
    history, claims = with_new_pod().history(), [RATE, always(checks.calls_fast(EDGE))]
    write_history(tmp_path, history.calls.collect(), history.events, history.facts)
    assert judge(History.load(tmp_path), claims).encode() == judge(history, claims).encode()
    assert History.load(tmp_path).new_pods == history.new_pods
    assert history.new_pods.since_ns == {NEW_POD: story_start_ns()}


def story_start_ns() -> int:
    """Return when the pod of with_new_pod calls first."""
    return Story().fault().at(10)
