"""report.html: what it shows of a run, and that nothing in it can execute."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from clusters.model import Reference
from drills.judge import checks
from drills.judge.bundle_files import REPORT_HTML_FILE
from drills.judge.claims import always, stored
from drills.judge.events import ComponentPod, FaultInjected, Phase, UndoApplied, UndoVerified
from drills.judge.history import History
from drills.judge.measure import Row, Truth
from drills.judge.records import NS_PER_S, RunFacts
from drills.judge.verdict import Outcome
from drills.report import evidence, formats, traffic, wording
from drills.report.figures import Ages, Outage, ages, headline, outage
from drills.report.page import report_md
from drills.report.page.html_tables import edge_windows, number_table
from drills.report.trust import verification
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.story import START_NS, Story


@pytest.fixture
def history() -> History:
    """Return the history of an outage of four seconds."""
    return outage_bundle.outage().history()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return its bundle."""
    return outage_bundle.bundle_of(outage_bundle.outage(), tmp_path / "test-drill" / "story" / "20260101T000000Z")


def page_of(bundle: Path) -> str:
    """Return the page of a bundle."""
    return (bundle / REPORT_HTML_FILE).read_text(encoding="utf-8")


def test_the_page_tells_the_whole_story(bundle: Path) -> None:
    """Hypothesis, verdict, claims with sources, signal, transitions, deviations, versions, commands and files."""
    text = page_of(bundle)
    for part in (
        "<p>It survives.</p>",
        "FAILED_OBSERVABLY",
        "always during fault: at least 0.999 of the calls succeed",
        'href="https://example.org/promise?a=1&amp;b=2"',
        "control-plane-down, after 1.5 s",
        "40 calls lost on all routes that worked before",
        "mdc.frontend.checkout.frontend-1.n180",
        '<td class="w">two &lt;cores&gt;</td>',
        '<tr><th>A rule</th><td class="w">a &lt;certificate&gt;</td><td class="w">in the pod</td>',
        "<tr><th>kind</th>",
        "meshdrill run test-drill --mesh story",
        f"meshdrill judge {bundle.name}",
        'href="calls.parquet"',
        'href="statement.dsse.json"',
    ):
        assert part in text, part


def test_what_a_run_says_cannot_become_markup(tmp_path: Path) -> None:
    """A text of the record with markup in it is shown, not obeyed; an address that is a script is no link."""
    evil = outage_bundle.reworded(
        outage_bundle.verdict_of(outage_bundle.outage()),
        reason="<script>alert(1)</script>",
        promise=Reference("<img src=x>", "javascript:alert(1)", "1", "documented"),
    )
    text = page_of(outage_bundle.bundle_of(outage_bundle.outage(), tmp_path / "b", evil))
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<script") == 1
    assert "<img" not in text
    assert 'href="javascript:' not in text
    assert "(javascript:alert(1))" in text


def test_the_page_loads_nothing_and_forbids_it(bundle: Path) -> None:
    """No address is fetched: only links lead out; the policy allows nothing but the page's own style and script."""
    text = page_of(bundle)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert not re.findall(r"\bsrc=|@import|url\((?!#)|<link|<iframe|<object", text)


def test_writing_twice_and_reading_back_give_the_same_bytes(bundle: Path) -> None:
    """The page depends on the bundle alone: drawn from the stored verdict it is what was drawn after the run."""
    first = page_of(bundle)
    stored = outage_bundle.verdict_of(outage_bundle.outage())
    assert evidence.drawn(bundle, stored, outage_bundle.ENVIRONMENT)[REPORT_HTML_FILE].decode() == first
    evidence.write(bundle, stored, outage_bundle.ENVIRONMENT)
    assert page_of(bundle) == first


def test_the_statement_covers_the_page(bundle: Path) -> None:
    """A changed page is found out."""
    assert verification.verify(bundle).is_intact
    (bundle / REPORT_HTML_FILE).write_text(page_of(bundle) + " ", encoding="utf-8")
    assert [it.partition(":")[0] for it in verification.verify(bundle).complaints] == [REPORT_HTML_FILE]


def test_every_reference_within_the_page_leads_somewhere(bundle: Path) -> None:
    """Each #name that is linked or drawn exists, once."""
    text = page_of(bundle)
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(names)


def test_a_page_of_nothing_says_so(tmp_path: Path) -> None:
    """A record without calls and windows gives a page that draws nothing and claims nothing."""
    empty = Story().without(Phase, FaultInjected, UndoApplied, UndoVerified)
    text = page_of(outage_bundle.bundle_of(empty, tmp_path / "b"))
    assert "The run recorded no call and no window" in text
    assert "No transition was recorded" in text
    assert "Defects of the record" in text


def test_the_headline_is_that_of_the_claims_and_of_the_calls() -> None:
    """Recovery comes from the findings, outage and first signal from the record; a missed recovery has no number."""
    story = outage_bundle.outage()
    verdict = outage_bundle.verdict_of(story)
    found = headline(verdict, story.history())
    assert (found.recovery_s, found.has_recovered) == (0.0, True)
    assert found.outage == Outage(4.1, 0.1, "frontend->checkout new", 40, "frontend-1", is_over=True)
    assert (found.signal_s, found.signal) == (1.5, "control-plane-down")
    broken = msgspec.structs.replace(verdict.findings[3], outcome=Outcome.VIOLATED)
    unhealed = headline(msgspec.structs.replace(verdict, findings=(*verdict.findings[:3], broken)), None)
    assert (unhealed.recovery_s, unhealed.has_recovered) == (None, False)
    nothing = headline(msgspec.structs.replace(verdict, findings=()), None)
    assert (nothing.has_recovered, nothing.outage, nothing.signal_s) == (None, None, None)


@dataclass
class Claiming(Story):
    """A story of a drill that claims that a route is denied."""

    def facts(self) -> RunFacts:
        """Return the facts of the story with that claim."""
        denied = stored({"denied-stay-denied": always(checks.denied(("intruder", "frontend")))})
        return msgspec.structs.replace(super().facts(), claims=denied)


def test_the_outage_is_of_routes_that_should_work() -> None:
    """A route outside the mesh, and one that the drill claims is denied, never make an outage."""
    route, others = ("frontend", "checkout"), (("outsider", "outsider"), ("intruder", "frontend"))
    story: Story = Claiming().baseline().steady(route, *others).fault().steady(route)
    for edge in others:
        story = story.calls(*edge, fail=50)
    found = outage(story.history())
    assert found is not None
    assert (found.route.partition(" ")[0], found.lost) == ("frontend->checkout", 0)
    counted = outage(Story().baseline().steady(others[1]).fault().calls(*others[1], fail=50).history())
    assert counted is not None
    assert counted.lost == 50


def test_a_transition_names_classes_and_first_calls(history: History) -> None:
    """Before and after: outcomes by error class, the first failing and the first succeeding call."""
    at_ns = START_NS + 18 * NS_PER_S
    rows = {(it.source, it.connection): it for it in traffic.transitions(history, [("here", at_ns)])}
    lost = rows["frontend", "new"]
    assert (lost.errors_before, lost.errors_after) == ({}, {"connect-reset": 40})
    assert (lost.first_failure_ms, lost.first_success_ms) == (0.0, 4000.0)
    assert lost.first_failure_id != lost.first_success_id
    assert [lost.is_steady, rows["intruder", "new"].is_steady, rows["payment", "new"].is_steady] == [False, True, True]


def test_numbers_that_all_rows_share_are_told_once() -> None:
    """What differs has a column, in the order of a reader; what no run has is left out."""
    rows = [
        Row("a->b", kind, Truth.TRUE, {"z": 1, "failed": 0, "calls": n, "no": None}) for kind, n in (("x", 1), ("y", 2))
    ]
    table = number_table(rows)
    assert (table.shared, table.columns) == ({"failed": 0, "z": 1}, ("calls",))
    assert [row.values for row in table.rows] == [(1,), (2,)]
    assert number_table(rows[:1]).columns == ("calls", "failed", "z")


def test_an_edge_that_was_silent_in_a_window_leaves_its_place_empty() -> None:
    """Every edge has one cell for each window."""
    story = outage_bundle.outage()
    story.fault().calls("a", "b", ok=5)
    names, rows = edge_windows(traffic.edges(story.history()))
    assert names == ("baseline", "fault", "recovery")
    assert [it is None for row in rows if row.edge == "a->b" for it in row.windows] == [True, False, True]


def test_the_acts_are_told_in_order(history: History) -> None:
    """Instants of change are the injection and the undo."""
    assert [name for name, _ in wording.instants(history)] == [
        *("fault injected: stop control-plane", "fault undone: stop control-plane"),
    ]


@pytest.mark.parametrize(
    ("value_s", "words"),
    [(0, "0 s"), (0.25, "250 ms"), (1.474, "1.47 s"), (35.86, "35.9 s"), (120.4, "2 min 0 s"), (99.97, "100 s")],
)
def test_durations_read_well(value_s: float, words: str) -> None:
    """Three digits and the unit that fits."""
    assert formats.duration(value_s) == words


def test_drawings_are_well_formed(bundle: Path) -> None:
    """Each SVG of the page is XML that a strict reader accepts, and has a name or is hidden from a screen reader."""
    found = re.findall(r"<svg.*?</svg>", page_of(bundle), re.DOTALL)
    assert len(found) > 10
    for drawing_text in found:
        svg = ET.fromstring(drawing_text)  # noqa: S314 - written by the code under test
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")


def test_the_ages_of_the_parts_are_shown() -> None:
    """Youngest and oldest pod of each role at the injection, and restarts before it; a run without them shows none."""
    story = outage_bundle.outage()
    assert ages(story.history()) == ()
    story.baseline()  # the double injects its fault 10 s after the start
    for pod, at_s in (("brain-1", -290.0), ("brain-2", -90.0)):
        started_ns = story.at(at_s)
        story.event(ComponentPod, pod, at_s=-1, role="control-plane", node="n1", started_ns=started_ns, restarts=1)
    history = story.history()
    assert ages(history) == (Ages("control-plane", 2, 100.0, 300.0, 2),)
    page = report_md.render(history, outage_bundle.verdict_of(story), outage_bundle.ENVIRONMENT, "bundle")
    assert "| control-plane | 2 | 1 min 40 s to 5 min 0 s | 2 |" in page
