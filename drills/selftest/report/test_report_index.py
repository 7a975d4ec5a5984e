"""index.html: every drill on every mesh, and every run behind it."""

import re
import shutil
from pathlib import Path

import msgspec
import pytest

from clusters.model import KnownIssue, Reference
from drills.cli import app as cli
from drills.cli import exits
from drills.judge.bundle_files import INDEX_HTML_FILE, INDEX_MD_FILE, REPORT_HTML_FILE
from drills.judge.verdict import Outcome
from drills.report import evidence
from drills.report.figures import headline
from drills.report.index import index_html, index_md
from drills.report.index.cells import read_runs
from drills.selftest.doubles import outage_bundle


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return a folder with two runs of one drill on a mesh, a control, and an unreadable verdict."""
    reports = tmp_path / "reports"
    newest = outage_bundle.bundle_of(outage_bundle.outage(), reports / "test-drill" / "story" / "20260102T000000Z")
    verdict = outage_bundle.verdict_of(outage_bundle.outage())
    shutil.copytree(newest, newest.with_name("20260101T000000Z"))
    worse = msgspec.structs.replace(verdict, outcome=Outcome.VIOLATED, promised=Outcome.VIOLATED, passed=False)
    (newest.with_name("20260101T000000Z") / "verdict.json").write_bytes(worse.encode())
    control = reports / "test-drill" / "bare" / "20260103T000000Z"
    control.mkdir(parents=True)
    shutil.copy(newest / "run.json", control)
    as_control = msgspec.structs.replace(worse, is_control=True, passed=True)
    (control / "verdict.json").write_bytes(as_control.encode())
    broken = reports / "other-drill" / "story" / "20260104T000000Z"
    broken.mkdir(parents=True)
    (broken / "verdict.json").write_text("{")
    return reports


def cells(page: str) -> dict[tuple[str, str], str]:
    """Return the text of each cell of the matrix by drill and mesh."""
    matrix = page[page.index('<table class="matrix"') : page.index("</table>")]
    rows = re.findall(r'<tr role="row" data-drill="([^"]+)">(.*?)</tr>', matrix, re.DOTALL)
    return {
        (drill, mesh): " ".join(re.sub(r"<[^>]+>", " ", cell.replace("<wbr>", "")).split())
        for drill, row in rows
        for mesh, cell in re.findall(r'<td role="cell" data-mesh="([^"]+)"[^>]*>(.*?)</td>', row, re.DOTALL)
    }


def test_the_matrix_shows_the_worst_run_with_its_numbers(reports: Path) -> None:
    """Outcome, recovery, outage and first signal of the worst run on one version; a newer pass does not hide it."""
    cell = cells(index_html.render(read_runs(reports), {}))["test-drill", "story"]
    for part in (
        "VIOLATED not passed",
        "recovery 0 s",
        "outage 4.1 s; 40 calls lost",
        "first signal 1.5 s",
        "20260101T000000Z, first edition; 1 of 2 runs: 1 FAILED_OBSERVABLY, 1 VIOLATED",
    ):
        assert part in cell, part


@pytest.mark.parametrize(
    ("during", "outcome", "recovered"),
    [
        ("recovery", Outcome.HELD, True),
        ("recovery", Outcome.VIOLATED, False),
        ("recovery", Outcome.FAILED_OBSERVABLY, False),
        ("fault", Outcome.FAILED_OBSERVABLY, None),
        ("fault", Outcome.HELD, True),
    ],
)
def test_recovery_is_what_was_measured_after_the_undo(during: str, outcome: Outcome, *, recovered: bool | None) -> None:
    """Promised or not; an alert is no recovery, and a signal that never fired during the fault is none."""
    verdict = outage_bundle.verdict_of(outage_bundle.outage())
    asked = next(it for it in verdict.findings if it.quantifier == "eventually")
    changed = msgspec.structs.replace(asked, during=during, outcome=outcome, recovery_s=3.0)
    assert headline(msgspec.structs.replace(verdict, findings=(changed,)), None).has_recovered is recovered


def test_the_page_for_a_repository_has_the_same_numbers(reports: Path) -> None:
    """One cell side by side with the others: answer, recovery, longest outage, first signal; a broken one says so."""
    page = index_md.render(read_runs(reports))
    cell = "(test-drill/story/20260101T000000Z/report.md)<br>recovery 0.0 s<br>40 calls lost, outage 4.1 s<br>signal"
    doubt = "**not yet believed: no no-fault control**<br>"
    assert f"[VIOLATED, 1 of 2 runs]{cell} 1.5 s<br>{doubt}20260101T000000Z" in page
    assert "[UNREADABLE](other-drill/story/20260104T000000Z/report.md) 20260104T000000Z" in page


def test_runs_on_another_version_are_apart(reports: Path) -> None:
    """A failure of an older version is counted beside the cell, not in it."""
    older = reports / "test-drill" / "story" / "20260101T000000Z" / "run.json"
    older.write_text(older.read_text().replace('"versions": {', '"versions": {"charts": "0.9",'))
    found = cells(index_html.render(read_runs(reports), {}))["test-drill", "story"]
    assert "FAILED_OBSERVABLY passed" in found
    assert "1 more on other versions" in found


def test_a_control_a_gap_and_a_broken_verdict_are_told_apart(reports: Path) -> None:
    """A control says that it passed by being violated; what did not run says so; what cannot be read is no pass."""
    found = cells(index_html.render(read_runs(reports), {}))
    assert "VIOLATED control passed" in found["test-drill", "bare"]
    assert "not run" in found["other-drill", "bare"]
    assert "UNREADABLE the verdict cannot be read" in found["other-drill", "story"]


def test_a_drill_that_cannot_be_asked_says_why(reports: Path) -> None:
    """The reason stands in the cell, for meshes that have a column; a run is shown whatever the reason says."""
    reasons = {
        ("node-drill", "story"): "A mesh has no node agent",
        ("test-drill", "story"): "not any more",
        ("node-drill", "elsewhere"): "unseen",
    }
    page = index_html.render(read_runs(reports), reasons)
    found = cells(page)
    assert "cannot be asked: A mesh has no node agent" in found["node-drill", "story"]
    assert "FAILED_OBSERVABLY" in found["test-drill", "story"]
    assert "elsewhere" not in page


def test_every_link_leads_to_a_file(reports: Path) -> None:
    """A run without report.html is linked by its report.md, as older ones are."""
    for bundle in (reports / "test-drill/bare/20260103T000000Z", reports / "other-drill/story/20260104T000000Z"):
        (bundle / "report.md").write_text("text")
    links = re.findall(r'href="([^"#]+)"', index_html.render(read_runs(reports), {}))
    assert len(links) == 8
    assert all((reports / link).is_file() for link in links)
    assert sum(link.endswith(REPORT_HTML_FILE) for link in links) == 3


def test_controls_stand_last(reports: Path) -> None:
    """The meshes are in the order of their names, what only controls after them."""
    page = index_html.render(read_runs(reports), {})
    assert page.index('<th role="columnheader" data-mesh="story"') < page.index(
        '<th role="columnheader" data-mesh="bare"'
    )


def test_the_index_is_deterministic_and_written_with_the_other(reports: Path) -> None:
    """The same folder gives the same bytes, and both indexes are written at once."""
    evidence.write_index(reports, {})
    written = (reports / INDEX_HTML_FILE).read_text(encoding="utf-8")
    assert written == index_html.render(read_runs(reports), {})
    assert (reports / INDEX_MD_FILE).exists()


def test_no_run_no_table(tmp_path: Path) -> None:
    """An empty folder gives a page that says so."""
    page = index_html.render(read_runs(tmp_path), {("a", "b"): "why"})
    assert "No run yet" in page
    assert "<table" not in page


@pytest.mark.parametrize("name", ["a b", "[a](https:x)", "a\nb", "<i>", "a|b"])
def test_a_folder_that_no_run_makes_is_in_no_index(
    name: str, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name would become a link: the index is refused with a sentence of one line, and nothing is written."""
    shutil.copytree(next(reports.glob("*/*/2*")), reports / "drill" / name / "20260101T000000Z")
    assert cli.status(["report", str(reports)]) == exits.INCONCLUSIVE
    assert "expected folders named with letters" in capsys.readouterr().err
    assert not (reports / "README.md").exists()


def test_a_known_issue_in_the_index_is_a_link_only_over_http(tmp_path: Path) -> None:
    """Another address stays text, and words that a run recorded are escaped."""
    issue = KnownIssue("routes-keep-working", Reference("a", "javascript:alert(1)", "1", "issue"))
    story, place = outage_bundle.outage(), tmp_path / "drill" / "story" / "20260101T000000Z"
    verdict = outage_bundle.verdict_of(story)
    violated = msgspec.structs.replace(verdict.findings[0], outcome=Outcome.VIOLATED)
    others = (it for it in verdict.findings[1:] if it.outcome is Outcome.HELD)
    known = msgspec.structs.replace(verdict, outcome=Outcome.VIOLATED, passed=False, findings=(violated, *others))
    outage_bundle.bundle_of(story, place, known, (issue,))
    evidence.write_index(tmp_path)
    assert "known (javascript:alert(1))" in (tmp_path / "README.md").read_text(encoding="utf-8")
