"""A no-fault control: every claim must hold, and what appears without a fault can show nothing."""

import msgspec
import pytest

from clusters.model import Reference, SignalKind, SignalSpec
from drills.cli import exits
from drills.judge import checks
from drills.judge.claims import Claim, always, judge, never, reached, restored, sometimes, stored
from drills.judge.controls import fired_signals
from drills.judge.events import Phase, ReplicaCount
from drills.judge.records import NOT_PROMISED
from drills.judge.verdict import Outcome, Verdict
from drills.selftest.doubles.story import Story

EDGE, OTHER = ("checkout", "payment"), ("payment", "ledger")
DOWN = SignalSpec("down", SignalKind.CONDITION, "mesh/Deployment/brain")
FLOW = checks.success_rate(EDGE, at_least=0.999)
FLOWS = always(FLOW)
SILENT = always(checks.signal_absent("down"), "run")
UNPROMISED = Reference("Nothing is promised", "https://example.org/docs", "1.0", NOT_PROMISED)


def control(*, lost: int = 0, ready: int = 1) -> Story:
    """Return a control: calls that it loses, and the replicas that are ready, while nothing is broken."""
    story = Story(signals=(DOWN,), without_fault=True).steady(OTHER)
    for phase in (story.baseline, story.recovery):
        phase().calls(*EDGE, ok=200)
    story.baseline().event(ReplicaCount, DOWN.subject, ready=1, desired=1)
    story.fault().event(ReplicaCount, DOWN.subject, ready=ready, desired=1)
    return story.calls(*EDGE, ok=200 - lost, fail=lost)


def verdict_of(story: Story, **claims: Claim) -> Verdict:
    """Return the verdict on a story."""
    return judge(story.history(), claims)


def test_a_control_in_which_all_goes_well_passes() -> None:
    """Every claim holds, so the control passes, and its summary says what it is."""
    verdict = verdict_of(control(), flows=FLOWS, silent=SILENT)
    assert verdict.outcome is Outcome.HELD, verdict.explain()
    assert verdict.passed
    assert verdict.without_fault
    assert "passed as the no-fault control, in which every claim must hold" in verdict.explain()
    assert exits.of(verdict) == exits.PASSED


@pytest.mark.parametrize(
    ("story", "claim"),
    [
        pytest.param(control(lost=9), FLOWS, id="lost calls"),
        pytest.param(control(ready=0), SILENT, id="signal"),
        pytest.param(control(lost=9, ready=0), always(FLOW, alert="down", within_s=20), id="with an alert"),
        pytest.param(control(lost=9), FLOWS.promised_by(UNPROMISED), id="without a promise"),
    ],
)
def test_what_happens_without_a_fault_fails_the_control(story: Story, claim: Claim) -> None:
    """A lost call or a signal: neither an alert nor the lack of a promise excuses it, and the exit code says so."""
    verdict = verdict_of(story, others=always(checks.success_rate(OTHER, at_least=0.999)), claim=claim)
    assert verdict.outcome in {Outcome.VIOLATED, Outcome.FAILED_OBSERVABLY}
    assert not verdict.passed
    assert not verdict.accepts(strict=False)
    assert exits.of(verdict) == exits.VIOLATED


def test_security_that_the_mesh_never_promised_fails_no_control() -> None:
    """A security claim without a promise may be false without a fault, too; with a promise it may not."""
    story = control().watched()
    story.fault().hit(*EDGE).pair(*EDGE, first_ns=story.at(1), last_ns=story.at(2))
    readable = never(checks.plaintext(EDGE), must_hold=True)
    verdict = verdict_of(story, flows=FLOWS, readable=readable.promised_by(UNPROMISED))
    assert (verdict.outcome, verdict.counted_without_fault) == (Outcome.VIOLATED, Outcome.HELD)
    assert verdict.excused_without_fault == ("readable",)
    assert verdict.passed
    assert exits.of(verdict) == exits.PASSED
    assert exits.of(verdict, strict=True) == exits.VIOLATED
    promised = verdict_of(story, flows=FLOWS, readable=readable)
    assert not promised.passed
    assert exits.of(promised) == exits.VIOLATED
    blind = verdict_of(story.without(ReplicaCount), silent=SILENT, readable=readable.promised_by(UNPROMISED))
    assert not blind.passed
    assert exits.of(blind) == exits.INCONCLUSIVE


def test_what_a_mesh_adds_and_never_promised_fails_no_control() -> None:
    """A claim that fails without a mesh may be false here, too, if no document of this mesh promises it."""
    story = control().watched()
    story.fault().hit(*EDGE)
    added = always(checks.split_ratio(EDGE, version="v9", weight=0.5), fails_on_control=True)
    verdict = verdict_of(story, flows=FLOWS, added=added.promised_by(UNPROMISED))
    assert (verdict.outcome, verdict.passed) == (Outcome.VIOLATED, True)
    assert verdict.excused_without_fault == ("added",)
    assert not verdict_of(story, flows=FLOWS, added=added).passed


def test_what_cannot_be_asked_of_a_mesh_and_it_never_promised_fails_no_control() -> None:
    """A mesh without certificates in its pods has none to look at, with a fault or without."""
    unseen = always(checks.certificate_validity(), "run")
    verdict = verdict_of(control(), flows=FLOWS, unseen=unseen.promised_by(UNPROMISED))
    assert (verdict.outcome, verdict.passed) == (Outcome.INCONCLUSIVE, True)
    assert (verdict.counted_without_fault, verdict.excused_without_fault) == (Outcome.HELD, ("unseen",))
    assert exits.of(verdict) == exits.PASSED
    assert not verdict_of(control(), flows=FLOWS, unseen=unseen).passed


def test_a_control_that_cannot_know_is_inconclusive() -> None:
    """A control without looks at the signal says nothing about it, and fails nothing."""
    verdict = verdict_of(control().without(ReplicaCount), silent=SILENT)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert not verdict.passed
    assert exits.of(verdict) == exits.INCONCLUSIVE


def test_the_verdict_of_another_run_keeps_its_bytes() -> None:
    """Only a control says that it is one: verdicts that are stored have no such field."""
    story = control()
    assert b"without_fault" in verdict_of(story, flows=FLOWS).encode()
    story.without_fault = False
    assert b"without_fault" not in verdict_of(story, flows=FLOWS).encode()


def test_signals_that_fire_without_a_fault_are_named() -> None:
    """From the start of the fault window to the end; neither one of the baseline nor one that was not read."""
    unread = SignalSpec("unread", SignalKind.CONDITION, "mesh/Deployment/other")
    early = SignalSpec("early", SignalKind.CONDITION, "mesh/Deployment/early")
    late = SignalSpec("late", SignalKind.CONDITION, "mesh/Deployment/late")
    story = control(ready=0)
    story.signals = (DOWN, unread, early, late)
    story.baseline().event(ReplicaCount, early.subject, ready=0, desired=1)
    story.fault().event(ReplicaCount, early.subject, ready=1, desired=1)
    story.recovery().event(ReplicaCount, late.subject, ready=0, desired=1)
    assert fired_signals(story.history()) == ("down", "late")
    assert fired_signals(control().history()) == ()
    assert fired_signals(control(ready=0).without(Phase).history()) == ()


@pytest.mark.parametrize(
    ("claim", "needs_fault"),
    [
        (sometimes(checks.signal_seen("down")), True),
        (reached(checks.signal_seen("down")), True),
        (reached(checks.outside_mesh()), True),
        (reached(checks.leaf_ended()), True),
        (sometimes(checks.issuer_taken_up(within_s=3)), True),
        (always(checks.drift_found(), must_hold=True), True),
        (FLOWS.needing_fault(), True),
        (FLOWS, False),
        (never(checks.outside_mesh(), must_hold=True), False),
        (reached(checks.attempted(EDGE)), False),
        (SILENT, False),
    ],
)
def test_a_claim_says_whether_only_a_fault_can_make_it_true(claim: Claim, *, needs_fault: bool) -> None:
    """What only a fault brings needs one, and this survives storage."""
    assert claim.needs_fault is needs_fault
    assert restored(stored({"it": claim}))["it"].needs_fault is needs_fault


def test_a_signal_of_the_control_shows_nothing_in_another_run() -> None:
    """The same signal in a run with the fault: without the control it is seen, with it it counts for nothing."""
    story = control(ready=0)
    story.without_fault = False
    history = story.history()
    seen = {"down-alerts": sometimes(checks.signal_seen("down"))}
    assert judge(history, seen).outcome is Outcome.HELD
    told = msgspec.structs.replace(history.facts, fires_without_fault=("down",))
    found = judge(type(history)(history.calls, history.events, told), seen)
    assert found.outcome is Outcome.VIOLATED
    assert "fires without a fault" in found.findings[0].reason
