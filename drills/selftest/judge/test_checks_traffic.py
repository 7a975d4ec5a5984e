"""Checks of traffic: each has a history that holds, one that is violated, one that cannot tell and an empty one."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.checks.tally import error_rate_upper_95, wilson
from drills.judge.claims import always, reached
from drills.judge.events import ReplicaCount
from drills.judge.measure import Truth
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
OTHER = ("payment", "ledger")
RATE = always(checks.success_rate(EDGE, at_least=0.99))
OUTAGE = always(checks.availability(EDGE, max_outage_s=0.5))
DOWN = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")


def test_success_rate_holds_with_a_few_failures() -> None:
    """One failure in two hundred is within a rate of 0.99 and is still shown as an example."""
    finding = answer(Story().fault().calls(*EDGE, ok=199, fail=1), RATE)
    assert finding.outcome is Outcome.HELD
    assert finding.rows[0].numbers["success_rate"] == 0.995
    assert [example.error for example in finding.counter_examples] == ["connect-reset"]


def test_success_rate_is_violated_by_too_many_failures() -> None:
    """Five failures in two hundred break a rate of 0.99; the finding counts them and shows five at most."""
    finding = answer(Story().fault().calls(*EDGE, ok=190, fail=10), RATE)
    assert finding.outcome is Outcome.VIOLATED
    assert finding.reason == "checkout->payment new: 10 of 200 calls were lost, at most 0.01 of them may"
    assert len(finding.counter_examples) == 5
    assert finding.rows[0].numbers["error connect-reset"] == 10


def test_success_rate_meets_its_bound_exactly() -> None:
    """A share that equals the bound is enough, whatever binary fractions make of it."""
    story = Story().fault().calls(*EDGE, ok=7, fail=93)
    claim = always(checks.success_rate(EDGE, at_least=0.07, max_gap_s=100, min_samples=7))
    assert answer(story, claim).outcome is Outcome.HELD


def test_success_rate_counts_what_cannot_be_known_as_no_success() -> None:
    """A call that timed out may have been served, and the caller did not get its answer."""
    finding = answer(Story().fault().calls(*EDGE, ok=190, info=10, error="timeout"), RATE)
    assert (finding.outcome, finding.rows[0].numbers["cannot_know"]) == (Outcome.VIOLATED, 10)


def test_a_good_answer_of_another_service_is_a_failure() -> None:
    """Calls that a pod with an old address of the target answers did not reach it, with or without a server's line."""
    story = Story().fault().calls(*EDGE, ok=190).calls(*EDGE, ok=5, server="ledger-9")
    finding = answer(story.calls(*EDGE, ok=5, server="ledger-9", served=False).of_service("ledger", "ledger-9"), RATE)
    assert (finding.outcome, finding.rows[0].numbers["error wrong-service"]) == (Outcome.VIOLATED, 10)


def test_success_rate_fails_observably_when_the_named_signal_appears() -> None:
    """The same failures are FAILED_OBSERVABLY when the alert fired in time."""
    story = Story(signals=(DOWN,)).fault().calls(*EDGE, ok=190, fail=10)
    story.event(ReplicaCount, DOWN.subject, at_s=2.5, ready=0, desired=1)
    story.baseline().event(ReplicaCount, DOWN.subject, ready=1, desired=1)
    finding = answer(story, always(checks.success_rate(EDGE, at_least=0.99), alert="down", within_s=5))
    assert (finding.outcome, finding.signal, finding.time_to_signal_s) == (Outcome.FAILED_OBSERVABLY, "down", 2.5)


def test_the_deadline_of_a_signal_runs_from_the_harm_that_counts() -> None:
    """A tolerated failure early on is no harm: the signal's time runs from the failures that broke the rate."""
    story = Story(signals=(DOWN,)).event(ReplicaCount, DOWN.subject, ready=1, desired=1).fault()
    story.calls(*EDGE, ok=999, fail=1, connection="reused").calls(*EDGE, ok=50, over=(0, 12))
    story.calls(*EDGE, fail=20, over=(12, 12.5)).calls(*EDGE, ok=50, over=(12.5, 20))
    story.event(ReplicaCount, DOWN.subject, at_s=12.9, ready=0, desired=1)
    finding = answer(story, always(checks.success_rate(EDGE, at_least=0.99), alert="down", within_s=1))
    assert finding.outcome is Outcome.FAILED_OBSERVABLY


KEPT = always(checks.success_rate(EDGE, OTHER, at_least=0.999))


def test_one_lost_call_of_a_lane_is_decided_with_the_other_lanes() -> None:
    """One of 500 is more than 0.1 %: among 30,000 it is chance, among 500 alone it is undecided, ten are a loss."""
    lone = Story().fault().calls(*EDGE, ok=499, fail=1).calls(*OTHER, ok=100)
    finding = answer(lone, KEPT)
    assert (finding.outcome, "1 of 600 on all edges: too few to decide" in finding.reason) == (
        Outcome.INCONCLUSIVE,
        True,
    )
    finding = answer(lone.calls(*OTHER, ok=30000), KEPT)
    assert finding.outcome is Outcome.HELD
    assert finding.reason == "1 of 30600 calls were lost; at 95 % confidence below 0.89% on each edge"
    assert answer(lone.calls(*EDGE, ok=490, fail=10, connection="reused"), KEPT).outcome is Outcome.VIOLATED


def test_one_lost_call_on_each_of_many_lanes_is_a_loss() -> None:
    """No lane is out by itself, and all of them together are."""
    edges = [("frontend", f"s{number}") for number in range(12)]
    story = Story().fault()
    for edge in edges:
        story.calls(*edge, ok=399, fail=1)
    finding = answer(story, always(checks.success_rate(*edges, at_least=0.999)))
    assert (finding.outcome, "12 of 4800 on all edges" in finding.reason) == (Outcome.VIOLATED, True)


@pytest.mark.parametrize(("calls", "expected"), [(34, Outcome.INCONCLUSIVE), (60, Outcome.HELD)])
def test_no_lost_call_of_few_proves_nothing(calls: int, expected: Outcome) -> None:
    """Of 34 calls one in 12 could be lost and none be seen; the finding says what the run could have missed."""
    finding = answer(Story().fault().calls(*EDGE, ok=calls), always(checks.success_rate(EDGE, at_least=0.999)))
    assert finding.outcome is expected
    coarse = always(checks.success_rate(EDGE, at_least=0.999, resolves=0.1))
    assert answer(Story().fault().calls(*EDGE, ok=calls), coarse).outcome is Outcome.HELD
    said = "cannot show a share below 8.8%" if calls == 34 else "lost; at 95 % confidence below 5.00% on each edge"
    assert said in finding.reason


def test_a_success_counts_when_it_ended() -> None:
    """Calls that all hang for three seconds and succeed in the end leave their caller without a success meanwhile."""
    story = Story().fault().calls(*EDGE, ok=100, over=(0, 10)).calls(*EDGE, ok=70, over=(13, 20))
    for number in range(30):
        story.calls(*EDGE, ok=1, over=(10 + number / 10, 13))
        story.rows[-1]["ended_ns"] = story.at(13)
    finding = answer(story, RATE)
    assert (finding.outcome, "without a success" in finding.reason) == (Outcome.VIOLATED, True)


def test_success_rate_of_nothing_is_inconclusive() -> None:
    """No call in the window proves nothing, although there were calls before it."""
    finding = answer(Story().calls(*EDGE, ok=100), RATE)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.reason.startswith("checkout->payment new: 0 calls, needs 20")


def test_success_rate_of_an_edge_nobody_calls_is_inconclusive() -> None:
    """An edge without caller has a row of its own that says so."""
    finding = answer(Story().steady(OTHER), RATE)
    assert (finding.outcome, finding.rows[0].connection) == (Outcome.INCONCLUSIVE, "none")


def test_success_rate_of_few_calls_is_inconclusive() -> None:
    """Nineteen failures are too few to judge, so are nineteen successes."""
    assert answer(Story().fault().calls(*EDGE, ok=19), RATE).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().fault().calls(*EDGE, fail=19), RATE).outcome is Outcome.INCONCLUSIVE


def test_success_rate_does_not_hide_an_outage() -> None:
    """Three seconds of failures in a long window break the claim although the rate is kept."""
    finding = answer(Story(fault_s=1000).fault().calls(*EDGE, ok=9970, fail=30), RATE)
    assert finding.rows[0].numbers["success_rate"] == 0.997
    assert (finding.outcome, finding.reason) == (
        Outcome.VIOLATED,
        "checkout->payment new: 3.100 s without a success, at most 2 s may pass",
    )


def test_success_rate_with_a_pause_of_the_caller_is_inconclusive() -> None:
    """Three seconds without a call could hide an outage."""
    story = Story().fault().calls(*EDGE, ok=100, over=(0, 10)).calls(*EDGE, ok=100, over=(13, 20))
    finding = answer(story, RATE)
    assert (finding.outcome, "no call was made for 3.1" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_caller_that_stops_early_is_inconclusive() -> None:
    """The end of the window counts as much as its middle."""
    finding = answer(Story().fault().calls(*EDGE, ok=100, over=(0, 10)), RATE)
    assert (finding.outcome, "no call was made for 10.1" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_second_pod_does_not_hide_the_first() -> None:
    """When one of two callers of an edge has an outage, the other's successes do not fill it."""
    story = Story().fault().calls(*EDGE, ok=4000).calls(*EDGE, ok=80, fail=30, pod="checkout-2")
    finding = answer(story, RATE)
    assert (finding.outcome, "without a success" in finding.reason) == (Outcome.VIOLATED, True)


def test_a_planned_caller_that_is_silent_in_the_window_is_inconclusive() -> None:
    """A caller pod that did well before and made no call in the window leaves the window unmeasured."""
    story = Story().calls(*EDGE, ok=100, pod="checkout-2").fault().calls(*EDGE, ok=200)
    assert answer(story, RATE).outcome is Outcome.INCONCLUSIVE


def test_new_and_reused_connections_are_separate_rows() -> None:
    """New connections that fail are not averaged away by reused ones that work."""
    finding = answer(Story().fault().calls(*EDGE, ok=2000, connection="reused").calls(*EDGE, ok=10, fail=10), RATE)
    assert [(row.connection, row.truth) for row in finding.rows] == [("new", Truth.FALSE), ("reused", Truth.TRUE)]
    assert finding.outcome is Outcome.VIOLATED


def test_a_reused_lane_needs_connections_that_were_really_reused() -> None:
    """Successes that had to reconnect each time say nothing of reused connections; they are counted apart."""
    finding = answer(Story().fault().calls(*EDGE, ok=200, connection="reused", reused=False), RATE)
    assert (finding.outcome, finding.rows[0].numbers["reconnected"]) == (Outcome.INCONCLUSIVE, 200)


def test_every_finding_states_what_it_could_have_missed() -> None:
    """At ten calls a second an outage under 100 ms fits between two calls, and 200 successes allow a rate of 1.5 %."""
    resolving = answer(Story().steady(EDGE), RATE).resolving
    assert resolving is not None
    assert (resolving.calls, resolving.calls_per_s) == (200, 10)
    assert (resolving.largest_gap_ms, resolving.shortest_outage_ms, resolving.error_rate_upper_95) == (100, 100, 0.015)


def test_the_upper_bound_of_the_error_rate() -> None:
    """Three over n without a failure, more with failures, everything without calls."""
    assert (error_rate_upper_95(0, 300), error_rate_upper_95(0, 2), error_rate_upper_95(0, 0)) == (0.01, 1.0, 1.0)
    assert 0.05 < error_rate_upper_95(5, 100) < 0.12


def test_wilson_agrees_with_a_published_value() -> None:
    """Of 10 draws 5 hits: the 95 % score interval is 0.237 to 0.763."""
    low, high = wilson(5, 10)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)


def test_availability_holds_when_pauses_are_short() -> None:
    """Failures shorter than the bound are no outage."""
    assert answer(Story().fault().calls(*EDGE, ok=196, fail=4), OUTAGE).outcome is Outcome.HELD


def test_availability_is_violated_by_a_longer_pause() -> None:
    """A second without success breaks a bound of half a second, and its position is stated."""
    finding = answer(Story().fault().calls(*EDGE, ok=190, fail=10), OUTAGE)
    assert finding.outcome is Outcome.VIOLATED
    assert finding.rows[0].numbers["longest_outage_ms"] == 1100.0
    assert finding.rows[0].numbers["longest_outage_at_s"] == 9.402


def test_availability_of_nothing_is_inconclusive() -> None:
    """Without calls there is no outage, and no availability either."""
    assert answer(Story().steady(OTHER), OUTAGE).outcome is Outcome.INCONCLUSIVE


def split(weight: float) -> Outcome:
    """Judge 300 calls of which 30 went to v2 against a weight."""
    story = Story().fault().calls(*EDGE, ok=270).calls(*EDGE, ok=30, version="v2")
    return answer(story, always(checks.split_ratio(EDGE, version="v2", weight=weight))).outcome


def test_split_ratio_answers_within_its_interval() -> None:
    """A tenth of the calls is a weight of 0.1, is no weight of 0.4, and cannot be distinguished from 0.14."""
    assert (split(0.1), split(0.4), split(0.14)) == (Outcome.HELD, Outcome.VIOLATED, Outcome.INCONCLUSIVE)


def test_a_share_must_be_kept_in_every_part_of_the_window() -> None:
    """A canary with nothing for half of the phase and twice its share for the other half has its share on average."""
    story = Story().fault().calls(*EDGE, ok=500, over=(0, 10)).calls(*EDGE, ok=400, over=(10, 20))
    story.calls(*EDGE, ok=100, over=(10.005, 20), version="v2")
    finding = answer(story, always(checks.split_ratio(EDGE, version="v2", weight=0.1)))
    assert (finding.outcome, "in a part of the window 0 of 250" in finding.reason) == (Outcome.VIOLATED, True)


def test_split_ratio_of_few_calls_is_inconclusive() -> None:
    """Too few calls, or none at all, decide no weight."""
    claim = always(checks.split_ratio(EDGE, version="v2", weight=0.1))
    assert answer(Story().fault().calls(*EDGE, ok=20), claim).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().steady(OTHER), claim).rows[0].connection == "none"


def test_attempted_is_reached_by_calls_that_were_made() -> None:
    """Failing calls were made all the same; few calls, or calls on other connections only, were not enough."""
    asked = reached(checks.attempted(EDGE))
    new, reused = (reached(checks.attempted(EDGE, connection=kind)) for kind in ("new", "reused"))
    failing = Story().steady(OTHER).fault().calls(*EDGE, fail=50)
    assert [answer(failing, claim).outcome for claim in (asked, new, reused)] == [
        Outcome.HELD,
        Outcome.HELD,
        Outcome.INCONCLUSIVE,
    ]
    assert answer(Story().fault().calls(*EDGE, ok=19), asked).outcome is Outcome.INCONCLUSIVE


def test_attempted_on_reused_connections_needs_real_reuse() -> None:
    """Calls that had to reconnect did not attempt a reused connection."""
    claim = reached(checks.attempted(EDGE, connection="reused"))
    assert answer(Story().fault().calls(*EDGE, ok=50, connection="reused"), claim).outcome is Outcome.HELD
    lone = Story().fault().calls(*EDGE, ok=50, connection="reused", reused=False)
    assert answer(lone, claim).outcome is Outcome.INCONCLUSIVE


def test_attempted_needs_every_edge() -> None:
    """One edge that was called does not stand for another that was not."""
    story = Story().fault().calls(*EDGE, ok=50).calls(*OTHER, ok=50, connection="reused")
    assert answer(story, reached(checks.attempted(EDGE, OTHER))).outcome is Outcome.HELD
    assert answer(story, reached(checks.attempted(EDGE, OTHER, connection="new"))).outcome is Outcome.INCONCLUSIVE


def test_a_check_of_no_edge_is_refused() -> None:
    """A check that was given no edge would hold for ever: it is refused when the drill is written."""
    for build in (
        lambda: checks.success_rate(at_least=0.9),
        lambda: checks.availability(max_outage_s=1),
        lambda: checks.split_ratio(version="v2", weight=0.1),
        checks.attempted,
        checks.denied,
        checks.unauthenticated,
        checks.plaintext,
    ):
        with pytest.raises(ValueError, match="at least one edge"):
            build()


@pytest.mark.parametrize("share", [0.0, 1.01])
def test_a_success_rate_outside_its_range_is_refused(share: float) -> None:
    """A rate that every history meets, or that none can, is a mistake of the drill."""
    with pytest.raises(ValueError, match="share"):
        checks.success_rate(EDGE, at_least=share)


def test_a_reason_names_a_few_rows_and_counts_the_rest() -> None:
    """A finding over many edges stays readable."""
    edges = [("frontend", name) for name in ("a", "b", "c", "d", "e")]
    finding = answer(Story().steady(EDGE), always(checks.success_rate(*edges, at_least=0.9)))
    assert finding.reason.count("needs 20") == 3
    assert finding.reason.endswith("(and 2 more)")


def test_success_may_be_asked_of_one_kind_of_connection() -> None:
    """Lost calls on new connections do not break a claim about open ones, and lost ones on those do."""
    story = Story().steady(EDGE).fault().calls(*EDGE, ok=100, fail=100).calls(*EDGE, ok=200, connection="reused")
    reused, new = (always(checks.success_rate(EDGE, at_least=0.9, connection=it)) for it in ("reused", "new"))
    assert answer(story, reused).outcome is Outcome.HELD
    assert answer(story, new).outcome is Outcome.VIOLATED
    assert {row.connection for row in answer(story, new).rows} == {"new"}


def test_an_edge_without_such_connections_proves_nothing() -> None:
    """A claim about open connections knows nothing of an edge on which each call opens one."""
    story = Story().steady(EDGE).fault().calls(*EDGE, ok=200)
    finding = answer(story, always(checks.success_rate(("ledger", "payment"), at_least=0.9, connection="reused")))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "no caller makes reused calls on ledger->payment" in finding.reason


def test_an_unknown_kind_of_connection_is_refused() -> None:
    """A misspelt kind would be an edge without calls for ever."""
    with pytest.raises(ValueError, match="expected new or reused"):
        checks.success_rate(EDGE, at_least=0.9, connection="old")
