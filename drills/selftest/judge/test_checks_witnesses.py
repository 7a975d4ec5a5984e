"""Two witnesses of one call: every way in which they may differ, and the ways that leave it unknown."""

import pytest

from drills.judge import checks
from drills.judge.claims import Claim, always
from drills.judge.events import CallerEnd, ServerEnd
from drills.judge.measure import Invariant
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("payment", "ledger")
DENIED = ("intruder", "ledger")
ONCE = always(checks.attempts_per_request(EDGE))
KEPT = always(checks.conservation(EDGE), must_hold=True)
ALL = (ONCE, KEPT)


def steady() -> Story:
    """Tell of a ledger that serves payment and refuses the intruder, and go on in the fault."""
    return Story().steady(EDGE).refused(DENIED).fault()


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.check.name)
def test_witnesses_that_agree_hold(claim: Claim) -> None:
    """Calls that were served once and answered, and refusals that no server saw, satisfy both."""
    finding = answer(steady(), claim)
    assert finding.outcome is Outcome.HELD, finding.reason


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.check.name)
def test_no_witness_is_inconclusive(claim: Claim) -> None:
    """A window without calls says nothing of what two witnesses would have said, and has a row for the edge."""
    finding = answer(Story().calls(*EDGE, ok=50), claim)
    assert (finding.outcome, finding.rows[0].connection) == (Outcome.INCONCLUSIVE, "none")


def test_a_posting_that_another_service_answers_is_lost() -> None:
    """Its caller takes the posting for done, and the ledger never had it."""
    story = (
        steady().calls(*EDGE, ok=1, over=(5, 6), server="bank-adapter-9").of_service("bank-adapter", "bank-adapter-9")
    )
    finding = answer(story, KEPT)
    assert (finding.outcome, finding.reason) == (Outcome.VIOLATED, "payment->ledger new: 1 lost")


def test_a_request_that_was_served_twice_violates_attempts() -> None:
    """One more serving of one request is seen, counted, and shown; two attempts are allowed where two may be."""
    story = Story().fault().calls(*EDGE, ok=200).served_again(*EDGE)
    finding = answer(story, ONCE)
    assert (finding.outcome, finding.rows[0].numbers["most_attempts"]) == (Outcome.VIOLATED, 2)
    assert finding.counter_examples[0].id == "mdc.payment.ledger.payment-1.n0"
    assert answer(story, always(checks.attempts_per_request(EDGE, at_most=2))).outcome is Outcome.HELD


def test_retries_of_an_earlier_windows_request_count_where_they_happen() -> None:
    """A second serving in the fault of a request of the baseline is a second attempt."""
    assert answer(steady().served_again(*EDGE), ONCE).outcome is Outcome.VIOLATED


def test_a_doubled_posting_is_proof_in_spite_of_holes() -> None:
    """A posting that the ledger wrote down twice is doubled, whatever else was lost."""
    story = Story().fault().calls(*EDGE, ok=200).served_again(*EDGE).without(CallerEnd)
    finding = answer(story, KEPT)
    assert (finding.outcome, finding.reason) == (Outcome.VIOLATED, "payment->ledger new: 1 doubled")


@pytest.mark.parametrize(
    ("harmed", "reason"),
    [
        (steady().calls(*EDGE, ok=1, served=False, over=(5, 6)), "1 lost"),
        (steady().calls(*EDGE, fail=1, served=True, over=(5, 6)), "1 denied"),
        (steady().served_only(*EDGE), "1 unclaimed"),
    ],
    ids=["lost", "denied", "unclaimed"],
)
def test_books_that_differ_are_violated(harmed: Story, reason: str) -> None:
    """Done for the caller and not for the ledger, the other way round, or known to the ledger alone."""
    finding = answer(harmed, KEPT)
    assert (finding.outcome, finding.reason.rpartition(": ")[2]) == (Outcome.VIOLATED, reason)


def test_an_outcome_that_cannot_be_known_contradicts_nothing() -> None:
    """A caller that timed out does not know: a posting that was served, or was not, fits both."""
    story = steady().calls(*EDGE, info=2, served=True, error="timeout", over=(5, 6))
    finding = answer(story, KEPT)
    assert (finding.outcome, finding.rows[0].numbers["served_not_ok"]) == (Outcome.HELD, 2)


def test_a_lost_posting_in_a_record_with_a_hole_is_inconclusive() -> None:
    """A posting that the ledger did not write down may be a line that the record lost."""
    story = steady().calls(*EDGE, ok=1, served=False, over=(5, 6)).without(ServerEnd)
    assert answer(story, KEPT).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "check",
    [checks.attempts_per_request, checks.conservation],
    ids=lambda check: check.__name__,
)
def test_pair_checks_need_an_edge(check: type[Invariant]) -> None:
    """A check of no edge would always hold and is refused."""
    with pytest.raises(ValueError, match="at least one edge"):
        check()  # type: ignore[call-arg]
