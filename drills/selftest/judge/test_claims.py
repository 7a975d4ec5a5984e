"""Quantifiers, excuses and defects: how a measured proposition becomes one of four answers."""

import polars as pl
import pytest

from clusters.model import Reference, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, eventually, never, reached, sometimes
from drills.judge.events import ReplicaCount, ServerEnd, UndoVerified
from drills.judge.history import History, Window
from drills.judge.measure import Invariant, Measurement, Occurrence, Truth
from drills.judge.verdict import Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
DOWN = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")
TRUE, FALSE, UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
S = 1_000_000_000

PROMISE = Reference("Security", "https://example.org/security", "1.0", "documented")


def invariant(truth: Truth, *, at_s: float = 0, is_proof: bool = False) -> Invariant:
    """Return an invariant that measures the same everywhere; harm lies at_s into the window."""

    def evaluate(_history: History, window: Window) -> Measurement:
        return Measurement(truth, "as recorded", at_ns=window.start_ns + round(at_s * S), is_proof=is_proof)

    return Invariant("recorded", "it is as recorded", evaluate)


def occurrence(truth: Truth, *, is_proof: bool = False) -> Occurrence:
    """Return an occurrence that measures the same everywhere."""
    return Occurrence("recorded", "it happens", lambda _h, _w: Measurement(truth, "as recorded", is_proof=is_proof))


def whole() -> Story:
    """Tell of a run with a complete record and a signal that appears 4 s into the fault."""
    story = Story(signals=(DOWN,)).steady(EDGE).event(ReplicaCount, DOWN.subject, ready=1, desired=1).fault()
    story.event(ReplicaCount, DOWN.subject, at_s=0.5, ready=1, desired=1)
    return story.event(ReplicaCount, DOWN.subject, at_s=4, ready=0, desired=1)


def holed() -> Story:
    """Tell of the same run with a hole in its record."""
    return whole().without(ServerEnd)


def saturated(history: History) -> History:
    """Return the history with one call that could not be made because too many were in flight."""
    first = pl.col("id") == "mdc.checkout.payment.checkout-1.n5"
    error = pl.when(first).then(pl.lit("in-flight-bound")).otherwise("error")
    return History(history.calls.with_columns(error=error), history.events, history.facts)


@pytest.mark.parametrize(
    ("truth", "expected"), [(TRUE, Outcome.HELD), (FALSE, Outcome.VIOLATED), (UNKNOWN, Outcome.INCONCLUSIVE)]
)
def test_always_and_sometimes_follow_the_proposition(truth: Truth, expected: Outcome) -> None:
    """A true proposition holds, a false one is violated, an unknown one is inconclusive."""
    assert answer(whole(), always(invariant(truth))).outcome is expected
    assert answer(whole(), sometimes(occurrence(truth))).outcome is expected


@pytest.mark.parametrize(
    ("truth", "expected"), [(TRUE, Outcome.VIOLATED), (FALSE, Outcome.HELD), (UNKNOWN, Outcome.INCONCLUSIVE)]
)
def test_never_is_the_opposite(truth: Truth, expected: Outcome) -> None:
    """What happened violates, what did not happen holds, what cannot be known is inconclusive."""
    assert answer(whole(), never(occurrence(truth))).outcome is expected


@pytest.mark.parametrize(
    ("truth", "expected"), [(TRUE, Outcome.HELD), (FALSE, Outcome.INCONCLUSIVE), (UNKNOWN, Outcome.INCONCLUSIVE)]
)
def test_reached_is_never_violated(truth: Truth, expected: Outcome) -> None:
    """A situation that was not reached is no failure of the mesh: the drill proved nothing."""
    assert answer(whole(), reached(occurrence(truth))).outcome is expected


def test_a_hole_turns_held_into_inconclusive() -> None:
    """A claim that holds over a record with holes is not known to hold; the reason names the defect."""
    finding = answer(holed(), always(invariant(TRUE)))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.reason.startswith("HELD if the record were complete, but server payment-1 never reported its end")


def test_a_hole_explains_a_broken_claim_away_unless_it_is_proof() -> None:
    """Failures in a record with holes may be ours; a proven harm may not, must_hold or not."""
    assert answer(holed(), always(invariant(FALSE))).outcome is Outcome.INCONCLUSIVE
    assert answer(holed(), always(invariant(FALSE), must_hold=True)).outcome is Outcome.INCONCLUSIVE
    assert answer(holed(), always(invariant(FALSE, is_proof=True))).outcome is Outcome.VIOLATED
    assert answer(holed(), never(occurrence(TRUE, is_proof=True), must_hold=True)).outcome is Outcome.VIOLATED


def test_a_hole_is_not_excused_by_a_signal() -> None:
    """A proven harm with an alert is FAILED_OBSERVABLY only when the record is complete."""
    claim = always(invariant(FALSE, is_proof=True), alert="down", within_s=5)
    assert answer(whole(), claim).outcome is Outcome.FAILED_OBSERVABLY
    assert answer(holed(), claim).outcome is Outcome.INCONCLUSIVE


def test_saturation_leaves_a_broken_claim_broken() -> None:
    """Calls that hang until no more can be made are the target's doing: HELD falls, VIOLATED stays."""
    history = saturated(whole().history())
    verdict = judge(history, [always(invariant(TRUE)), always(invariant(FALSE))])
    assert [finding.outcome for finding in verdict.findings] == [Outcome.INCONCLUSIVE, Outcome.VIOLATED]


@pytest.mark.parametrize(
    ("within_s", "harm_s", "expected"),
    [
        (3.9, 0, Outcome.VIOLATED),
        (4, 0, Outcome.FAILED_OBSERVABLY),
        (0, 4, Outcome.FAILED_OBSERVABLY),
        (1, 10, Outcome.FAILED_OBSERVABLY),
        (1, 2, Outcome.VIOLATED),
    ],
)
def test_a_signal_excuses_until_its_deadline(within_s: float, harm_s: float, expected: Outcome) -> None:
    """The deadline runs from the first harm; a signal that came before the harm warned in time."""
    finding = answer(whole(), always(invariant(FALSE, at_s=harm_s), alert="down", within_s=within_s))
    assert finding.outcome is expected


@pytest.mark.parametrize(("within_s", "expected"), [(3.9, Outcome.VIOLATED), (4, Outcome.FAILED_OBSERVABLY)])
def test_a_signal_excuses_what_never_comes_true_by_its_bound(within_s: float, expected: Outcome) -> None:
    """Of `eventually`, the signal must come by the instant at which it had to be true, wherever harm was measured."""
    claim = eventually(invariant(FALSE, at_s=10), within_s, "fault", alert="down", fails_on_control=True)
    finding = answer(whole(), claim)
    assert (finding.outcome, finding.signal) == (expected, "down" if expected is Outcome.FAILED_OBSERVABLY else None)


def test_any_of_several_signals_excuses_and_the_first_is_named() -> None:
    """One signal in time is enough; the finding names it and the time it took."""
    claim = always(invariant(FALSE), alert=("other", "down"), within_s=5)
    finding = answer(whole(), claim)
    assert (finding.outcome, finding.signal, finding.time_to_signal_s) == (Outcome.FAILED_OBSERVABLY, "down", 4.0)


def test_a_signal_whose_source_was_down_is_inconclusive() -> None:
    """A failed claim is INCONCLUSIVE when the signal could not be read."""
    finding = answer(whole().without(ReplicaCount), always(invariant(FALSE), alert="down", within_s=5))
    assert (finding.outcome, "could not be read" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_must_hold_is_never_excused() -> None:
    """A claim that must hold and names a signal contradicts itself and is refused."""
    with pytest.raises(ValueError, match="must_hold"):
        always(invariant(TRUE), alert="down", must_hold=True)
    with pytest.raises(ValueError, match="must_hold"):
        eventually(invariant(TRUE), 5, alert="down", must_hold=True)
    with pytest.raises(ValueError, match="must_hold"):
        never(occurrence(TRUE), alert="down", must_hold=True)


def test_quantifiers_refuse_the_wrong_kind_of_check() -> None:
    """`always plaintext` and `never denied` read well and mean nothing: they are refused."""
    with pytest.raises(TypeError, match="always takes an Invariant, plaintext is an Occurrence"):
        always(checks.plaintext(EDGE))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="never takes an Occurrence, denied is an Invariant"):
        never(checks.denied(EDGE))  # type: ignore[arg-type]


def test_a_check_that_raises_is_inconclusive() -> None:
    """An error in a check is named and never passes."""

    def evaluate(_history: History, _window: Window) -> Measurement:
        raise ZeroDivisionError("no calls")

    finding = answer(whole(), always(Invariant("broken", "it works", evaluate)))
    assert (finding.outcome, finding.reason) == (
        Outcome.INCONCLUSIVE,
        "check broken raised ZeroDivisionError: no calls",
    )


def test_a_missing_window_is_inconclusive() -> None:
    """A claim about a window that the record does not have is not vacuously true."""
    finding = answer(whole().without(UndoVerified), never(occurrence(FALSE)))
    assert (finding.outcome, finding.reason) == (Outcome.INCONCLUSIVE, "the record has no fault window")


def flow(story: Story, within_s: float = 10, hold_s: float = 1.0) -> tuple[Outcome, float | None, str]:
    """Judge whether traffic recovers."""
    claim = eventually(checks.success_rate(EDGE, at_least=1), within_s=within_s, hold_s=hold_s)
    finding = answer(story, claim)
    return finding.outcome, finding.recovery_s, finding.reason


def recovering(after_s: float, *, recovery_s: float = 20, last_ok: int = 400) -> Story:
    """Tell of calls that fail for a while after the undo."""
    story = Story(recovery_s=recovery_s).steady(("payment", "ledger")).recovery()
    story.calls(*EDGE, fail=round(after_s * 20), over=(0, after_s))
    return story.calls(*EDGE, ok=last_ok, over=(after_s, recovery_s))


def test_eventually_holds_at_once_when_nothing_was_broken() -> None:
    """Recovery takes no time when the first call already succeeds."""
    assert flow(Story().steady(EDGE))[:2] == (Outcome.HELD, 0.0)


def test_eventually_measures_the_time_to_recover() -> None:
    """Five seconds of failures are recovered from in five seconds, to a hundredth of the bound."""
    verdict, recovery_s, _ = flow(recovering(5))
    assert (verdict, recovery_s) == (Outcome.HELD, 5.0)


def test_eventually_is_violated_when_recovery_takes_too_long() -> None:
    """Twelve seconds are more than ten."""
    verdict, recovery_s, reason = flow(recovering(12))
    assert (verdict, recovery_s, reason.startswith("not true within 10 s")) == (Outcome.VIOLATED, None, True)


def test_eventually_must_last_until_the_end() -> None:
    """A success between two failures is no recovery."""
    story = recovering(5).calls(*EDGE, fail=40, over=(17, 19))
    assert flow(story)[0] is Outcome.VIOLATED


def test_eventually_in_a_window_that_is_too_short_is_inconclusive() -> None:
    """A window that ended after eight seconds cannot refute a bound of ten, and can confirm an earlier recovery."""
    verdict, _, reason = flow(recovering(8, recovery_s=8, last_ok=0))
    assert (verdict, "window ended after 8.0 s" in reason) == (Outcome.INCONCLUSIVE, True)
    assert flow(recovering(4, recovery_s=8))[0] is Outcome.HELD
    assert flow(recovering(0.2, recovery_s=0.5))[0] is Outcome.INCONCLUSIVE


def test_eventually_of_nothing_is_inconclusive() -> None:
    """Without a call in the recovery nothing is known to have recovered."""
    assert flow(Story().steady(("payment", "ledger")).calls(*EDGE, ok=100))[0] is Outcome.INCONCLUSIVE


def test_a_finding_repeats_its_claim_and_its_promise() -> None:
    """The finding alone states the claim, its promise, its bounds and its window."""
    claim = always(checks.success_rate(EDGE, at_least=0.9), promise=PROMISE, fails_on_control=True)
    finding = answer(whole(), claim)
    assert finding.promise is not None
    assert (finding.promise.title, finding.promise.kind) == ("Security", "documented")
    assert finding.params == {"at_least": 0.9, "min_samples": 20, "max_gap_s": 2.0}
    assert (finding.edges, finding.during, finding.fails_on_control) == (("checkout->payment",), "fault", True)
    assert finding.claim.startswith("always during fault: at least 0.9 of the calls succeed")
    assert (
        eventually(invariant(TRUE), within_s=5).sentence() == "eventually during recovery within 5 s: it is as recorded"
    )


def test_a_claim_can_be_about_any_window() -> None:
    """The same check can be asked of the baseline or of the whole run."""
    story = Story().steady(("payment", "ledger")).calls(*EDGE, ok=100)
    rate = checks.success_rate(EDGE, at_least=0.9)
    assert answer(story, always(rate, during="baseline")).outcome is Outcome.HELD
    assert answer(story, always(rate, during="run")).outcome is Outcome.INCONCLUSIVE


def test_must_fail_on_the_control_follows_must_hold_unless_said() -> None:
    """A security claim must fail on the control; another one only when it says so."""
    held, recorded = invariant(TRUE), occurrence(TRUE)
    assert always(held, must_hold=True).fails_on_control
    assert never(recorded, must_hold=True).fails_on_control
    assert eventually(held, within_s=1, must_hold=True).fails_on_control
    assert sometimes(recorded, must_hold=True).fails_on_control
    assert not always(held, must_hold=True, fails_on_control=False).fails_on_control
    assert never(recorded, fails_on_control=True).fails_on_control
    assert not eventually(held, within_s=1).fails_on_control
    assert sometimes(recorded, fails_on_control=True).fails_on_control
