"""A fault that ends pods breaks their records off: what that excuses, and what is still a defect."""

from collections.abc import Callable

import msgspec
import pytest

from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, never
from drills.judge.events import (
    CallerEnd,
    FaultInjected,
    ProgramStarted,
    ServerEnd,
    ServerRejoined,
    WireEnd,
    WireGap,
    WireReady,
    revised,
)
from drills.judge.history import History
from drills.judge.verdict import Finding, Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import START_NS, Story

S = 1_000_000_000
EDGE, DENIED = ("payment", "ledger"), ("intruder", "ledger")
GONE = ("ledger-2", "observer-2", "payment-2")
KILLED_S, BACK_S = 1.0, 6.0  # after the injection
KEPT = always(checks.conservation(EDGE))
NO_PLAINTEXT = never(checks.plaintext(EDGE), must_hold=True)


def rebooted(*, back: bool = True, watching: bool = True) -> Story:
    """Tell of two payments and a ledger of each, of which one pair ends with its node n2 and, by default, comes back.

    The survivors go on calling; the pods that came back serve, and make no call.
    """
    story = Story().steady(EDGE).refused(DENIED).watched()
    story.baseline().calls(*EDGE, ok=100, pod="payment-2").fault()
    story.calls(*EDGE, ok=20, pod="payment-2", over=(0.0, KILLED_S - 0.1))
    for row in story.rows:
        if row["pod"] == "payment-2":
            row |= {"node": "n2", "server_pod": "ledger-2", "served_pod": "ledger-2"}
    if back:
        for pod in GONE:
            story.event(ProgramStarted, pod, at_s=BACK_S, pod=pod, node="n2")
        story.event(ServerRejoined, "ledger-2", at_s=BACK_S + 0.1, pod="ledger-2", node="n2")
    if watching:
        story.event(WireReady, "n2", at_s=BACK_S + 0.2, node="n2")
    return story


def by_ledger_2(story: Story, offset_s: float, *, written: bool, **columns: str) -> Story:
    """Tell of one more call of payment-1 that ledger-2 answered, and wrote down or not."""
    story.calls(*EDGE, ok=1, over=(offset_s, offset_s + 1), served=written)
    story.rows[-1] |= {"server_pod": "ledger-2", **columns}
    if written:
        story.rows[-1]["served_pod"] = "ledger-2"
    return story


def history(story: Story) -> History:
    """Return the history of a run whose fault ended the pods of one node."""
    recorded = story.history()
    served = sum(
        row["served_pod"] == "ledger-2" and isinstance(row["served_ns"], int) and row["served_ns"] > story.at(BACK_S)
        for row in story.fault().rows
    )
    events = [
        revised(event, served=served) if isinstance(event, ServerEnd) and event.subject == "ledger-2" else event
        for event in recorded.events
        if not (isinstance(event, CallerEnd) and event.subject == "payment-2")
    ]
    facts = msgspec.structs.replace(recorded.facts, lost_pods=GONE, servers=("ledger-1", "ledger-2", "payment-2"))
    return History(recorded.calls, tuple(e for e in events), facts)


def ruled(recorded: History, claim: Claim) -> Finding:
    """Return what becomes of one claim."""
    return judge(recorded, [claim]).findings[0]


def kinds(recorded: History) -> set[tuple[str, str]]:
    """Return kind and subject of every defect."""
    return {(defect.kind, defect.subject) for defect in recorded.completeness()}


@pytest.mark.parametrize("back", [True, False])
def test_records_that_break_off_with_their_node_are_whole(back: bool) -> None:
    """Neither an end nor a start anew is held against a pod that the fault ended, whether it comes back or not."""
    assert kinds(history(rebooted(back=back, watching=back))) == set()


def test_the_same_breaks_are_defects_where_the_fault_ends_nobody() -> None:
    """A pod that starts anew and a caller without an end are named as ever when no fault explains them."""
    recorded = history(rebooted())
    unexplained = History(recorded.calls, recorded.events, msgspec.structs.replace(recorded.facts, lost_pods=()))
    assert {("restarted", "ledger-2"), ("missing-end", "payment-2 -> ledger (new)")} <= kinds(unexplained)


def test_a_fault_that_was_never_injected_explains_nothing() -> None:
    """Without an injection a break has no cause in the record."""
    assert ("missing-end", "payment-2 -> ledger (new)") in kinds(history(rebooted().without(FaultInjected)))


def test_a_start_from_before_the_fault_is_a_defect() -> None:
    """A casualty that had started anew in the baseline already was no whole witness."""
    story = rebooted().baseline().event(ProgramStarted, "ledger-2", at_s=3, pod="ledger-2", node="n2")
    assert kinds(history(story)) == {("restarted", "ledger-2")}


def test_a_hole_from_before_the_break_is_a_defect() -> None:
    """A row that lacks well before the fault was not lost with the node; one among the last calls may have been."""
    recorded = history(rebooted())
    rows = recorded.calls.collect()
    for seq, found in ((50, {("hole", "payment-2 -> ledger (new)")}), (115, set())):
        lacking = rows.filter((rows["pod"] != "payment-2").fill_null(value=True) | (rows["seq"] != seq))
        assert {
            kind for kind in kinds(History(lacking.lazy(), recorded.events, recorded.facts)) if kind[0] == "hole"
        } == found


def test_a_casualty_that_never_wrote_is_a_defect() -> None:
    """A planned caller on that node without a row from before the fault did not take part in the run."""
    recorded = history(rebooted())
    rest = recorded.calls.filter((recorded.calls.collect()["pod"] != "payment-2").fill_null(value=True))
    assert ("hole", "payment-2 -> ledger (new)") in kinds(History(rest, recorded.events, recorded.facts))


def test_calls_under_the_same_run_after_a_new_start_are_a_defect() -> None:
    """A caller that came back and called again may have used an id twice."""
    story = rebooted().fault().calls(*EDGE, ok=5, pod="payment-2", over=(BACK_S + 1, BACK_S + 2))
    assert ("restarted", "payment-2") in kinds(history(story))


def test_a_server_that_came_back_owes_what_it_served_since() -> None:
    """Its count must fit the rows since its new start, and must be there."""
    whole = history(by_ledger_2(rebooted(), BACK_S + 2, written=True))
    assert kinds(whole) == set()
    last = [event for event in whole.of_kind(ServerEnd) if event.subject == "ledger-2"]
    others = tuple(event for event in whole.events if event not in last)
    less = (*others, *(revised(event, served=7) for event in last))
    assert kinds(History(whole.calls, others, whole.facts)) == {("missing-server-end", "ledger-2")}
    assert kinds(History(whole.calls, less, whole.facts)) == {("server-hole", "ledger-2")}


def test_availability_is_asked_of_the_survivors() -> None:
    """A caller that ended with its node is no outage of its edge; a survivor that got nothing is one."""
    held = always(checks.success_rate(EDGE, at_least=0.9))
    assert ruled(history(rebooted()), held).outcome is Outcome.HELD
    assert ruled(history(rebooted()), eventually(checks.success_rate(EDGE, at_least=0.9), within_s=5)).outcome is (
        Outcome.HELD
    )
    silent = Story().refused(DENIED).watched().calls(*EDGE, ok=100)
    silent.fault().calls(*EDGE, fail=200).recovery().calls(*EDGE, ok=200)
    assert ruled(history(silent), held).outcome is Outcome.VIOLATED


def test_an_edge_that_only_casualties_called_is_not_known() -> None:
    """If every caller of an edge ended with the node, it is unknown whether the edge works."""
    story = Story().baseline().calls(*EDGE, ok=100, pod="payment-2").fault().calls(*EDGE, ok=30, pod="payment-2")
    story.recovery().calls(*EDGE, ok=100, pod="payment-2")
    recorded = story.history()
    facts = msgspec.structs.replace(recorded.facts, lost_pods=GONE)
    ruling = ruled(History(recorded.calls, recorded.events, facts), always(checks.success_rate(EDGE, at_least=0.9)))
    assert ruling.outcome is Outcome.INCONCLUSIVE
    assert "no call was made for 20.000 s" in ruling.reason


def test_before_the_fault_casualties_are_asked_like_anybody() -> None:
    """A baseline without calls of a pod that ends later is as unknown as ever."""
    story = rebooted()
    story.rows = [
        row for row in story.rows if row["pod"] != "payment-2" or int(str(row["scheduled_ns"])) > START_NS + 5 * S
    ]
    claim = always(checks.availability(EDGE, max_outage_s=2), during="baseline")
    assert ruled(history(story), claim).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("served", [True, False])
def test_a_stranger_that_a_casualty_let_in_is_proof(served: bool) -> None:
    """Every row that was written counts against a must-hold claim, whoever wrote it and whenever it ended."""
    story = rebooted().fault().calls(*DENIED, ok=1, over=(BACK_S + 1, BACK_S + 2), served=served)
    finding = ruled(history(story), always(checks.denied(DENIED), must_hold=True))
    assert finding.outcome is Outcome.VIOLATED


def test_a_posting_whose_record_ended_with_its_node_is_counted_apart() -> None:
    """The last call that a server answered, and could not write down any more, is neither lost nor called whole."""
    finding = ruled(history(by_ledger_2(rebooted(), KILLED_S, written=False)), KEPT)
    assert finding.outcome is Outcome.HELD, finding.reason
    assert [(row.numbers["lost"], row.numbers["answered"]) for row in finding.rows] == [(0, 1), (0, 0)]
    assert finding.counter_examples == ()


@pytest.mark.parametrize(
    ("offset_s", "answer"), [(0.4, Outcome.VIOLATED), (4.0, Outcome.INCONCLUSIVE), (BACK_S + 2, Outcome.VIOLATED)]
)
def test_no_other_posting_is_excused(offset_s: float, answer: Outcome) -> None:
    """One from before the server's last line, or from after its new start, is lost; one from long after is unknown."""
    assert ruled(history(by_ledger_2(rebooted(), offset_s, written=False)), KEPT).outcome is answer


def test_a_posting_that_a_survivor_lost_is_lost() -> None:
    """The end of one server excuses no other."""
    story = by_ledger_2(rebooted(), KILLED_S, written=False, server_pod="ledger-1")
    assert ruled(history(story), KEPT).outcome is Outcome.VIOLATED


def test_too_few_witnessed_postings_hold_nothing() -> None:
    """Calls that are counted apart do not count as samples."""
    story = Story(fault_s=4).watched().baseline().calls(*EDGE, ok=100).fault()
    for _ in range(30):
        by_ledger_2(story, KILLED_S - 0.5, written=False)
    finding = ruled(history(story), KEPT)
    assert (finding.outcome, finding.reason) == (
        Outcome.INCONCLUSIVE,
        "payment->ledger new: 0 calls succeeded, needs 20",
    )


@pytest.mark.parametrize(
    ("call_id", "offset_s", "answer"),
    [
        ("mdc.payment.ledger.2.n999", KILLED_S, Outcome.HELD),
        ("mdc.payment.ledger.2.n999", BACK_S + 1, Outcome.VIOLATED),
        ("mdc.payment.ledger.1.n999", KILLED_S, Outcome.VIOLATED),
        ("mdc", KILLED_S, Outcome.VIOLATED),
    ],
)
def test_a_serving_without_its_caller(call_id: str, offset_s: float, answer: Outcome) -> None:
    """A call that was served counts apart when its caller ended just then, and as unclaimed in every other case."""
    story = rebooted().fault().served_only(*EDGE, offset_s)
    story.rows[-1] |= {"id": call_id, "connection": "new"}
    finding = ruled(history(story), KEPT)
    assert finding.outcome is answer, finding.reason


def test_a_serving_that_was_doubled_is_harm_whoever_made_it() -> None:
    """Two servings of one call of a caller that ended are two postings."""
    story = rebooted().fault()
    for _ in range(2):
        story.served_only(*EDGE, KILLED_S)
        story.rows[-1] |= {"id": "mdc.payment.ledger.2.n999", "connection": "new"}
    assert ruled(history(story), KEPT).outcome is Outcome.VIOLATED


def test_nothing_readable_while_one_observer_started_anew() -> None:
    """The wire counts as watched when no call came from that node before its observer watched again."""
    assert ruled(history(rebooted()), NO_PLAINTEXT).outcome is Outcome.HELD


def unwatched(story: Story) -> Story:
    """Tell of a call from the node before its observer watched again."""
    story.fault().calls("fraud", "ledger", ok=1, pod="fraud-3", over=(BACK_S + 0.1, BACK_S + 0.2))
    story.rows[-1]["node"] = "n2"
    return story


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda: rebooted(watching=False), "did not watch again"),
        (lambda: unwatched(rebooted()), "1 calls were made from node n2 before its observer watched again"),
        (
            lambda: rebooted().event(ProgramStarted, "observer-2", at_s=9, pod="observer-2", node="n2"),
            "started 2 times",
        ),
        (lambda: rebooted().event(WireGap, "n2", at_s=9, node="n2", reason="dropped"), "was blind: dropped"),
    ],
)
def test_an_observer_that_may_have_missed_something_is_blind(edit: Callable[[], Story], words: str) -> None:
    """One that did not come back, came back late or in pieces, or lost packets makes the answer unknown."""
    finding = ruled(history(edit()), NO_PLAINTEXT)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert words in finding.reason


def test_nobody_came_back_is_a_blind_node() -> None:
    """An observer that is gone for good owes its end like any other."""
    story = rebooted(back=False, watching=False)
    story.events = [e for e in story.events if (type(e), e.subject) != (WireEnd, "n2")]
    assert ruled(history(story), NO_PLAINTEXT).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("before_s", "answer"), [(8.0, Outcome.INCONCLUSIVE), (16.0, Outcome.HELD)])
def test_readable_calls_may_have_gone_on_until_the_observer_ended(before_s: float, answer: Outcome) -> None:
    """A hit just before the window may have had followers whose count was lost; one from long before has not."""
    story = rebooted()
    story.baseline().hit(*EDGE, at_s=10 - before_s)
    last = story.events[-1]
    story.events[-1] = revised(msgspec.structs.replace(last, subject="n2"), node="n2")
    assert ruled(history(story), NO_PLAINTEXT).outcome is answer


def test_facts_of_a_fault_that_ends_nobody_judge_as_before() -> None:
    """A history whose facts name no casualties shows no number that only casualties have."""
    finding = ruled(Story().steady(EDGE).history(), KEPT)
    assert "answered" not in finding.rows[0].numbers
    assert "answered" in ruled(history(rebooted()), KEPT).rows[0].numbers
