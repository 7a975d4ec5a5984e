"""Policy changes: the calls of the forbidden edge tell whether an accepted change is enforced."""

import pytest

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, eventually, never, reached
from drills.judge.events import ServerEnd
from drills.judge.records import NEW, REUSED
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("intruder", "frontend")
OTHER = ("checkout", "payment")
REFUSAL = SignalSpec("refused", SignalKind.ADMISSION, "failed calling webhook")
IGNORED = never(checks.change_ignored(within_s=2), must_hold=True)
ENFORCED = always(checks.change_enforced(within_s=2), alert="refused", within_s=5)


def changed(
    *, enforced_after_s: float = 1.0, held_s: float | None = 8.0, ok_before: int = 50, reopens: bool = True
) -> Story:
    """Tell of a change accepted 5 s into the fault, and of the edge's calls before, under and after it."""
    story = Story(signals=(REFUSAL,)).steady(OTHER).fault().change(*EDGE, "accepted", at_s=5, held_s=held_s)
    end_s = 20.0 if held_s is None else 5 + held_s
    story.calls(*EDGE, ok=ok_before, over=(0, 5)).calls(*EDGE, ok=10, over=(5, 5 + enforced_after_s))
    story.calls(*EDGE, fail=80, error="http-403", over=(5 + enforced_after_s, end_s))
    return story.calls(*EDGE, ok=20, over=(end_s, 20)) if reopens and end_s < 20 else story


def test_a_door_that_is_down_enforces_nothing() -> None:
    """Refusals of a target that serves no other caller prove no policy, nor do those of an edge that stays closed."""
    beside = changed().fault().calls("checkout", "frontend", ok=100, over=(0, 5))
    finding = answer(beside, ENFORCED)
    assert (finding.outcome, "it may have been down" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    assert answer(beside.calls("checkout", "frontend", ok=1, over=(9, 10)), ENFORCED).outcome is Outcome.INCONCLUSIVE
    assert answer(beside.calls("checkout", "frontend", ok=60, over=(7, 13)), ENFORCED).outcome is Outcome.HELD
    alone = changed(reopens=False)
    assert answer(alone, ENFORCED).outcome is Outcome.INCONCLUSIVE
    assert answer(alone.calls(*EDGE, ok=1, over=(19, 20)), ENFORCED).outcome is Outcome.HELD


def test_an_enforced_change_holds() -> None:
    """Calls that are refused from one second after the change until its removal show that it is enforced."""
    assert answer(changed(), IGNORED).outcome is Outcome.HELD
    assert answer(changed(), ENFORCED).outcome is Outcome.HELD


def test_calls_after_the_removal_do_not_count() -> None:
    """What is served after the removal was asked for, or while it was, is as it should be."""
    story = changed().calls(*EDGE, ok=30, over=(12.999, 20))
    assert answer(story, IGNORED).outcome is Outcome.HELD


def test_a_call_counts_when_it_was_served_not_when_it_was_due_or_answered() -> None:
    """Of calls due just before the removal, one served after it is no harm, one served before and answered late is."""
    slow = changed().calls(*EDGE, ok=1, over=(12.9, 13), lag_ms=200)
    assert answer(slow, IGNORED).outcome is Outcome.HELD
    slow.calls(*EDGE, ok=1, over=(12.9985, 13), lag_ms=0)
    assert answer(slow, IGNORED).outcome is Outcome.VIOLATED


def test_a_change_that_is_not_enforced_is_violated() -> None:
    """An accepted change whose calls go on being served is a silent failure, shown by its calls."""
    finding = answer(changed(enforced_after_s=7), IGNORED)
    assert (finding.outcome, finding.rows[0].numbers) == (Outcome.VIOLATED, {"accepted and ignored": 1})
    assert finding.counter_examples[0].id.startswith("mdc.intruder.frontend")
    assert answer(changed(enforced_after_s=7), ENFORCED).outcome is Outcome.VIOLATED


def test_a_change_that_is_enforced_too_late_is_violated() -> None:
    """Three seconds are more than two."""
    assert answer(changed(enforced_after_s=3), IGNORED).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(("connection", "expected"), [(NEW, Outcome.HELD), (REUSED, Outcome.VIOLATED)])
def test_a_change_is_asked_of_one_kind_of_connection(connection: str, expected: Outcome) -> None:
    """New connections are refused and open ones go on: each kind is judged by its own calls, and both violate it."""
    story = changed().calls(*EDGE, ok=130, over=(0, 13), connection=REUSED)
    assert answer(story, never(checks.change_ignored(2, connection), must_hold=True)).outcome is expected
    assert answer(story, always(checks.change_enforced(2, connection))).outcome is expected
    assert answer(story, always(checks.change_enforced(2))).outcome is Outcome.VIOLATED
    assert answer(story, IGNORED).outcome is Outcome.VIOLATED
    assert answer(changed(), always(checks.change_enforced(2, REUSED))).outcome is Outcome.INCONCLUSIVE


def test_a_change_that_does_not_stay_enforced_is_violated_in_spite_of_holes() -> None:
    """One call served under a change that was enforced before is proof, even in a record with holes."""
    story = changed().calls(*EDGE, ok=1, over=(10, 11)).without(ServerEnd)
    assert answer(story, IGNORED).outcome is Outcome.VIOLATED


def test_a_change_that_nobody_removed_holds_until_the_end() -> None:
    """Without removal every later call must be refused."""
    beside = changed(held_s=None).calls("checkout", "frontend", ok=100)
    assert answer(beside, IGNORED).outcome is Outcome.HELD
    late = changed(held_s=None).recovery().calls(*EDGE, ok=1)
    assert answer(late, IGNORED).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (changed(ok_before=0, enforced_after_s=0.0), "closed before"),
        (changed(held_s=1.0), "0 calls after 2 s"),
        (Story().steady(OTHER).fault().change(*EDGE, "failed"), "0 of 1"),
        (Story().steady(OTHER), "0 of 0"),
    ],
)
def test_a_change_that_tells_nothing_is_inconclusive(story: Story, reason: str) -> None:
    """An edge that was closed before, a hold too short, an API that could not be asked and no change at all."""
    for claim in (IGNORED, ENFORCED):
        finding = answer(story, claim)
        assert (finding.outcome, reason in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_refused_change_is_not_ignored_and_fails_observably() -> None:
    """A refusal is an answer: nothing is ignored, and the message tells on-call."""
    story = Story(signals=(REFUSAL,)).steady(OTHER).fault()
    story.change(*EDGE, "refused", held_s=None, message="failed calling webhook")
    assert answer(story, IGNORED).outcome is Outcome.HELD
    finding = answer(story, ENFORCED)
    assert (finding.outcome, finding.counter_examples[0].error) == (Outcome.FAILED_OBSERVABLY, "failed calling webhook")


def test_a_change_works_again_after_recovery() -> None:
    """A refusal at first and an enforced change later is a recovery, with the time it took."""
    story = Story().steady(OTHER).recovery().change(*EDGE, "refused", at_s=2, held_s=None)
    story.change(*EDGE, "accepted", at_s=10).calls(*EDGE, ok=50, over=(5, 10)).calls(*EDGE, fail=80, over=(10, 18))
    story.calls(*EDGE, ok=10, over=(18.5, 20))
    finding = answer(story, eventually(checks.change_enforced(within_s=2), within_s=15))
    assert (finding.outcome, finding.recovery_s) == (Outcome.HELD, 10.002)


@pytest.mark.parametrize("error", ["dns", "connect-timeout"])
def test_a_caller_that_is_cut_off_shows_no_policy(error: str) -> None:
    """Calls that find no address, or time out and never get through again, are not refused by anything."""
    story = Story().steady(OTHER).fault().change(*EDGE, "accepted", at_s=5).calls("checkout", "frontend", ok=100)
    story.calls(*EDGE, ok=50, over=(0, 5)).calls(*EDGE, fail=150, error=error, over=(5, 20))
    assert answer(story, IGNORED).outcome is Outcome.INCONCLUSIVE
    back = Story().steady(OTHER).fault().change(*EDGE, "accepted", at_s=5).calls("checkout", "frontend", ok=100)
    back.calls(*EDGE, ok=50, over=(0, 5)).calls(*EDGE, fail=80, error=error, over=(5, 13))
    back.calls(*EDGE, ok=70, over=(13, 20))
    assert answer(back, IGNORED).outcome is (Outcome.INCONCLUSIVE if error == "dns" else Outcome.HELD)


def test_a_recovery_is_not_earlier_than_its_first_evidence() -> None:
    """A change that is ignored at 2 s and one that is enforced at 10 s: recovered at 10 s, which is late for 8 s."""
    story = Story().steady(OTHER).recovery().change(*EDGE, "accepted", at_s=2, held_s=4)
    story.calls(*EDGE, ok=100, over=(0, 10)).change(*EDGE, "accepted", at_s=10)
    story.calls(*EDGE, fail=80, over=(10, 18)).calls(*EDGE, ok=10, over=(18.5, 20))
    check = checks.change_enforced(within_s=2)
    assert answer(story, eventually(check, within_s=12)).recovery_s == 10.002
    late = answer(story, eventually(check, within_s=8))
    assert (late.outcome, "first seen true after 10.0 s" in late.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_change_that_a_later_window_ignores_is_harm_there() -> None:
    """A change of the baseline that is forgotten in the fault is ignored in the fault, and not in the recovery."""
    story = Story().steady(OTHER).calls(*EDGE, ok=30, over=(0, 3)).change(*EDGE, "accepted", at_s=3, held_s=20)
    story.calls(*EDGE, fail=70, over=(3, 10)).fault().calls(*EDGE, fail=50, over=(0, 5))
    story.calls(*EDGE, ok=80, over=(5, 13)).calls(*EDGE, ok=70, over=(13.1, 20))
    finding = answer(story, IGNORED)
    assert (finding.outcome, finding.rows[0].numbers) == (Outcome.VIOLATED, {"accepted and ignored": 1})
    assert finding.counter_examples[0].at_ns == story.at(5)
    assert answer(story, never(checks.change_ignored(within_s=2), "recovery")).outcome is Outcome.INCONCLUSIVE


def test_change_tried_is_reached_by_an_answer() -> None:
    """A refusal shows that a change was tried; a request without answer does not."""
    claim = reached(checks.change_tried())
    story = Story().steady(OTHER).fault().change(*EDGE, "failed")
    assert answer(story, claim).outcome is Outcome.INCONCLUSIVE
    assert answer(story.change(*EDGE, "refused"), claim).outcome is Outcome.HELD
