"""Harm beyond the part that was hurt, and connections that were really new."""

import polars as pl
import pytest

from clusters.model import BYSTANDER, VICTIM, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, reached
from drills.judge.events import ReplicaCount
from drills.judge.verdict import Outcome
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
OTHER = ("payment", "ledger")
DOWN = SignalSpec("down", SignalKind.CONDITION, "istio-system/Deployment/istiod")
CONTAINED = always(checks.blast_radius(EDGE, OTHER, within=("n2", "checkout-2", "fraud")))
NEW = reached(checks.handshake(EDGE))


def test_harm_within_the_radius_holds() -> None:
    """A caller that was hurt may fail every call as long as its neighbour on the same edge does not."""
    story = Story().steady(EDGE, OTHER).fault().calls(*EDGE, fail=200, pod="checkout-2")
    assert answer(story, CONTAINED).outcome is Outcome.HELD


def test_harm_beyond_the_radius_is_violated() -> None:
    """One edge elsewhere that fails is harm beyond, and its failures are the examples."""
    story = Story().steady(EDGE).fault().calls(*EDGE, fail=200, pod="checkout-2").calls(*OTHER, ok=100, fail=9)
    finding = answer(story, CONTAINED)
    assert (finding.outcome, finding.counter_examples[0].id.split(".")[1]) == (Outcome.VIOLATED, "payment")


def test_harm_on_the_hurt_node_is_within() -> None:
    """A node names every caller on it."""
    story = Story().steady(OTHER).fault().calls(*EDGE, fail=200)
    table = story.table().with_columns(
        node=pl.when(pl.col("source") == "checkout").then(pl.lit("n2")).otherwise("node")
    )
    finding = CONTAINED.check.evaluate(story.history(table), story.history().windows()["fault"])
    assert (finding.truth, [row.subject for row in finding.rows]) == ("true", ["payment->ledger"] * 2)


def on_two_nodes(**placed: str) -> Story:
    """Tell of a caller on n1 that fails every call and of one on n2 that fails none."""
    story = Story(placed=placed).fault().calls(*EDGE, fail=200).calls(*EDGE, ok=200, pod="checkout-2")
    for row in story.rows:
        row["node"] = "n2" if row["pod"] == "checkout-2" else "n1"
    return story


@pytest.mark.parametrize(
    ("placed", "expected", "reason"),
    [
        ({VICTIM: "n1", BYSTANDER: "n2"}, Outcome.HELD, ""),
        ({VICTIM: "n2", BYSTANDER: "n1"}, Outcome.VIOLATED, "200 of 200 calls were lost"),
        ({BYSTANDER: "n2"}, Outcome.INCONCLUSIVE, "do not name the victim node"),
        ({VICTIM: ""}, Outcome.INCONCLUSIVE, "do not name the victim node"),
    ],
)
def test_the_victim_is_the_node_that_the_facts_name(placed: dict[str, str], expected: Outcome, reason: str) -> None:
    """Harm on the victim is within the radius, harm on the bystander beyond it; without a victim it is INCONCLUSIVE."""
    finding = answer(on_two_nodes(**placed), always(checks.blast_radius(EDGE, within=(VICTIM,))))
    assert (finding.outcome, reason in finding.reason) == (expected, True)
    assert finding.params["within"] == "victim"


def test_harm_beyond_the_radius_is_excused_by_its_signal() -> None:
    """The same harm is FAILED_OBSERVABLY when the named alert fired."""
    story = Story(signals=(DOWN,)).event(ReplicaCount, DOWN.subject, ready=1, desired=1).steady(EDGE)
    story.fault().calls(*OTHER, ok=100, fail=9).event(ReplicaCount, DOWN.subject, at_s=8, ready=0, desired=1)
    claim = always(checks.blast_radius(OTHER, within=("n2",)), alert="down", within_s=10)
    assert answer(story, claim).outcome is Outcome.FAILED_OBSERVABLY


@pytest.mark.parametrize("story", [Story(), Story().fault().calls(*EDGE, ok=100, pod="checkout-2")])
def test_a_radius_without_anybody_beyond_is_inconclusive(story: Story) -> None:
    """No call from outside the radius was made, so none shows that the rest works."""
    assert answer(story, CONTAINED).outcome is Outcome.INCONCLUSIVE


def test_a_radius_needs_names() -> None:
    """A radius around nothing is refused, and so is one without an edge."""
    with pytest.raises(ValueError, match="names of what may fail"):
        checks.blast_radius(EDGE, within=())
    with pytest.raises(ValueError, match="at least one edge"):
        checks.blast_radius(within=("n1",))


def fresh(**calls: object) -> Story:
    """Return a story of calls in the fault on an edge where the mesh opens a connection for each call."""
    return Story(fresh_edges=(EDGE,)).fault().calls(*EDGE, **calls)  # type: ignore[arg-type]


def test_handshakes_are_reached_by_successes_on_new_connections() -> None:
    """Twenty successes on new connections of an edge without pooling needed twenty handshakes."""
    assert answer(fresh(ok=20), NEW).outcome is Outcome.HELD


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (fresh(ok=19), "19 calls succeeded"),
        (fresh(fail=200), "0 calls succeeded"),
        (fresh(ok=200, reused=True), "0 calls succeeded"),
        (fresh(ok=200, connection="reused"), "no caller opens new connections"),
        (Story(fresh_edges=(EDGE,)), "0 calls succeeded"),
        (Story().fault().calls(*EDGE, ok=200), "is not known to open"),
    ],
    ids=["few", "failed", "travelled on an old one", "only reused", "nothing", "pooled"],
)
def test_handshakes_that_were_not_proven_are_inconclusive(story: Story, reason: str) -> None:
    """Reached is never assumed: not from failures, not from pooled edges, not from silence."""
    finding = answer(story, NEW)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert reason in finding.reason


def test_an_edge_without_new_connections_beside_one_with_is_not_reached() -> None:
    """Every edge named must have been reached."""
    story = fresh(ok=50).calls(*OTHER, ok=50, connection="reused")
    assert answer(story, reached(checks.handshake(EDGE, OTHER))).outcome is Outcome.INCONCLUSIVE


def test_a_handshake_needs_an_edge() -> None:
    """A check of no edge is refused."""
    with pytest.raises(ValueError, match="at least one edge"):
        checks.handshake()
