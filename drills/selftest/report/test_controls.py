"""Controls on every page: what they show of a cell and of a drill, and that they never mix with its runs."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from clusters.model import Reference
from drills.cli import app as cli
from drills.cli import exits
from drills.judge.bundle_files import JUNIT_FILE, REPORT_HTML_FILE, REPORT_MD_FILE, STATEMENT_FILE
from drills.judge.events import ReplicaCount
from drills.judge.records import NOT_PROMISED
from drills.judge.verdict import Outcome
from drills.report import bundles, evidence, openmetrics
from drills.report.index import beliefs, index_html, index_md
from drills.report.index.beliefs import Belief, NoFault
from drills.report.index.cells import cell_of, read_runs, unprotected_of
from drills.report.trust import verification
from drills.selftest.doubles.decision_bundles import section, write
from drills.selftest.doubles.many_runs import CONTROL_CLAIMS, broken, bundle, no_fault, no_fault_of, quiet
from drills.selftest.doubles.story import Story

DRILL, MESH = "brain-outage", "mesh-a"
UNPROMISED = Reference("Nothing is encrypted", "https://example.org/docs", "1.0", NOT_PROMISED)


def disturbed() -> Story:
    """Return a no-fault control in which calls were lost."""
    story = quiet(back_after_s=18)
    story.without_fault = True
    return story


def page(reports: Path, **how: object) -> str:
    """Return the index as Markdown: the row of the drill."""
    text = index_md.render(read_runs(reports), **how)  # type: ignore[arg-type]
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {DRILL} |")]
    return row


def test_a_drill_without_controls_is_not_yet_believed(tmp_path: Path) -> None:
    """Its row says that no control has run, its cell that no no-fault control has."""
    bundle(tmp_path, quiet())
    assert page(tmp_path).startswith(f"| {DRILL} | no control | [HELD](")
    assert "**not yet believed: no no-fault control, no control**" in page(tmp_path)
    assert "not yet believed: no no-fault control, no control" in index_html.render(read_runs(tmp_path), {})


def test_a_drill_with_its_controls_is_believed(tmp_path: Path) -> None:
    """Row and cell link to the controls, and nothing is in doubt."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, quiet(is_control=True), mesh="bare")
    bundle(tmp_path, no_fault(), folder="20260102T000000Z")
    row = page(tmp_path)
    assert f"| [control passed]({DRILL}/bare/20260101T000000Z/report.md) |" in row
    assert f"<br>[no-fault control HELD]({DRILL}/{MESH}/20260102T000000Z/report.md)<br>" in row
    assert beliefs.NOT_YET not in row
    text = index_html.render(read_runs(tmp_path), {})
    matrix = text[text.index('<table class="matrix"') : text.index("</table>")]
    assert f'<a href="{DRILL}/{MESH}/20260102T000000Z/report.html">no-fault control HELD</a>' in matrix
    assert f'<a href="{DRILL}/bare/20260101T000000Z/report.html">control passed</a>' in matrix
    assert beliefs.NOT_YET not in matrix.lower()


def test_a_control_is_no_run_of_its_cell(tmp_path: Path) -> None:
    """A cell with a newer control counts its runs alone; with nothing but a control it was not run."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, disturbed(), folder="20260102T000000Z")
    bundle(tmp_path, no_fault(), mesh="mesh-b")
    runs = read_runs(tmp_path)
    cell = cell_of(runs, DRILL, MESH)
    assert [run.folder for run in cell.runs] == ["20260101T000000Z"]
    assert cell.words == "HELD"
    assert cell_of(runs, DRILL, "mesh-b").words == "not run"


def test_a_control_that_did_not_hold_is_named(tmp_path: Path) -> None:
    """The cell is not believed and says how the control ended; a newer one that held does not hide it."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, disturbed(), folder="20260102T000000Z")
    assert "not yet believed: no-fault control VIOLATED, no control" in page(tmp_path)
    bundle(tmp_path, no_fault(), folder="20260103T000000Z")
    row = page(tmp_path)
    assert "not yet believed: no-fault control VIOLATED, 1 of 2 runs, no control" in row
    assert f"[no-fault control VIOLATED, 1 of 2 runs]({DRILL}/{MESH}/20260102T000000Z/report.md)" in row


def test_a_control_of_another_version_proves_nothing(tmp_path: Path) -> None:
    """The runs of a cell need a control on their own version."""
    bundle(tmp_path, quiet(), version="2.0")
    bundle(tmp_path, no_fault(), folder="20260102T000000Z")
    assert "not yet believed: no no-fault control on this version" in page(tmp_path)


def test_a_control_that_failed_to_fail_is_named_for_the_whole_row(tmp_path: Path) -> None:
    """If the control without protection passes its security claims, no cell of the drill is believed."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, no_fault(), folder="20260102T000000Z")
    blind = quiet()
    blind.is_control = True
    bundle(tmp_path, blind, mesh="bare")
    row = page(tmp_path)
    assert "[control FAILED]" in row
    assert "**not yet believed: control FAILED**" in row


def test_a_control_that_cannot_know_is_not_called_a_failure(tmp_path: Path) -> None:
    """Its alert could not be read: it shows nothing, and takes nothing from another control that passed."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, no_fault(), folder="20260102T000000Z")
    unread = quiet(is_control=True)
    unread.events = [event for event in unread.events if not isinstance(event, ReplicaCount)]
    bundle(tmp_path, unread, mesh="bare")
    assert "[control INCONCLUSIVE]" in page(tmp_path)
    assert "**not yet believed: control INCONCLUSIVE**" in page(tmp_path)
    bundle(tmp_path, quiet(is_control=True), mesh="bare", folder="20260103T000000Z")
    assert "[control passed]" in page(tmp_path)
    assert beliefs.NOT_YET not in page(tmp_path)


def test_a_drill_that_no_control_can_be_asked_says_why(tmp_path: Path) -> None:
    """The reason stands in the row, and the no-fault control alone decides."""
    bundle(tmp_path, quiet())
    bundle(tmp_path, no_fault(), folder="20260102T000000Z")
    reasons = {(DRILL, "bare"): "it has no brain"}
    row = page(tmp_path, skipped=reasons, controls=["bare"])
    assert "| no control can be asked: it has no brain |" in row
    assert beliefs.NOT_YET not in row
    unknown = unprotected_of(read_runs(tmp_path), DRILL, [], reasons)
    assert unknown == Belief("no control", is_good=False)


@pytest.mark.parametrize(
    ("outcomes", "words", "is_good"),
    [
        ([Outcome.HELD], "no-fault control HELD", True),
        ([Outcome.HELD, Outcome.INCONCLUSIVE], "no-fault control HELD, 1 of 2 runs", True),
        ([Outcome.INCONCLUSIVE], "no-fault control INCONCLUSIVE", False),
        ([Outcome.HELD, Outcome.FAILED_OBSERVABLY], "no-fault control FAILED_OBSERVABLY, 1 of 2 runs", False),
        ([], "no no-fault control", False),
    ],
)
def test_which_outcome_of_several_controls_counts(outcomes: list[Outcome], words: str, *, is_good: bool) -> None:
    """A failure outweighs a pass; a control that cannot know outweighs nothing."""
    assert beliefs.of_no_fault([NoFault(it) for it in outcomes]) == Belief(words, is_good=is_good)


def test_what_the_mesh_never_promised_is_named_and_takes_no_belief(tmp_path: Path) -> None:
    """Plaintext on a mesh that promises none of its absence: the control passes, and every page names the claim."""
    readable = broken()
    readable.without_fault = True
    claims = {**CONTROL_CLAIMS, "no-plaintext": CONTROL_CLAIMS["no-plaintext"].promised_by(UNPROMISED)}
    bundle(tmp_path, quiet())
    bundle(tmp_path, quiet(is_control=True), mesh="bare")
    place = bundle(tmp_path, no_fault_of(readable), folder="20260102T000000Z", claims=claims)
    row = page(tmp_path)
    assert "[no-fault control HELD but for no-plaintext, which the mesh does not promise](" in row
    assert beliefs.NOT_YET not in row
    for name in (REPORT_MD_FILE, REPORT_HTML_FILE):
        assert "does not promise: no-plaintext. Without a fault, too, they are false" in (place / name).read_text(
            encoding="utf-8"
        )
    suite = ET.parse(place / JUNIT_FILE).getroot()[0]  # noqa: S314 - we wrote it
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "1")
    assert verification.verify(place).is_intact
    assert bundles.read(place).standing.outcome is Outcome.HELD


def test_a_record_cites_controls_in_their_columns_alone(tmp_path: Path) -> None:
    """The table of alternatives has a column for each kind of control, and marks what cannot be believed yet."""
    reports, out = tmp_path / "reports", tmp_path / "0001.md"
    bundle(reports, quiet())
    bundle(reports, quiet(is_control=True), mesh="bare")
    bundle(reports, broken(), mesh="mesh-b")
    control = bundle(reports, no_fault(), folder="20260102T000000Z")
    text = write(reports, out, "--title", "Which mesh")
    table = [line for line in section(text, "## Alternatives Considered").splitlines() if line.startswith("|")]
    head, row = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in (table[0], table[2]))
    cells = dict(zip(head, row, strict=True))
    own = bundles.read(control).short_hash
    assert cells["The mesh-a"].startswith("**HELD**, 1 run [")
    assert own not in cells["The mesh-a"]
    assert beliefs.NOT_YET not in cells["The mesh-a"]
    assert cells["The mesh-b"].endswith("; **not yet believed**")
    assert cells["no-fault controls"].startswith(
        f"The mesh-a: no-fault control HELD [{own}]<br>The mesh-b: no no-fault"
    )
    assert "Of 2 pairs of drill and mesh 1 are **not yet believed**" in text
    rest = text.replace("\n".join(table), "").split("The bundles. `sha256sum`")[0]
    assert own not in rest


def test_a_comparison_leaves_controls_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A control that failed is no run that became worse; a folder of controls holds nothing to compare."""
    old, new = tmp_path / "old", tmp_path / "new"
    bundle(old, quiet())
    bundle(new, quiet(), folder="20260102T000000Z")
    bundle(new, disturbed(), folder="20260103T000000Z")
    assert cli.status(["diff", str(old), str(new)]) == exits.PASSED
    assert "1 new runs against 1" in capsys.readouterr().out
    bundle(tmp_path / "controls", no_fault())
    assert cli.status(["diff", str(old), str(tmp_path / "controls")]) == exits.INCONCLUSIVE


def test_metrics_have_a_family_of_their_own(tmp_path: Path) -> None:
    """A newer control changes no number of the runs."""
    bundle(tmp_path, quiet())
    before = openmetrics.render(bundles.read_all([tmp_path]))
    bundle(tmp_path, disturbed(), folder="20260102T000000Z")
    after = openmetrics.render(bundles.read_all([tmp_path]))
    added = f'meshdrill_no_fault_control_held{{drill="{DRILL}",mesh="{MESH}"}} 0.0\n'
    assert after.replace(added, "") == before
    assert added in after


def test_the_pages_of_a_control_say_what_it_is(tmp_path: Path) -> None:
    """Report, JUnit and statement: a control that lost a call is a failure, and says what it failed as."""
    good, bad = bundle(tmp_path, no_fault()), bundle(tmp_path, disturbed(), folder="20260102T000000Z")
    for place, said in ((good, "Each one does."), (bad, "At least one does not")):
        for name in (REPORT_MD_FILE, REPORT_HTML_FILE):
            text = (place / name).read_text(encoding="utf-8")
            assert "no-fault control" in text
            assert said in text
        assert verification.verify(place).is_intact
        assert (place / STATEMENT_FILE).is_file()
    suite = ET.parse(bad / JUNIT_FILE).getroot()[0]  # noqa: S314 - we wrote it
    assert int(suite.attrib["failures"]) > 0
    assert 'name="control" value="a no-fault control' in (good / JUNIT_FILE).read_text(encoding="utf-8")


def test_the_index_of_the_folder_knows_the_catalogue(tmp_path: Path) -> None:
    """`meshdrill report` on a folder writes the reason why a drill of ours has no control."""
    bundle(tmp_path, quiet(), drill="injection-label-removed", mesh="linkerd")
    assert cli.status(["report", str(tmp_path)]) == exits.PASSED
    assert "| no control can be asked: " in (tmp_path / "README.md").read_text(encoding="utf-8")
    evidence.write_index(tmp_path)
    assert re.search(r"\| injection-label-removed \| no control \|", (tmp_path / "README.md").read_text("utf-8"))
