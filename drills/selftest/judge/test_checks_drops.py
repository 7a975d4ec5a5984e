"""The mesh's own record of drops: every stretch of unserved calls is in it, or the claim does not hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.model import BYSTANDER, VICTIM, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always
from drills.judge.events import DropCount, DropLogRead, ReplicaCount
from drills.judge.verdict import SEVERITY, Outcome
from drills.selftest.doubles.story import NODES, Story, answer

EDGE = ("checkout", "payment")
DENIED = ("frontend", "ledger")
NAME = "frontend->ledger"
WITNESSED = always(checks.drops_witnessed(DENIED))
ON_VICTIM = always(checks.drops_witnessed(DENIED, on=VICTIM))
BY_POLICY = always(checks.drops_witnessed(DENIED, reasons=("POLICY_DENIED",)))
DOWN = SignalSpec("down", SignalKind.CONDITION, "system/DaemonSet/agent")


def refused(**settings: object) -> Story:
    """Tell of an edge that is refused in every phase, with a record of drops on two nodes; go on in the fault."""
    facts = {"drop_nodes": NODES[:2], "placed": {VICTIM: "n1", BYSTANDER: "n2"}} | settings
    return Story(**facts).steady(EDGE).refused(DENIED).fault()  # type: ignore[arg-type]


def read(story: Story, **errors: str) -> Story:
    """Tell that the record of every node was read, but for those with an error."""
    for node in story.drop_nodes:
        story.event(DropLogRead, node, node=node, error=errors.get(node, ""))
    return story


def dropped(story: Story, *seconds: float, node: str = "n1", reason: str = "POLICY_DENIED", edge: str = NAME) -> Story:
    """Tell of drops that a node wrote down in these seconds of the phase."""
    for second in seconds:
        instants = {"first_ns": story.at(second + 0.1), "last_ns": story.at(second + 0.9)}
        story.event(DropCount, edge, at_s=second + 0.1, node=node, reason=reason, count=10, **instants)
    return story


def test_drops_of_every_second_are_witnesses() -> None:
    """The record shows a drop of every second: the claim holds and the row counts them by the mesh's own reason."""
    finding = answer(dropped(read(refused()), *range(20)), WITNESSED)
    assert (finding.outcome, finding.rows[0].subject) == (Outcome.HELD, NAME)
    assert finding.rows[0].numbers == {
        "unserved": 400,
        "drops": 200,
        "longest_unseen_s": 0.7,
        "reason POLICY_DENIED": 200,
    }


def test_a_call_without_an_address_needs_no_drop() -> None:
    """Calls that fail in DNS for half of the fault leave nothing to drop: they break no record of drops."""
    story = read(Story(drop_nodes=NODES[:2]).steady(EDGE).fault().calls(*DENIED, fail=200, over=(0, 10)))
    story.calls(*DENIED, fail=200, error="dns", over=(10, 20))
    finding = answer(dropped(story, *range(10)), WITNESSED)
    assert (finding.outcome, "no call was unserved for 10.0" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_drop_with_one_instant_counts_there() -> None:
    """A record that does not count from when to when proves a drop at its own instant."""
    story = read(refused())
    for second in range(20):
        story.event(DropCount, NAME, at_s=second, node="n2", reason="x")
    finding = answer(story, WITNESSED)
    assert (finding.outcome, finding.rows[0].numbers["drops"]) == (Outcome.HELD, 20)


@pytest.mark.parametrize(
    ("seconds", "harm_s"),
    [((), 0.0), (range(14), 14.0), (range(6, 20), 0.0), ((*range(4), *range(10, 20)), 4.0)],
    ids=["never", "not at the end", "not at first", "not in the middle"],
)
def test_calls_that_go_on_without_a_drop_on_record_are_violated(seconds: tuple[int, ...], harm_s: float) -> None:
    """More than five seconds of refused calls and no drop: the mesh is silent about itself; harm dates from there."""
    finding = answer(dropped(read(refused()), *seconds), WITNESSED)
    assert finding.outcome is Outcome.VIOLATED
    assert "with no drop logged, at most 5 s may pass" in finding.reason
    assert finding.counter_examples[0].id == NAME
    assert (finding.counter_examples[0].at_ns - refused().at(0)) / 1e9 == pytest.approx(harm_s, abs=0.2)


def test_a_stretch_within_the_bound_holds() -> None:
    """Four seconds without a drop are fewer than five, and more than three."""
    story = dropped(read(refused()), *range(8), *range(12, 20))
    assert answer(story, WITNESSED).outcome is Outcome.HELD
    assert answer(story, always(checks.drops_witnessed(DENIED, max_gap_s=3))).outcome is Outcome.VIOLATED


def test_silence_of_the_record_is_excused_by_its_signal() -> None:
    """A node whose agent is down records no drop; the alert about the agent excuses that."""
    story = read(refused(signals=(DOWN,))).event(ReplicaCount, DOWN.subject, at_s=3, ready=0, desired=1)
    story.baseline().event(ReplicaCount, DOWN.subject, ready=1, desired=1)
    claim = always(checks.drops_witnessed(DENIED), alert="down", within_s=10)
    assert answer(story, claim).outcome is Outcome.FAILED_OBSERVABLY


def test_drops_of_another_node_are_no_witness_of_the_victim() -> None:
    """A claim about the victim counts what the victim's record shows, and needs that record alone."""
    story = dropped(dropped(refused(), *range(20), node="n2"), *range(10))
    assert answer(read(story), ON_VICTIM).outcome is Outcome.VIOLATED
    whole = dropped(read(refused(), n2="gone"), *range(20))
    assert answer(whole, ON_VICTIM).outcome is Outcome.HELD
    assert answer(whole, always(checks.drops_witnessed(DENIED, on=BYSTANDER))).outcome is Outcome.INCONCLUSIVE


def test_drops_for_another_reason_are_no_witness_of_the_policy() -> None:
    """A claim that names reasons counts those alone; the row still shows the others."""
    story = dropped(read(refused()), *range(20), reason="CT_MAP_INSERTION_FAILED")
    finding = answer(story, BY_POLICY)
    assert (finding.outcome, finding.rows[0].numbers["reason CT_MAP_INSERTION_FAILED"]) == (Outcome.VIOLATED, 200)
    assert answer(story, WITNESSED).outcome is Outcome.HELD
    assert answer(dropped(story, *range(20)), BY_POLICY).outcome is Outcome.HELD


def test_every_edge_needs_witnesses_of_its_own() -> None:
    """Drops of one edge say nothing of another."""
    other = ("intruder", "ledger")
    story = dropped(read(refused()).baseline().refused(other).fault(), *range(20))
    finding = answer(story, always(checks.drops_witnessed(DENIED, other)))
    assert (finding.outcome, [row.truth for row in finding.rows]) == (Outcome.VIOLATED, ["true", "false"])
    assert finding.reason.startswith("intruder->ledger")


def calling(*spans: tuple[float, float]) -> Story:
    """Tell of refused calls in these spans of the fault only, and of a drop in the first second of each."""
    story = read(Story(drop_nodes=("n1",)).steady(EDGE).fault())
    for start_s, end_s in spans:
        story.calls(*DENIED, fail=round((end_s - start_s) * 10), over=(start_s, end_s))
        dropped(story, start_s)
    return story


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (dropped(refused(), *range(20)), "the drop log of node n1 was not read"),
        (dropped(read(refused(), n2="no answer"), *range(20)), "node n2 could not be read: no answer"),
        (dropped(read(refused(drop_nodes=())), *range(20)), "name no node whose drop log"),
        (read(Story(drop_nodes=("n1",)).steady(EDGE).fault()), "0 calls were unserved"),
        (read(Story(drop_nodes=("n1",)).steady(DENIED).fault()), "0 calls were unserved"),
        (calling((0, 1)), "10 calls were unserved, needs 20"),
        (calling((0, 4), (12, 19)), "no call was unserved for 8.1"),
    ],
    ids=["unread", "unreadable", "no nodes", "no calls", "all served", "few calls", "a pause"],
)
def test_a_record_that_proves_nothing_is_inconclusive(story: Story, reason: str) -> None:
    """A record that could not be read, and an edge without a call to drop, are INCONCLUSIVE."""
    claim = WITNESSED if "8.1" not in reason else always(checks.drops_witnessed(DENIED, max_gap_s=7.5))
    finding = answer(story, claim)
    assert (finding.outcome, reason in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_an_empty_record_of_a_window_shorter_than_the_bound_is_inconclusive() -> None:
    """Calls went unserved for less than a gap may last, and nothing is on record: no drop shows that the log works."""
    finding = answer(read(refused()), always(checks.drops_witnessed(DENIED, max_gap_s=30)))
    assert (finding.outcome, "no drop is logged" in finding.reason) == (Outcome.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    "facts", [{"placed": {}}, {"placed": {VICTIM: "n3"}}], ids=["no victim", "a victim without record"]
)
def test_a_victim_without_a_record_is_inconclusive(facts: dict[str, object]) -> None:
    """Without a victim in the facts, or if its record was never readable, nothing is known of it."""
    assert answer(dropped(read(refused(**facts)), *range(20)), ON_VICTIM).outcome is Outcome.INCONCLUSIVE


def test_what_it_asks_must_be_something() -> None:
    """A claim of no edge, or of a node by another name, is refused."""
    with pytest.raises(ValueError, match="at least one edge"):
        checks.drops_witnessed()
    with pytest.raises(ValueError, match="expected victim or bystander"):
        checks.drops_witnessed(DENIED, on="n1")


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19)))
def test_a_drop_less_on_record_never_improves_the_answer(seconds: set[int], lost: set[int]) -> None:
    """Whichever lines the record lacks, the claim holds of it only when it holds of the whole record."""
    whole = answer(dropped(read(refused()), *seconds), WITNESSED).outcome
    poorer = answer(dropped(read(refused()), *(seconds - lost)), WITNESSED).outcome
    assert SEVERITY.index(poorer) >= SEVERITY.index(whole)
