"""The figures of a run: which calls count, how long an outage lasts, which signal was the first."""

from dataclasses import dataclass, field, replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, judge, never, stored
from drills.judge.events import ReplicaCount
from drills.judge.records import RunFacts
from drills.judge.verdict import Outcome
from drills.report import figures
from drills.report.open_routes import open_routes
from drills.report.page.beforehand import beforehand
from drills.report.page.failures import failures
from drills.report.signals import appeared
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.story import Story

ROUTE, OTHER = ("frontend", "checkout"), ("payment", "ledger")


@dataclass
class Asking(Story):
    """A story of a drill with claims."""

    claims: dict[str, Claim] = field(default_factory=dict)

    def facts(self) -> RunFacts:
        """Return the facts of the story with these claims."""
        return msgspec.structs.replace(super().facts(), claims=stored(self.claims))


def broken_for(fault_s: float, recovery_s: float) -> Story:
    """Return a story of a route without a success in the last fault_s of the fault and first recovery_s after it."""
    story = Story().steady(OTHER).baseline().calls(*ROUTE, ok=100).fault()
    story.calls(*ROUTE, ok=round(10 * (20 - fault_s)), over=(0, 20 - fault_s))
    story.calls(*ROUTE, fail=round(10 * fault_s), over=(20 - fault_s, 20))
    story.recovery().calls(*ROUTE, fail=round(10 * recovery_s), over=(0, recovery_s))
    return story.calls(*ROUTE, ok=round(10 * (20 - recovery_s)), over=(recovery_s, 20))


@settings(max_examples=25, deadline=None)
@given(fault_s=st.integers(1, 19), recovery_s=st.integers(0, 20))
def test_an_outage_runs_on_across_the_edge_of_a_phase(fault_s: int, recovery_s: int) -> None:
    """Its length is that of both parts together, and it is not over if the run ended first."""
    found = figures.outage(broken_for(fault_s, recovery_s).history())
    assert found is not None
    assert found.longest_s == pytest.approx(fault_s + recovery_s, abs=0.2)
    assert found.lost == 10 * (fault_s + recovery_s)
    assert found.is_over == (recovery_s < 20)
    assert found.length.endswith(", not over at the end of the run") == (recovery_s == 20)
    assert (found.route, found.caller) == ("frontend->checkout new", "frontend-1")


def test_the_longest_outage_is_that_of_the_worst_caller() -> None:
    """A second caller of the same route that does well hides nothing, and the pod is named."""
    story = broken_for(5, 3)
    for go_on in (story.baseline, story.fault, story.recovery):
        go_on().calls(*ROUTE, ok=round(10 * story.length_s()), pod="frontend-2")
    found = figures.outage(story.history())
    assert found is not None
    assert found.longest_s == pytest.approx(8, abs=0.2)
    assert (found.caller, found.lost) == ("frontend-1", 80)


def test_a_route_that_lost_no_call_has_no_outage_where_another_lost_some() -> None:
    """The pause between two calls of a seldom called route is no outage, however long."""
    story = broken_for(1, 0).baseline().calls("seldom", "ledger", ok=2).fault().calls("seldom", "ledger", ok=2)
    found = figures.outage(story.history())
    assert found is not None
    assert found.route == "frontend->checkout new"
    assert found.longest_s == pytest.approx(1, abs=0.2)


def test_calls_lost_count_wherever_they_were_lost() -> None:
    """Of every route that worked before, whether a claim is about it or not, and also those of pods that are new."""
    story = Story().steady(ROUTE).baseline().calls(*OTHER, ok=100).fault().calls(*OTHER, fail=30)
    story.unplanned("payment-new").calls(*OTHER, fail=7, pod="payment-new", over=(10, 12))
    found = figures.outage(story.history())
    assert found is not None
    assert found.lost == 37


def slow(story: Story, edge: tuple[str, str]) -> Story:
    """Add ten calls of the baseline that took a second, as after a lost SYN."""
    story.baseline().calls(*edge, ok=10, lag_ms=1000.0)
    return story


@pytest.mark.parametrize("target", ["new-pod", "new-pod-address"])
@pytest.mark.parametrize("closes", ["nothing", "change", "claim", "pod"])
def test_latency_leaves_out_what_the_drill_or_a_probe_closed(closes: str, target: str) -> None:
    """By a policy change, a claim that the route is denied, or the deletion of its server; so does the outage."""
    edge = ("checkout", target)
    story = Asking(claims={"closed": always(checks.denied(edge))} if closes == "claim" else {})
    slow(story.baseline().steady(ROUTE), edge)
    if closes == "change":
        story.change(*edge, "accepted")
    if closes == "pod":
        story.new_pod("admitted", meshed=True)
        story.events[-1] = msgspec.structs.replace(story.events[-1], subject="new-pod-6dbf75-1")
    history = story.fault().calls(*edge, fail=50).history()
    found, outage = figures.latency(history), figures.outage(history)
    assert found is not None
    assert outage is not None
    assert (edge in open_routes(history)) == (closes == "nothing")
    assert (found.p99_ms > 900, outage.lost) == ((True, 50) if closes == "nothing" else (False, 0))


def test_the_first_signal_is_the_first_of_those_that_appeared() -> None:
    """Whether a claim is about it or not; one that fires only after the undo is none."""
    down, late = (
        SignalSpec(name, SignalKind.CONDITION, f"ns/Deployment/{name}") for name in ("brain-down", "late-down")
    )
    story = Story(signals=(down, late)).steady(ROUTE)
    for signal in (down, late):
        story.baseline().event(ReplicaCount, signal.subject, ready=1, desired=1)
        story.fault().event(ReplicaCount, signal.subject, at_s=1, ready=1, desired=1)
    story.event(ReplicaCount, down.subject, at_s=3, ready=0, desired=1)
    history = story.recovery().event(ReplicaCount, late.subject, at_s=3, ready=0, desired=1).history()
    found = figures.headline(judge(history, {}), history)
    assert (found.signal, found.signal_s) == ("brain-down", 3.0)
    assert [(it.name, it.after_s) for it in appeared(history)] == [("brain-down", 3.0)]
    assert figures.times_to_signal_s(history) == {"brain-down": 3.0}


def test_what_was_broken_before_the_fault_says_so() -> None:
    """The baseline's own numbers stand beside the claim; where the baseline was well, nothing is said of it."""
    flow, wire = checks.success_rate(ROUTE, at_least=0.999), checks.denied(outage_bundle.FORBIDDEN)
    claims = {
        "well-before": always(flow),
        "broken-before": always(wire, "run", must_hold=True),
        "in-baseline": always(wire, "baseline"),
        "asks-for-a-change": eventually(wire, 5),
        "never-so": never(checks.plaintext(ROUTE)),
    }
    story = Asking(claims=claims).steady(outage_bundle.FORBIDDEN).baseline().calls(*ROUTE, ok=100)
    history = story.fault().calls(*ROUTE, fail=100).recovery().calls(*ROUTE, ok=100).history()
    verdict = judge(history, claims)
    said = {it.id: beforehand(history, it) for it in verdict.findings}
    assert said["broken-before"].startswith("It was false in the baseline as well, before the fault: intruder->ledger")
    assert said["in-baseline"] == "This was measured in the baseline: the fault did not cause it."
    assert [said["well-before"], said["asks-for-a-change"], said["never-so"]] == [""] * 3
    (shown,) = [it for it in failures(history, verdict) if it.id == "broken-before"]
    assert said["broken-before"][:100] in shown.alerted
    assert shown.outcome is Outcome.VIOLATED


def test_a_pod_that_the_fault_ended_is_not_the_worst_caller() -> None:
    """Its calls count as lost; the outage, and its name, are those of a caller that the fault left alone."""
    story = Story().steady(OTHER).baseline().calls(*ROUTE, ok=100).calls(*ROUTE, ok=100, pod="frontend-2")
    story.fault().calls(*ROUTE, ok=90, fail=20, over=(0, 20)).calls(*ROUTE, fail=200, pod="frontend-2")
    story.recovery().calls(*ROUTE, ok=100)
    history = story.history()
    facts = msgspec.structs.replace(history.facts, lost_pods=("frontend-2",))
    found = figures.outage(replace(history, facts=facts))
    assert found is not None
    assert (found.caller, found.lost) == ("frontend-1", 220)
    assert found.longest_s < 5
