"""Properties of verdicts about runs into which a new pod comes: it never makes an answer better, lost or not."""

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drills.judge import checks
from drills.judge.claims import always, eventually
from drills.judge.verdict import SEVERITY, Outcome
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
NEW_POD = "checkout-9"
OLD, NEW = "checkout->payment", "checkout->payment, new pods"
FLOW = (
    always(checks.success_rate(EDGE, at_least=0.99)),
    always(checks.availability(EDGE, max_outage_s=1.5)),
    eventually(checks.success_rate(EDGE, at_least=0.9), within_s=3),
    always(checks.denied(EDGE)),
    always(checks.conservation(EDGE)),
)

QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

comings = st.tuples(st.floats(0, 19.9), st.integers(0, 40), st.integers(0, 5), st.integers(0, 40))
"""When a new pod comes up, and its successes, failures and successes in the recovery."""


def coming(at_s: float, ok: int, fail: int, later: int) -> Story:
    """Tell of a new pod beside one that stands."""
    story = Story(recovery_s=4).steady(EDGE).unplanned(NEW_POD)
    story.fault().calls(*EDGE, ok=ok, fail=fail, over=(at_s, 20), pod=NEW_POD)
    return story.recovery().calls(*EDGE, ok=later, pod=NEW_POD)


@QUICK
@given(comings)
def test_to_tell_new_pods_apart_never_loses_a_harm(when: tuple[float, int, int, int]) -> None:
    """What new pods do never makes an answer better than it is without them, and no call is lost or counted twice."""
    story, alone = coming(*when), coming(when[0], 0, 0, 0)
    found, before = (judge(it.history(), FLOW).findings for it in (story, alone))
    pairs = zip(found, before, strict=True)
    assert all(SEVERITY.index(new.outcome) >= SEVERITY.index(old.outcome) for new, old in pairs)
    calls = {row.subject: row.numbers["calls"] for row in found[0].rows if row.connection == "new"}
    assert calls == {OLD: 200} | ({NEW: when[1] + when[2]} if when[1] + when[2] else {})


@QUICK
@given(comings, st.data())
def test_lost_calls_of_new_pods_never_turn_an_answer_into_held(
    when: tuple[float, int, int, int], data: st.DataObject
) -> None:
    """Rows of a new pod that are lost, be it all of them, leave a hole: the pod itself recorded how many there were."""
    story = coming(*when)
    table = story.table()
    mine = (table["pod"] == NEW_POD).to_list()
    lost = data.draw(st.lists(st.booleans(), min_size=sum(mine), max_size=sum(mine)) | st.just([True] * sum(mine)))
    falls = iter(lost)
    kept = table.filter(pl.Series([not (is_mine and next(falls)) for is_mine in mine], dtype=pl.Boolean))
    after = [finding.outcome for finding in judge(story.history(kept), FLOW).findings]
    assert not any(lost) or Outcome.HELD not in after
