"""A verdict is the worst of its findings, passes by its rules, encodes to stable bytes and reads well at night."""

from itertools import permutations

import msgspec
import pytest

from clusters.model import Reference, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, never, reached
from drills.judge.events import HarnessTrouble, ReplicaCount, ServerEnd
from drills.judge.history import Defect
from drills.judge.measure import Example
from drills.judge.verdict import Finding, Outcome, Verdict, judge_passed, of_promises, worst
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
HELD, SHOWN = Outcome.HELD, Outcome.FAILED_OBSERVABLY
OPEN, BAD = Outcome.INCONCLUSIVE, Outcome.VIOLATED
DOWN = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")
PROMISE = Reference("Traffic", "https://example.org/traffic", "1.30", "documented")
NO_PROMISE = Reference("Nothing is promised", "https://example.org/silence", "1.30", "not-promised")


def finding(
    answer: Outcome, *, fails: bool = False, quantifier: str = "always", promise: Reference | None = PROMISE
) -> Finding:
    """Return a finding of which only the outcome and the promise matter."""
    return Finding(
        id="claim",
        claim="a claim",
        quantifier=quantifier,
        check="check",
        params={},
        edges=(),
        during="fault",
        window=None,
        outcome=answer,
        reason="reason",
        must_hold=fails,
        fails_on_control=fails,
        promise=promise,
    )


def unpromised(outcome: Outcome, *, fails: bool = False) -> Finding:
    """Return a finding of a claim that the mesh does not promise."""
    return finding(outcome, fails=fails, promise=NO_PROMISE)


def passed(*findings: Finding, control: bool = False, defects: tuple[Defect, ...] = ()) -> bool:
    """Return whether the findings pass."""
    return judge_passed(findings, defects, is_control=control)


def test_the_order_of_badness() -> None:
    """VIOLATED is worst, then INCONCLUSIVE, then FAILED_OBSERVABLY; no finding at all is INCONCLUSIVE."""
    assert (worst([HELD, SHOWN]), worst([SHOWN, OPEN]), worst([OPEN, BAD]), worst([])) == (SHOWN, OPEN, BAD, OPEN)


def test_the_order_of_findings_does_not_matter() -> None:
    """Every order of the four answers has the same worst one."""
    assert {worst(order) for order in permutations([HELD, SHOWN, OPEN, BAD])} == {BAD}


@pytest.mark.parametrize("outcome", [HELD, SHOWN, OPEN, BAD])
def test_a_run_passes_by_what_is_promised(outcome: Outcome) -> None:
    """Whatever happens to a claim without a promise; a run of which nothing but its conditions counts cannot pass."""
    there = finding(HELD, quantifier="reached", promise=NO_PROMISE)
    assert (of_promises([there]), of_promises([finding(HELD, promise=None)]), of_promises([])) == (HELD, HELD, OPEN)
    assert of_promises([there, unpromised(outcome)]) is None
    assert of_promises([there, unpromised(outcome), finding(SHOWN)]) is SHOWN
    assert not passed(there, unpromised(outcome))
    assert passed(unpromised(outcome), finding(HELD))
    assert not passed(unpromised(outcome), finding(BAD))


def test_only_held_and_observable_failures_pass() -> None:
    """A run passes with held and observable findings, and with nothing else, not even with no finding."""
    assert passed(finding(HELD))
    assert passed(finding(HELD), finding(SHOWN))
    assert not passed(finding(HELD), finding(OPEN))
    assert not passed(finding(HELD), finding(BAD))
    assert not passed()


@pytest.mark.parametrize(
    ("security", "other", "expected"),
    [
        (BAD, finding(HELD), True),
        (BAD, finding(SHOWN), True),
        (HELD, finding(HELD), False),
        (SHOWN, finding(HELD), True),
        (OPEN, finding(HELD), False),
        (BAD, finding(BAD), False),
        (BAD, finding(OPEN), False),
        (BAD, unpromised(BAD), True),
        (BAD, unpromised(OPEN), True),
    ],
)
def test_a_control_passes_when_exactly_the_security_claims_fail(
    security: Outcome, other: Finding, expected: bool
) -> None:
    """On the control every security claim fails, with an alert or without; the others pass or are not promised."""
    assert passed(finding(security, fails=True), other, control=True) is expected


def test_a_control_without_security_claim_or_with_defects_does_not_pass() -> None:
    """A control that asked nothing that must fail, or whose record has holes, proves nothing of the detectors."""
    assert not passed(finding(HELD), control=True)
    assert not passed(finding(BAD, fails=True), control=True, defects=(Defect("hole", "calls", "a hole"),))


def unmeshed(**settings: bool) -> Story:
    """Return the story of a lab without a mesh: every call succeeds, is readable, and shows no identity."""
    story = Story(**settings).watched()  # type: ignore[arg-type]
    story.steady(EDGE).fault().hit(*EDGE)
    return story.calls(*EDGE, ok=1, peer="").calls(*EDGE, ok=1, peer="", connection="reused")


SECURITY = (
    never(checks.plaintext(EDGE), must_hold=True),
    never(checks.unauthenticated(EDGE), must_hold=True),
    always(checks.success_rate(EDGE, at_least=0.99)),
)


def test_a_control_must_fail_on_every_row() -> None:
    """A control on which one kind of connection shows identities does not prove that the check would see their loss."""
    story = unmeshed(is_control=True)
    story.rows = [row for row in story.rows if row["connection"] == "new" or row["peer"] != ""]
    verdict = judge(story.history(), SECURITY)
    assert ([f.outcome for f in verdict.findings], verdict.passed) == ([BAD, BAD, HELD], False)


def test_a_control_is_judged_as_one() -> None:
    """The same findings of the same history pass on the control and fail on a mesh; both say VIOLATED."""
    control, mesh = (judge(unmeshed(is_control=flag).history(), SECURITY) for flag in (True, False))
    assert [f.outcome for f in control.findings] == [BAD, BAD, HELD]
    assert (control.outcome, control.passed, mesh.outcome, mesh.passed) == (BAD, True, BAD, False)
    assert "as the control" in control.explain()


@pytest.mark.parametrize(
    ("findings", "detected"),
    [
        ([finding(BAD, fails=True), finding(HELD)], HELD),
        ([finding(HELD, fails=True), finding(OPEN)], BAD),
        ([finding(BAD, fails=True), finding(BAD)], BAD),
        ([finding(BAD, fails=True), unpromised(BAD)], HELD),
        ([finding(OPEN, fails=True), finding(HELD)], OPEN),
        ([finding(BAD, fails=True), finding(OPEN)], OPEN),
        ([finding(HELD)], OPEN),
    ],
)
def test_a_control_fails_to_detect_or_cannot_know(findings: list[Finding], detected: Outcome) -> None:
    """A claim that must fail and holds is a drill that is blind; what the run cannot know proves nothing either way."""
    verdict = Verdict(
        drill="d",
        mesh="m",
        run_id="r",
        is_control=True,
        outcome=BAD,
        promised=BAD,
        passed=passed(*findings, control=True),
        findings=tuple(findings),
        defects=(),
    )
    assert verdict.detected is detected


def test_a_verdict_without_claims_does_not_pass() -> None:
    """A drill that claims nothing is inconclusive."""
    verdict = judge(Story().steady(EDGE).history(), [])
    assert (verdict.outcome, verdict.passed) == (OPEN, False)


def test_judging_twice_gives_the_same_bytes() -> None:
    """The bytes of verdict.json depend on the history and the claims alone, and they are JSON with sorted keys."""
    first, second = (judge(unmeshed().history(), SECURITY).encode() for _ in range(2))
    assert first == second
    decoded = msgspec.json.decode(first, type=Verdict)
    assert decoded.encode() == first
    assert list(msgspec.json.decode(first)) == sorted(msgspec.json.decode(first))


def test_explain_tells_the_worst_first_with_what_a_person_needs() -> None:
    """The first lines name drill, mesh and worst claim, its reason, one call with its place in time, the promise."""
    story = unmeshed().calls(*EDGE, fail=30, connection="new", over=(8, 9))
    verdict = judge(story.history(), [SECURITY[1], always(checks.success_rate(EDGE, at_least=0.99), promise=PROMISE)])
    lines = verdict.explain().splitlines()
    assert lines[0] == "VIOLATED: test-drill on story did not pass (run 0123456789ab)"
    assert lines[1].startswith("  VIOLATED  never during fault: a call is served")
    assert "for example mdc.checkout.payment.checkout-1.n" in verdict.explain()
    assert "at fault +8.0" in verdict.explain()
    assert lines[-1] == "    promised: Traffic (1.30) https://example.org/traffic"


def test_explain_names_signals_and_defects() -> None:
    """A failure with an alert states which alert and how fast; a defect of the record has its own line."""
    story = Story(signals=(DOWN,)).steady(EDGE).event(ReplicaCount, DOWN.subject, ready=1, desired=1).fault()
    story.event(ReplicaCount, DOWN.subject, at_s=2, ready=0, desired=1).new_pod("refused")
    claim = always(checks.new_pod_meshed(), alert="down", within_s=5)
    assert "    signal down after 2.0 s" in judge(story.history(), [claim]).explain().splitlines()
    holed = judge(story.without(ServerEnd).history(), [reached(checks.new_pod_tried())])
    assert "  DEFECT  server payment-1 never reported its end" in holed.explain()


def test_explain_stays_short() -> None:
    """Of many defects five are shown and the rest counted, and no line outgrows a terminal for good."""
    story = Story().steady(EDGE)
    for number in range(9):
        story.event(HarnessTrouble, f"probe {number}", message="no answer " * 100)
    lines = judge(story.history(), SECURITY).explain().splitlines()
    assert sum("DEFECT" in line for line in lines) == 5
    assert lines[-1] == "  and 4 more defects of the record"
    assert max(map(len, lines)) < 260


def test_explain_places_examples_without_a_window() -> None:
    """An example of a finding without window is shown at its own time, not as an error."""
    lone = msgspec.structs.replace(finding(OPEN), counter_examples=(Example("x", 5, "fail"),))
    recorded = judge(Story().steady(EDGE).history(), [])
    assert "for example x at fault +0.000 s: fail" in msgspec.structs.replace(recorded, findings=(lone,)).explain()
