"""The timeline of a run: bins, bars, lines and marks."""

import re

import msgspec
import pytest

from drills.judge import checks
from drills.judge.events import Phase
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.report import signals
from drills.report.page import annotations, bins, svg
from drills.report.page.bins import Bin
from drills.report.page.drawing import drawing
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.story import START_NS, Story


@pytest.fixture
def history() -> History:
    """Return the history of an outage of four seconds."""
    return outage_bundle.outage().history()


def test_bins_count_each_call_once(history: History) -> None:
    """Over all bins there are as many calls, failed and unknown ones, as in the story; a refused call is as asked."""
    drawn = bins.span(history)
    assert drawn is not None
    asked = bins.musts(outage_bundle.verdict_of(outage_bundle.outage()).findings)
    assert asked == {"frontend->checkout": bins.SUCCEED, "intruder->ledger": bins.BE_REFUSED}
    lanes = {(it.source, it.connection): it for it in bins.lanes(history, drawn, asked)}
    assert bins.total(lanes["frontend", "new"].bins) == Bin(500, 30, 10)
    assert bins.total(lanes["intruder", "new"].bins) == Bin(500, 0, 0)
    assert lanes["payment", "new"].must == ""


def test_a_stranger_who_was_served_is_off() -> None:
    """A forbidden call counts as off when it succeeded, and when a server served it although the caller saw it fail."""
    story = (
        Story()
        .calls(*outage_bundle.FORBIDDEN, ok=3, fail=2, served=True)
        .calls(*outage_bundle.FORBIDDEN, fail=4, info=1)
    )
    served = story.history()
    drawn = bins.span(served)
    assert drawn is not None
    (lane,) = bins.lanes(served, drawn, {"intruder->ledger": bins.BE_REFUSED})
    assert bins.total(lane.bins) == Bin(10, 5, 0)


def test_a_stretch_without_a_call_is_a_gap() -> None:
    """Where no call was due there is no bin, and the line of the success rate is interrupted."""
    story = Story().calls(*outage_bundle.EDGE, ok=10, over=(0, 2)).calls(*outage_bundle.EDGE, ok=10, over=(6, 8))
    drawn = bins.span(story.history())
    assert drawn is not None
    (lane,) = bins.lanes(story.history(), drawn, {})
    assert [it is None for it in lane.bins[:20]].count(True) == 12
    path = svg.line([None if it is None else it.good for it in lane.bins])
    assert path.count("M") == 2


@pytest.mark.parametrize(("length_s", "bin_ns"), [(5, 10**8), (50, 5 * 10**8), (7000, 60 * 10**9), (10**6, None)])
def test_no_drawing_has_too_many_bins(length_s: float, bin_ns: int | None) -> None:
    """The width of a bin follows the length of the run."""
    drawn = bins.span(Story(baseline_s=1, fault_s=1, recovery_s=length_s - 2).history())
    assert drawn is not None
    assert drawn.count <= bins.MAX_BINS
    assert bin_ns is None or drawn.bin_ns == bin_ns


def test_a_run_without_an_end_is_drawn_by_its_calls() -> None:
    """A killed run has no end; what was called is drawn all the same, and a run of nothing is not."""
    killed = Story().without(Phase).calls(*outage_bundle.EDGE, ok=50).history()
    drawn = bins.span(killed)
    assert drawn is not None
    assert (drawn.start_ns, drawn.zero_ns) == (START_NS, START_NS + 10 * NS_PER_S)
    assert bins.span(Story().without(Phase).history()) is None


def test_latency_is_of_the_calls_that_succeeded(history: History) -> None:
    """p50 and p99 count from the due time; a bin in which nothing succeeded has none."""
    drawn = bins.span(history)
    assert drawn is not None
    found = bins.latencies(history, drawn, ["frontend->checkout"])
    assert found[0] is not None
    assert (round(found[0].p50_ms, 1), round(found[0].p99_ms, 1)) == (2.1, 2.1)
    assert found[37] is None


def test_a_row_shows_the_slowest_call_that_succeeded(history: History) -> None:
    """Each edge and node has a line of its own, on one scale for all; a call that was refused has no latency."""
    drawn = bins.span(history)
    assert drawn is not None
    lanes = {it.source: it for it in bins.lanes(history, drawn, {"intruder->ledger": bins.BE_REFUSED})}
    slowest = lanes["frontend"].slowest_ms
    assert slowest[0] == pytest.approx(2.1, abs=0.05)
    assert slowest[37] is None
    assert set(lanes["intruder"].slowest_ms) == {None}
    late = (
        outage_bundle.outage()
        .calls("frontend", "checkout", connection="reused", ok=2, over=(10, 11), lag_ms=80)
        .history()
    )
    shown = drawing(late, outage_bundle.verdict_of(outage_bundle.outage()))
    assert shown is not None
    rows = {(row.label, row.detail): row for group in shown.groups for row in group.rows}
    assert rows["frontend->checkout", "reused"].summary == "2 calls, all ok, slowest 82 ms"
    assert rows["frontend->checkout", "new"].summary.endswith("slowest 2.1 ms")
    assert rows["intruder->ledger", "new"].slowest == ""
    assert shown.latency.scale == (0, 2)


def test_the_marks_are_the_acts_receipts_and_first_signals(history: History) -> None:
    """In the order of time; a repeated receipt is listed once, and a signal that never fired is listed as such."""
    drawn = bins.span(history)
    assert drawn is not None
    found = annotations.annotations(history, drawn)
    assert [it.title for it in found] == [
        *("fault injected", "receipt", "signal control-plane-down", "undo applied", "undo verified"),
    ]
    assert [drawn.offset_s(it.at_ns) for it in found] == [0.0, 0.5, 1.5, 19.0, 20.0]
    assert [it.name for it in signals.unseen(history)] == ["never-seen"]
    assert [(it.name, it.left, it.width) for it in annotations.bands(history, drawn)] == [
        ("baseline", 0.0, 20.0),
        ("fault", 20.0, 40.0),
        ("recovery", 60.0, 40.0),
    ]


def test_attempts_differ_in_shape(history: History) -> None:
    """New pods and policy changes have their own shape and word; the removal of a change is no attempt."""
    drawn = bins.span(history)
    assert drawn is not None
    pods, changes = annotations.attempts(history, drawn)
    assert pods.summary == "\u25b2 1 refused, \u25cf 1 admitted into the mesh"
    assert [it.shape for it in changes.tries] == ["\u25cf"]


def test_numbers_that_lie_close_get_rows_of_their_own() -> None:
    """Of places closer than a number is wide each has another row; a far one goes back to the first row."""
    assert svg.spread([1, 2, 3, 30], 7) == [0, 1, 2, 0]


def test_a_line_goes_on_until_it_changes() -> None:
    """Equal heights are one step, a gap begins anew."""
    assert svg.line([1.0, 1.0, 0.5, None, 1.0]) == "M0 0H2V50H3M4 0H5"


def test_one_failure_in_a_thousand_is_seen() -> None:
    """Whatever its share, what went wrong is higher than what went right; more is higher."""
    few, many = svg.alarm([Bin(1000, 1, 0)]), svg.alarm([Bin(1000, 900, 0)])
    heights = [int(re.search(r"v(\d+)", path)[1]) for path in (svg.as_claimed([Bin(9, 0, 0)]), few, many)]  # type: ignore[index]
    assert heights == sorted(set(heights))
    assert svg.doubt([Bin(5, 1, 2)]) == ""
    assert svg.doubt([Bin(5, 0, 2)]) != ""


def test_scales_hold_what_they_show() -> None:
    """A scale of decades encloses its values; without a value it still has a height."""
    assert svg.decades([2.0, 450.0]) == (0, 3)
    assert svg.decades([]) == (0, 1)
    assert svg.on_scale(10.0, (0, 2)) == pytest.approx(0.5)
    assert svg.ticks_s(-10.1, 59.9) == [-10, 0, 10, 20, 30, 40, 50]


def test_names_of_nodes_lose_what_all_share(history: History) -> None:
    """Of several nodes only what tells them apart is shown; one alone keeps its name."""
    drawn = drawing(history, outage_bundle.verdict_of(outage_bundle.outage()))
    assert drawn is not None
    assert {row.label for row in drawn.nodes} == {"n1"}
    two = history.calls.collect()
    renamed = two.with_columns(node="kind-" + two["source"])
    both = drawing(
        History(renamed.lazy(), history.events, history.facts), outage_bundle.verdict_of(outage_bundle.outage())
    )
    assert both is not None
    assert {row.label for row in both.nodes} == {"frontend", "intruder"}


def test_a_node_that_is_hurt_is_called_by_its_part(history: History) -> None:
    """Claims speak of the victim: which node that was stands beside its name, and not where no node was hurt."""
    facts = msgspec.structs.replace(history.facts, placed={"victim": "n1"})

    def detail(subject: str) -> str:
        events = tuple(
            msgspec.structs.replace(it, subject=subject) if it.kind == "fault.injected" else it for it in history.events
        )
        drawn = drawing(History(history.calls, events, facts), outage_bundle.verdict_of(outage_bundle.outage()))
        assert drawn is not None
        return drawn.nodes[0].detail

    assert detail("crash node-agent on victim") == "the victim, must succeed"
    assert detail("stop control-plane") == "must succeed"


def test_the_checks_that_say_what_must_be_are_those_of_the_judge() -> None:
    """The names under which the page knows them are the names of the checks."""
    assert checks.success_rate(outage_bundle.EDGE, at_least=0.9).name in bins.CHECKS_OF_SUCCESS
    assert checks.availability(outage_bundle.EDGE, max_outage_s=1).name in bins.CHECKS_OF_SUCCESS
    assert {checks.denied(outage_bundle.EDGE).name} == bins.CHECKS_OF_REFUSAL
