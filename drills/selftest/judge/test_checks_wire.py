"""Nothing readable on the wire is believed only when somebody would have read it."""

import msgspec
import pytest

from drills.judge import checks
from drills.judge.claims import never, reached
from drills.judge.events import CallerEnd, Event, FaultReceipt, PodListed, WireEnd, WireGap, WireReady
from drills.judge.history import History
from drills.judge.verdict import Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import START_NS, Story, answer

EDGE = ("checkout", "payment")
S = 1_000_000_000
CLAIM = never(checks.plaintext(EDGE), must_hold=True)


def quiet() -> Story:
    """Return a story of traffic that every node watched and that no observer could read."""
    return Story().steady(EDGE).watched()


def twice_seen() -> Story:
    """Return the same story, but the observer saw the outsider only when it started and when it ended."""
    story = Story().steady(EDGE).watched(proven=False)
    return story.pair("outsider", "ledger", first_ns=story.at(0), last_ns=story.at(story.length_s() + 1))


def test_plaintext_never_happens_on_a_watched_wire() -> None:
    """All nodes watched without loss, the outsider was read, the edge's calls succeeded, none of them was read."""
    assert answer(quiet(), CLAIM).outcome is Outcome.HELD


def test_an_observer_that_died_and_came_back_is_noticed() -> None:
    """The outsider's calls go on being readable: a node on which none is seen for more than 20 s has no observer."""
    outside = ("outsider", "outsider")
    finding = answer(twice_seen().steady(outside), CLAIM)
    assert (finding.outcome, "of node n1 saw none of" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    seen = twice_seen().steady(outside)
    for at_s in (5, 20, 35):
        seen.baseline().hit(*outside, at_s=at_s)
    assert answer(seen, CLAIM).outcome is Outcome.HELD


def test_a_node_without_an_observer_is_noticed() -> None:
    """Pods of the lab on a node that no observer watches could send anything."""
    story = quiet().baseline().event(PodListed, "checkout-1", node="n4", service="checkout")
    finding = answer(story, CLAIM)
    assert (finding.outcome, "no observer watches node n4" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_nothing_is_missed_while_the_outsider_does_not_call() -> None:
    """An outsider that cannot call sends nothing that could be seen."""
    away = (
        quiet().calls("outsider", "outsider", ok=20, over=(0, 2)).calls("outsider", "outsider", fail=480, over=(2, 50))
    )
    assert answer(away, CLAIM).outcome is Outcome.HELD


def test_plaintext_is_violated_by_one_hit() -> None:
    """One readable call is proof, shown with its request id and where it was read."""
    finding = answer(quiet().fault().hit(*EDGE, at_s=3), CLAIM)
    example = finding.counter_examples[0]
    assert (finding.outcome, example.id, example.error) == (
        Outcome.VIOLATED,
        "mdc.checkout.payment.x.n0",
        "node n1 interface eth0",
    )


@pytest.mark.parametrize("kind", [CallerEnd, WireEnd, WireReady, FaultReceipt])
def test_a_hit_is_proof_in_spite_of_holes(kind: type[Event]) -> None:
    """What was read was readable, whatever else the record lacks."""
    assert answer(quiet().fault().hit(*EDGE).without(kind), CLAIM).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(("first_s", "last_s"), [(15, 90), (-5, 15), (15, 16)])
def test_a_pair_that_begins_or_ends_in_the_window_is_proof(first_s: int, last_s: int) -> None:
    """Totals count as well as single hits when their first or last packet lies in the window."""
    story = quiet().pair(*EDGE, first_ns=START_NS + first_s * S, last_ns=START_NS + last_s * S)
    finding = answer(story, CLAIM)
    assert (finding.outcome, finding.counter_examples[0].id) == (Outcome.VIOLATED, "checkout->payment")


def test_a_pair_that_cannot_be_placed_is_inconclusive() -> None:
    """Packets from before until after the window may have been in it."""
    story = quiet().pair(*EDGE, first_ns=START_NS, last_ns=START_NS + 90 * S)
    assert answer(story, CLAIM).outcome is Outcome.INCONCLUSIVE


def test_plaintext_of_another_window_or_edge_does_not_count() -> None:
    """A hit in the baseline, or of another edge, is not a hit of this edge during the fault."""
    story = quiet().baseline().hit(*EDGE).fault().hit("frontend", "checkout")
    assert answer(story.pair(*EDGE, first_ns=START_NS, last_ns=START_NS + S), CLAIM).outcome is Outcome.HELD


def test_a_hit_whose_name_was_cut_is_inconclusive() -> None:
    """A canary of an unknown edge may be one of this edge."""
    finding = answer(quiet().fault().hit("?", "?"), CLAIM)
    assert (finding.outcome, finding.rows[0].numbers["possibly_readable"]) == (Outcome.INCONCLUSIVE, 1)


def test_only_interfaces_that_count_are_the_wire() -> None:
    """Where only bytes between nodes count, a hit on another interface is none, and a proof there proves nothing."""
    recorded = quiet().fault().hit(*EDGE, interface="veth1").history()
    for interfaces, expected in (
        (("eth0",), Outcome.HELD),
        (("veth1",), Outcome.VIOLATED),
        (("x",), Outcome.INCONCLUSIVE),
    ):
        facts = msgspec.structs.replace(recorded.facts, wire_interfaces=interfaces)
        assert judge(History(recorded.calls, recorded.events, facts), [CLAIM]).findings[0].outcome is expected


def test_a_detector_that_proved_nothing_is_inconclusive() -> None:
    """When not even the outsider's plaintext was read, silence means nothing."""
    finding = answer(Story().steady(EDGE).watched(proven=False), CLAIM)
    assert (finding.outcome, "did not prove that they can see" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_proof_from_before_the_window_is_inconclusive() -> None:
    """A detector that last saw plaintext in the baseline may be blind since."""
    story = (
        Story().steady(EDGE).watched(proven=False).pair("outsider", "ledger", first_ns=START_NS, last_ns=START_NS + S)
    )
    assert answer(story, CLAIM).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (quiet().without(WireReady), "not ready"),
        (quiet().without(WireEnd), "did not report its end"),
        (Story().steady(EDGE).watched(dropped=3), "lost 3 packets"),
        (Story().steady(EDGE).watched(packets=0), "saw no packets"),
        (quiet().event(WireGap, "n2", node="n2", reason="socket error"), "was blind: socket error"),
        (Story().watched(), "nothing to see"),
        (Story().watched().fault().calls(*EDGE, ok=19), "nothing to see"),
    ],
)
def test_a_blind_detector_is_inconclusive(story: Story, reason: str) -> None:
    """Late, lossy, idle or interrupted observers, and an edge without successful calls, leave the question open."""
    finding = answer(story, CLAIM)
    assert (finding.outcome, reason in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_without_observers_nothing_is_known() -> None:
    """A run that was to watch no node cannot claim a silent wire."""
    recorded = quiet().history()
    facts = msgspec.structs.replace(recorded.facts, wire_nodes=())
    finding = judge(History(recorded.calls, recorded.events, facts), [CLAIM]).findings[0]
    assert finding.outcome is Outcome.INCONCLUSIVE


def test_a_gap_after_the_window_does_not_matter() -> None:
    """An observer that failed in the recovery had seen the fault."""
    story = quiet().recovery().event(WireGap, "n2", at_s=5, node="n2", reason="late")
    assert answer(story, CLAIM).outcome is Outcome.HELD


TRIED = never(checks.plaintext_tried(EDGE), must_hold=True)


@pytest.mark.parametrize(
    ("error", "count", "expected"),
    [
        ("connect-refused", 40, Outcome.HELD),
        ("connect-refused", 19, Outcome.INCONCLUSIVE),
        ("dns", 40, Outcome.INCONCLUSIVE),
    ],
)
def test_a_target_that_refuses_can_still_be_seen_to_be_called(error: str, count: int, expected: Outcome) -> None:
    """Calls that reached for an address are enough; those that found none show nothing, and plaintext stays unknown."""
    story = Story().calls("outsider", "outsider", ok=100).watched().fault().calls(*EDGE, fail=count, error=error)
    finding = answer(story, TRIED)
    assert finding.outcome is expected
    if expected is Outcome.INCONCLUSIVE:
        assert "calls resolved their target, needs 20" in finding.reason
    assert answer(story, CLAIM).outcome is Outcome.INCONCLUSIVE


def test_a_refused_call_that_was_readable_is_proof() -> None:
    """One hit is enough, whatever its answer; on an unwatched wire nothing is known."""
    story = Story().calls("outsider", "outsider", ok=100).watched().fault().calls(*EDGE, fail=40, error="reset")
    assert answer(story.hit(*EDGE, at_s=3), TRIED).outcome is Outcome.VIOLATED
    blind = Story().steady(EDGE).fault().calls(*EDGE, fail=40, error="reset")
    assert answer(blind, TRIED).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().watched(), TRIED).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("error", "count", "expected"),
    [("timeout", 20, Outcome.HELD), ("timeout", 19, Outcome.INCONCLUSIVE), ("dns", 40, Outcome.INCONCLUSIVE)],
)
def test_addressed_is_reached_by_calls_that_found_an_address(error: str, count: int, expected: Outcome) -> None:
    """A name that led nowhere is no call to anybody; what becomes of the others does not count."""
    story = Story().steady(("outsider", "outsider")).fault().calls(*EDGE, fail=count, error=error)
    finding = answer(story, reached(checks.addressed(EDGE)))
    assert finding.outcome is expected
    assert answer(Story().steady(EDGE), reached(checks.addressed(EDGE))).outcome is Outcome.HELD
    assert answer(Story(), reached(checks.addressed(EDGE))).outcome is Outcome.INCONCLUSIVE
