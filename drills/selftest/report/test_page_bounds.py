"""A page of a hundred thousand claims or edges is written in time, and says what it leaves out."""

import time
from pathlib import Path

import msgspec
import polars as pl
import pytest

from drills.judge.events import E, FaultInjected, NewPod, PolicyChangeStep
from drills.judge.history import CALLS_SCHEMA, History
from drills.judge.verdict import Outcome
from drills.report.page import page_bounds, report_html, report_md
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.story import Story, event_of

LIMIT_S = 20.0
MANY = 100_000
LANES = 20_000


@pytest.fixture(scope="module")
def story() -> Story:
    """Return a run."""
    return outage_bundle.outage()


def both(history: History, findings: int = 1, rows: int = 1) -> tuple[str, str]:
    """Return both pages of a run whose first claim is repeated, and whose rows of numbers are."""
    verdict = outage_bundle.verdict_of(outage_bundle.outage())
    first = msgspec.structs.replace(verdict.findings[0], rows=verdict.findings[0].rows * rows)
    held = msgspec.structs.replace(first, outcome=Outcome.HELD)
    worst = msgspec.structs.replace(first, id="the-worst", outcome=Outcome.VIOLATED)
    many = msgspec.structs.replace(verdict, findings=(*[held] * (findings - 1), worst))
    began_s = time.monotonic()
    pages = (
        report_md.render(history, many, outage_bundle.ENVIRONMENT, "bundle"),
        report_html.render(history, many, outage_bundle.ENVIRONMENT, Path("bundle")),
    )
    assert time.monotonic() - began_s < LIMIT_S
    return pages


def lanes(story: Story) -> History:
    """Return the run with a call on each of very many edges."""
    table = story.table()
    first, number = table.head(1), pl.int_range(LANES).cast(pl.String)
    more = pl.concat([first] * LANES).with_columns(source=pl.lit("s") + number.str.zfill(6))
    return story.history(pl.concat([table, more]).cast(CALLS_SCHEMA))


def test_an_ordinary_run_is_shown_whole(story: Story) -> None:
    """Nothing is left out, and history and verdict are the same."""
    history, verdict = story.history(), outage_bundle.verdict_of(story)
    found = page_bounds.shown(history, verdict)
    assert (found.history, found.verdict, found.left_out) == (history, verdict, ())


def test_claims_beyond_the_bound_are_counted_and_the_worst_is_shown(story: Story) -> None:
    """The worst answer is never among those that a page leaves out."""
    for page in both(story.history(), findings=MANY):
        assert f"leaves out {MANY - page_bounds.MAX_CLAIMS} claims; verdict.json has all of them" in page
        assert "the-worst" in page


def test_rows_beyond_the_bound_are_counted(story: Story) -> None:
    """Each claim has its own bound."""
    for page in both(story.history(), rows=MANY):
        assert f"leaves out {MANY - page_bounds.MAX_ROWS} rows of numbers of claims; verdict.json" in page


def test_edges_beyond_the_bound_are_counted(story: Story) -> None:
    """The first by name are shown; the totals of the run are those of all calls."""
    history = lanes(story)
    for page in both(history):
        assert "edges by kind of connection and calling node; calls.parquet has all of them" in page
        assert str(history.calls.collect().height) in page
        assert page.count("s019999") == 0


@pytest.mark.parametrize(
    ("kind", "what", "bound"),
    [
        (NewPod, "attempts of probes", page_bounds.MAX_STEPS),
        (PolicyChangeStep, "attempts of probes", page_bounds.MAX_STEPS),
        (FaultInjected, "injections and undos", page_bounds.MAX_INSTANTS),
        (FaultInjected, "steps of the drill", page_bounds.MAX_STEPS),
    ],
)
def test_events_beyond_the_bound_are_counted(kind: type[E], what: str, bound: int, story: Story) -> None:
    """Windows are those of all events."""
    said: dict[type, dict[str, object]] = {
        NewPod: {"outcome": "failed", "meshed": None, "started": None},
        PolicyChangeStep: {"step": "apply", "outcome": "failed"},
        FaultInjected: {},
    }
    numbers = range(2 * bound)
    added = tuple(event_of(kind, story.at(number / 1000), f"x{number}", **said[kind]) for number in numbers)
    history = History(story.table().lazy(), (*story.all_events(), *added), story.facts())
    found = page_bounds.shown(history, outage_bundle.verdict_of(story))
    assert any(f" {what}; events.jsonl has all of them" in it for it in found.left_out)
    assert found.history.windows() == history.windows()
    assert max(len(found.instants), 1) <= page_bounds.MAX_INSTANTS
    assert len(found.timeline) <= page_bounds.MAX_STEPS
    assert len(found.history.of_kind(NewPod)) <= page_bounds.MAX_STEPS
    assert len(found.history.of_kind(PolicyChangeStep)) <= page_bounds.MAX_STEPS
