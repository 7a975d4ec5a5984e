"""Refused means refused by both witnesses, and a served peer must have shown who it is."""

from dataclasses import dataclass

import msgspec
import pytest

from drills.judge import checks
from drills.judge.claims import always, never
from drills.judge.events import CallerEnd, PodListed, ServerEnd
from drills.judge.history import RunFacts
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer, identity, xfcc

LEGIT = ("payment", "ledger")
EDGE = ("intruder", "ledger")
OUTSIDE = ("outsider", "ledger")
DENIED = always(checks.denied(EDGE), must_hold=True)
KNOWN = never(checks.unauthenticated(LEGIT), must_hold=True)


def guarded(**calls: object) -> Story:
    """Tell of a ledger that serves payment while the intruder calls it as given."""
    return Story().steady(LEGIT).fault().calls(*EDGE, **calls)  # type: ignore[arg-type]


def test_denied_holds_when_every_call_is_refused() -> None:
    """Two hundred refusals beside a target that serves others are a held denial; the error mix is in the numbers."""
    finding = answer(guarded(fail=200, error="http-403"), DENIED)
    assert (finding.outcome, finding.rows[0].numbers["error http-403"]) == (Outcome.HELD, 200)


@pytest.mark.parametrize(
    "harm", [{"ok": 1}, {"ok": 1, "served": False}, {"info": 1, "served": True}, {"fail": 1, "served": True}]
)
def test_denied_is_violated_by_either_witness(harm: dict[str, object]) -> None:
    """A good answer at the caller, or a line in a server's log, is enough, whatever the other witness says."""
    finding = answer(guarded(fail=200).calls(*EDGE, over=(5, 6), **harm), DENIED)  # type: ignore[arg-type]
    assert (finding.outcome, len(finding.counter_examples)) == (Outcome.VIOLATED, 1)


@pytest.mark.parametrize("error", ["http-403", "http-401", "connect-reset", "closed"])
def test_denied_is_violated_by_a_refusal_that_was_served(error: str) -> None:
    """Whatever the words of the refusal, a server that served the call makes it a lie."""
    finding = answer(guarded(fail=200).calls(*EDGE, fail=1, served=True, error=error, over=(5, 6)), DENIED)
    assert (finding.outcome, finding.counter_examples[0].error) == (Outcome.VIOLATED, error)


def test_denied_is_violated_by_a_call_that_only_a_server_saw() -> None:
    """A served call whose caller's record is lost is still proof, and shown with its request id."""
    finding = answer(guarded(fail=200).served_only(*EDGE), DENIED)
    assert (finding.outcome, finding.counter_examples[0].outcome) == (Outcome.VIOLATED, "seen by the server only")


def test_a_served_intruder_is_proof_in_spite_of_holes() -> None:
    """A record with holes cannot explain a served intruder away."""
    assert answer(guarded(ok=1, fail=200).without(CallerEnd, ServerEnd), DENIED).outcome is Outcome.VIOLATED


def test_denied_with_holes_is_inconclusive() -> None:
    """Refusals in a record with holes prove nothing: the served call may be the lost one."""
    assert answer(guarded(fail=200).without(ServerEnd), DENIED).outcome is Outcome.INCONCLUSIVE


def test_denied_of_nothing_is_inconclusive() -> None:
    """No call was made, so none was refused."""
    assert answer(Story().steady(LEGIT), DENIED).outcome is Outcome.INCONCLUSIVE


def test_denied_of_few_calls_is_inconclusive() -> None:
    """Nineteen refusals are too few."""
    assert answer(guarded(fail=19), DENIED).outcome is Outcome.INCONCLUSIVE


def test_denied_with_a_pause_is_inconclusive() -> None:
    """Refusals until the middle of the window say nothing of its second half."""
    assert answer(guarded(fail=200, over=(0, 10)), DENIED).outcome is Outcome.INCONCLUSIVE


def test_a_refusal_by_a_dead_target_is_inconclusive() -> None:
    """A ledger that served no call in the window may have been down, not protected."""
    finding = answer(Story().fault().calls(*EDGE, fail=200), DENIED)
    assert (finding.outcome, "served no other caller" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_refusals_that_never_left_the_caller_are_inconclusive() -> None:
    """A source that only ever times out may have been cut off; one success elsewhere shows that it could speak."""
    silent = answer(guarded(fail=200, error="connect-timeout"), DENIED)
    assert (silent.outcome, "cut off" in silent.reason) == (Outcome.INCONCLUSIVE, True)
    alive = guarded(fail=200, error="connect-timeout").calls("intruder", "frontend", ok=1)
    assert answer(alive, DENIED).outcome is Outcome.HELD


def test_calls_without_an_address_are_no_refusals() -> None:
    """A denied call that fails in DNS asked nothing: neither all of them nor ten seconds of them are refusals."""
    assert answer(guarded(fail=200, error="dns"), DENIED).outcome is Outcome.INCONCLUSIVE
    story = guarded(fail=50, over=(0, 5)).calls(*EDGE, fail=100, error="dns", over=(5, 15))
    finding = answer(story.calls(*EDGE, fail=50, over=(15, 20)), DENIED)
    assert (finding.outcome, "found an address for 10.1" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    longer = always(checks.denied(EDGE, max_unasked_s=11), must_hold=True)
    assert answer(story, longer).outcome is Outcome.HELD


def test_each_pod_of_the_caller_must_have_been_able_to_call() -> None:
    """One pod that gets answers does not stand for another that times out wherever it calls."""
    story = guarded(fail=200).calls(*EDGE, fail=200, error="connect-timeout", pod="intruder-2")
    finding = answer(story, DENIED)
    assert (finding.outcome, "intruder-2 got no answer" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    assert answer(story.calls("intruder", "frontend", ok=1, pod="intruder-2"), DENIED).outcome is Outcome.HELD


def test_the_target_must_have_been_up_on_each_of_its_nodes() -> None:
    """A ledger that serves on one node says nothing of the node on which its other pod serves no caller."""
    story = Story().steady(LEGIT).calls(*LEGIT, ok=50, server="ledger-2")
    story.event(PodListed, "ledger-1", node="n2").event(PodListed, "ledger-2", node="n3").fault().calls(*EDGE, fail=200)
    finding = answer(story, DENIED)
    assert (finding.outcome, "ledger-2 served no other caller in the fault" in finding.reason) == (
        Outcome.INCONCLUSIVE,
        True,
    )
    story.event(PodListed, "ledger-2", node="n2")
    assert answer(story, DENIED).outcome is Outcome.HELD


def test_each_phase_of_the_run_needs_its_own_sign_of_life() -> None:
    """A target that served in the baseline alone may have been down while the fault stood."""
    whole_run = always(checks.denied(EDGE), "run", must_hold=True)
    story = Story().refused(EDGE).calls(*LEGIT, ok=100).recovery().calls(*LEGIT, ok=200)
    finding = answer(story, whole_run)
    assert (finding.outcome, "in the fault" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    assert answer(Story().refused(EDGE).steady(LEGIT), whole_run).outcome is Outcome.HELD


def test_a_sign_of_life_counts_for_a_minute() -> None:
    """A target that served once, two minutes before the end of a long fault, may have been down since."""
    story = Story(fault_s=180).fault().calls(*EDGE, fail=1800).calls(*LEGIT, ok=400, over=(0, 55))
    finding = answer(story, DENIED)
    assert (finding.outcome, "served no other caller" in finding.reason) == (Outcome.INCONCLUSIVE, True)
    story.calls(*LEGIT, ok=1, over=(65, 66))
    assert answer(story, DENIED).outcome is Outcome.INCONCLUSIVE
    assert answer(story.calls(*LEGIT, ok=200, over=(60, 180)), DENIED).outcome is Outcome.HELD


def test_a_denied_target_that_serves_calls_to_another_is_not_denied() -> None:
    """An address that is used again brings a call to a pod that its caller must not reach: it was served there."""
    story = guarded(fail=200).calls("intruder", "frontend", ok=1, over=(5, 6), server="ledger-9")
    finding = answer(story.of_service("ledger", "ledger-9"), DENIED)
    assert (finding.outcome, len(finding.counter_examples)) == (Outcome.VIOLATED, 1)
    assert "1 calls to another target" in finding.reason


def test_a_denied_call_that_an_allowed_service_serves_is_no_breach() -> None:
    """A pod of frontend, which the intruder may call, with an old address of ledger neither breaks nor refuses."""
    story = guarded(fail=200).calls(*EDGE, ok=1, over=(5, 6), server="frontend-9")
    assert answer(story.of_service("frontend", "frontend-9"), DENIED).outcome is Outcome.HELD
    lone = guarded(ok=200, server="frontend-9").of_service("frontend", "frontend-9")
    finding = answer(lone, DENIED)
    assert (finding.outcome, finding.rows[0].numbers["error wrong-service"]) == (Outcome.INCONCLUSIVE, 200)


def test_calls_that_could_not_be_made_are_no_refusals() -> None:
    """Schedule slots that were skipped because too many calls hung are not counted as refused."""
    finding = answer(guarded(info=200, error="in-flight-bound"), DENIED)
    assert (finding.outcome, finding.rows[0].numbers["in_flight_bound"]) == (Outcome.INCONCLUSIVE, 200)


def test_unauthenticated_never_happens_when_peers_show_their_identity() -> None:
    """Every served peer showed the identity of its source."""
    finding = answer(Story().steady(LEGIT), KNOWN)
    assert (finding.outcome, finding.rows[0].numbers) == (
        Outcome.HELD,
        {"served": 200, "without_identity": 0, "wrong_identity": 0},
    )


@pytest.mark.parametrize(
    "peer",
    [
        "",
        xfcc("intruder", "ledger"),
        f"{xfcc('payment')},{xfcc('intruder')}",
        f"By={identity('payment')};Hash=00ff;URI={identity('intruder')}",
        identity("payment") + "-v2",
        identity("payment").replace("cluster.local", "evil/cluster.local"),
        "evil" + identity("payment").removeprefix("spiffe:/"),
    ],
)
def test_unauthenticated_is_violated_by_one_call(peer: str) -> None:
    """One served call without identity, with another's, or with one that only looks alike is proof."""
    finding = answer(Story().steady(LEGIT).fault().calls(*LEGIT, ok=1, peer=peer), KNOWN)
    assert (finding.outcome, len(finding.counter_examples)) == (Outcome.VIOLATED, 1)


@pytest.mark.parametrize("peer", [identity("payment"), f'x,"{identity("payment")}"', f"a=b; URI={identity('payment')}"])
def test_an_identity_is_found_in_any_header_form(peer: str) -> None:
    """The identity may stand alone, in a list, or as one of several fields."""
    story = Story().fault().calls(*LEGIT, ok=100, peer=peer)
    assert answer(story, KNOWN).outcome is Outcome.HELD


def test_a_caller_without_identity_is_unauthenticated_when_served() -> None:
    """A source outside the mesh has no identity to show: any call of it that is served is unauthenticated."""
    claim = never(checks.unauthenticated(OUTSIDE))
    assert answer(Story().fault().calls(*OUTSIDE, ok=1, peer=xfcc("payment")), claim).outcome is Outcome.VIOLATED


def test_unauthenticated_of_nothing_is_inconclusive() -> None:
    """No served call, or too few, show no identities."""
    assert answer(Story().steady(EDGE), KNOWN).outcome is Outcome.INCONCLUSIVE
    assert answer(Story().fault().calls(*LEGIT, ok=19), KNOWN).outcome is Outcome.INCONCLUSIVE


def test_a_source_of_unknown_identity_is_inconclusive() -> None:
    """Without an identity in the facts, an identity shown is neither right nor wrong."""
    claim = never(checks.unauthenticated(("stranger", "ledger")))
    finding = answer(Story().fault().calls("stranger", "ledger", ok=100), claim)
    assert (finding.outcome, "no identity for stranger" in finding.reason) == (Outcome.INCONCLUSIVE, True)


@dataclass
class Nameless(Story):
    """A story on a mesh that shows servers no identity on some edges."""

    nameless: tuple[tuple[str, str], ...] = ()

    def facts(self) -> RunFacts:
        """Return the facts of the story with those edges in them."""
        return msgspec.structs.replace(super().facts(), nameless_edges=self.nameless)


def test_an_edge_without_names_is_not_judged() -> None:
    """Where the mesh shows servers no identity the edge's row says so, and the other edges alone decide."""
    other = ("checkout", "fraud")
    recorded = Nameless(nameless=(other,)).steady(LEGIT).fault().calls(*other, ok=50, peer="")
    finding = answer(recorded, never(checks.unauthenticated(LEGIT, other), must_hold=True))
    assert finding.outcome is Outcome.HELD
    assert [(row.subject, "not judged" in row.reason) for row in finding.rows][-1] == ("checkout->fraud", True)


def test_nothing_but_edges_without_names_is_inconclusive() -> None:
    """When no edge can be judged, nothing is claimed to hold."""
    finding = answer(Nameless(nameless=(LEGIT,)).steady(LEGIT), KNOWN)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "shows the server no identity" in finding.reason
