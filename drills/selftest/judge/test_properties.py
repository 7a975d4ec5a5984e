"""Properties of verdicts that must hold of every history: no loss and no harm ever makes an answer better."""

from collections.abc import Sequence

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drills.judge import checks, claims, slices
from drills.judge.claims import Claim, always, eventually, never, reached
from drills.judge.events import CallerEnd, FaultReceipt, ServerEnd, WireEnd
from drills.judge.history import History
from drills.judge.verdict import SEVERITY, Outcome
from drills.selftest.doubles.asking import judge, named
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
DENIED_EDGE = ("intruder", "payment")
CLAIMS = (
    always(checks.success_rate(EDGE, at_least=0.9)),
    always(checks.availability(EDGE, max_outage_s=1.5)),
    eventually(checks.success_rate(EDGE, at_least=0.9), within_s=3),
    always(checks.calls_fast(EDGE, at_least=0.5, min_samples=5)),
    always(checks.blast_radius(EDGE, within=("n2",), at_least=0.9)),
    always(checks.denied(DENIED_EDGE), must_hold=True),
    never(checks.unauthenticated(EDGE), must_hold=True),
    never(checks.plaintext(EDGE), must_hold=True),
    reached(checks.attempted(EDGE, DENIED_EDGE)),
    always(checks.split_ratio(EDGE, version="v1", weight=1.0, min_samples=20)),
    always(checks.attempts_per_request(EDGE)),
    always(checks.conservation(EDGE), must_hold=True),
)
AVAILABILITY = CLAIMS[:5]
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

spans = st.tuples(st.integers(0, 40), st.integers(0, 6), st.integers(0, 3))
"""Successes, failures and unknown outcomes of one phase."""


def recorded(phases: Sequence[tuple[int, int, int]], refusals: int, leaks: int) -> Story:
    """Tell a short run: per phase some calls that succeed, fail or stay unknown; refused calls, some of which leak."""
    story = Story(baseline_s=2, fault_s=4, recovery_s=4).watched()
    for go_on, (ok, fail, info) in zip((story.baseline, story.fault, story.recovery), phases, strict=True):
        go_on().calls(*EDGE, ok=ok, fail=fail, info=info)
        story.calls(*DENIED_EDGE, fail=refusals, ok=leaks)
    return story


stories = st.builds(recorded, st.tuples(spans, spans, spans), st.integers(0, 40), st.integers(0, 1))


TIE = recorded(((0, 4, 3), (1, 6, 3), (0, 0, 0)), 0, 0)
"""One call more in its fault is due at the very instant of another of the same caller."""

ONE_TOO_FEW = recorded(((0, 0, 0), (18, 0, 1), (0, 0, 0)), 0, 0)
"""One call more, whatever becomes of it, makes the twenty that most claims need."""


def answers(history: History, asked: Sequence[Claim] = CLAIMS) -> list[Outcome]:
    """Return the answers in the order of the claims."""
    return [finding.outcome for finding in judge(history, asked).findings]


def is_no_better(after: Outcome, before: Outcome) -> bool:
    """Whether an answer is at least as bad as the one before."""
    return SEVERITY.index(after) >= SEVERITY.index(before)


@QUICK
@given(stories, st.sampled_from(["baseline", "fault", "recovery"]), st.floats(0, 0.99), st.booleans())
@example(story=TIE, phase="fault", place=0.2, is_unknown=False)
@example(story=ONE_TOO_FEW, phase="fault", place=0.0, is_unknown=False)
def test_a_failing_call_more_never_improves_an_answer(story: Story, phase: str, place: float, is_unknown: bool) -> None:
    """A call that fails or stays unknown, anywhere in any history, makes no answer about traffic better."""
    before = answers(story.history(), AVAILABILITY)
    getattr(story, phase)()
    over = (place * story.length_s(), story.length_s())
    story.calls(*EDGE, over=over, info=int(is_unknown), fail=int(not is_unknown))
    after = answers(story.history(), AVAILABILITY)
    assert all(is_no_better(*pair) for pair in zip(after, before, strict=True))


@QUICK
@given(stories, st.data())
def test_lost_calls_never_turn_an_answer_into_held(story: Story, data: st.DataObject) -> None:
    """Rows that are lost leave no claim HELD that was not, and by the holes they leave none HELD at all."""
    table = story.table()
    kept = data.draw(st.lists(st.booleans(), min_size=table.height, max_size=table.height))
    after = answers(story.history(table.filter(pl.Series(kept, dtype=pl.Boolean))))
    assert all(kept) or Outcome.HELD not in after


@QUICK
@given(stories, st.integers(1, 12))
def test_fewer_successes_never_hold_what_more_did_not(story: Story, every: int) -> None:
    """A run with only each n-th of its successes, whole in itself, holds nothing that the full run did not."""
    before = answers(story.history(), AVAILABILITY)
    successes = [row for row in story.rows if row["outcome"] == "ok"]
    story.rows = [row for row in story.rows if row["outcome"] != "ok"] + successes[::every]
    after = answers(story.history(), AVAILABILITY)
    assert all(new is not Outcome.HELD or old is Outcome.HELD for new, old in zip(after, before, strict=True))


@QUICK
@given(stories)
def test_a_leak_is_violated_whatever_else_the_record_lacks(story: Story) -> None:
    """One readable call and one served intruder stay VIOLATED with every end and receipt missing."""
    story.fault().hit(*EDGE).calls(*DENIED_EDGE, ok=1).without(CallerEnd, ServerEnd, WireEnd, FaultReceipt)
    found = answers(story.history(), [claim for claim in CLAIMS if claim.check.name in {"denied", "plaintext"}])
    assert found == [Outcome.VIOLATED, Outcome.VIOLATED]


@settings(QUICK, max_examples=8)  # each is judged three times, once of them in slices
@given(stories, st.permutations(range(len(CLAIMS))), st.integers(2, 5))
def test_how_it_is_judged_changes_nothing(story: Story, order: list[int], parts: int) -> None:
    """Again it gives the same bytes; in slices of any size, claims in any order get the same answers."""
    asked = tuple(named(CLAIMS).items())
    straight = claims.judge(story.history(), dict(asked))
    assert claims.judge(story.history(), dict(asked)).encode() == straight.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "ROWS_PER_SLICE", len(story.rows) // parts + 1)  # of few rows: some hold one or none
        mixed = claims.judge(story.history(), dict(asked[index] for index in order))
    findings = dict(zip(order, mixed.findings, strict=True))
    again = msgspec.structs.replace(mixed, findings=tuple(findings[index] for index in range(len(CLAIMS))))
    assert again.encode() == straight.encode()


@QUICK
@given(stories)
def test_no_history_of_few_calls_holds(story: Story) -> None:
    """Without a success in the fault window no claim about traffic, identity or the wire is HELD."""
    story.rows = [row for row in story.rows if row["outcome"] != "ok"]
    found = zip(CLAIMS, answers(story.history()), strict=True)
    assert [claim.check.name for claim, verdict in found if verdict is Outcome.HELD] in ([], ["attempted"])
