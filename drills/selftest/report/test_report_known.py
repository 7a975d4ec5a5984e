"""A known failure in the pages: the answer stays, and the issue stands beside it."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from clusters.model import KnownIssue
from drills.cli import app as cli
from drills.cli import exits
from drills.cli import nightly as cli_nightly
from drills.cli.night import Attempt, Turn
from drills.judge.bundle_files import (
    JUNIT_FILE,
    REPORT_HTML_FILE,
    REPORT_MD_FILE,
    STATEMENT_FILE,
)
from drills.judge.claims import stored
from drills.judge.history import History, write_history
from drills.judge.verdict import Outcome
from drills.report import evidence
from drills.selftest.doubles import outage_bundle
from drills.selftest.judge.test_verdict_known import BREAKS, HOLDS, ISSUE, by_id, entry, id_of, story, verdict_of

FOLDER = "test-drill/story/20260101T000000Z"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return a folder of runs with one that is violated as known."""
    return with_run(tmp_path, entry(BREAKS))


def with_run(reports: Path, *listed: KnownIssue) -> Path:
    """Write a run that breaks BREAKS, and knew of what is listed."""
    bundle, verdict = reports / FOLDER, verdict_of(HOLDS, BREAKS)
    facts = msgspec.structs.replace(story().facts(), known_issues=listed, claims=stored(by_id(HOLDS, BREAKS)))
    write_history(bundle, story().table(), story().all_events(), facts)
    (bundle / "verdict.json").write_bytes(verdict.encode())
    evidence.write(bundle, verdict, outage_bundle.ENVIRONMENT)
    evidence.write_index(reports)
    return reports


@pytest.mark.parametrize(
    "page", [f"{FOLDER}/{REPORT_MD_FILE}", f"{FOLDER}/{REPORT_HTML_FILE}", "README.md", "index.html"]
)
def test_every_page_shows_the_issue_beside_the_answer(reports: Path, page: str) -> None:
    """VIOLATED is what a reader sees, with the link to who knows of it; without an entry there is no link."""
    text = (reports / page).read_text()
    assert Outcome.VIOLATED in text
    assert ISSUE.url in text
    assert ISSUE.url not in (with_run(reports) / page).read_text()


@pytest.mark.parametrize("page", ["README.md", "index.html"])
def test_an_index_calls_only_the_expected_run_known(reports: Path, page: str) -> None:
    """A run that shows less than what is listed comes as a surprise, in the matrix too."""
    assert ISSUE.url not in (with_run(reports, entry(BREAKS), entry(HOLDS)) / page).read_text()


def test_junit_skips_what_is_known(reports: Path) -> None:
    """A CI server sees an expected failure, and the link."""
    suite = ET.parse(reports / FOLDER / JUNIT_FILE).getroot()[0]  # noqa: S314 - we wrote it
    assert {name: suite.get(name) for name in ("failures", "errors", "skipped")} == {
        "failures": "0",
        "errors": "0",
        "skipped": "1",
    }
    assert ISSUE.url in ET.tostring(suite, "unicode")
    surprised = ET.parse(with_run(reports) / FOLDER / JUNIT_FILE).getroot()[0]  # noqa: S314 - as above
    assert surprised.get("failures") == "1"


def test_what_is_known_is_on_record(reports: Path) -> None:
    """The run's own facts carry it: drawn again, whatever the mesh's file says by then, the pages are the same."""
    bundle = reports / FOLDER
    assert History.load(bundle).facts.known_issues == (entry(BREAKS),)
    assert (
        evidence.drawn(bundle, verdict_of(HOLDS, BREAKS), outage_bundle.ENVIRONMENT)[REPORT_MD_FILE]
        == (bundle / REPORT_MD_FILE).read_bytes()
    )
    assert STATEMENT_FILE in {file.name for file in bundle.iterdir()}


def test_unreadable_facts_know_nothing(reports: Path) -> None:
    """An index is drawn over whatever lies there."""
    (reports / FOLDER / "run.json").write_text("{")
    evidence.write_index(reports)
    assert ISSUE.url not in (reports / "README.md").read_text()


def test_the_summary_of_a_night_tells_a_known_failure_from_a_pass(reports: Path) -> None:
    """The run ended with 0, and what it found is named with the link; the same answer unlisted has none."""
    turn = Turn("test-drill", "story", attempts=(Attempt(exits.PASSED, 1.0, (reports / FOLDER,)),))
    assert f"VIOLATED, [known]({ISSUE.url}), 20260101T000000Z" in "".join(cli_nightly.row(turn))
    with_run(reports)
    assert ISSUE.url not in "".join(cli_nightly.row(turn))


def test_metrics_tell_a_known_failure_from_a_new_one(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever alerts on a run that did not pass can leave out what is known, and finds the issue as a label."""

    def values() -> dict[str, dict[tuple[str, str], float]]:
        assert cli.status(["metrics", str(reports)]) == exits.PASSED
        found = {it.name: it.samples for it in text_string_to_metric_families(capsys.readouterr().out)}
        return {
            name: {(it.labels.get("claim", ""), it.labels.get("issue", "")): it.value for it in found[name]}
            for name in ("meshdrill_run_known", "meshdrill_known_failure")
        }

    assert values() == {
        "meshdrill_run_known": {("", ""): 1},
        "meshdrill_known_failure": {(id_of(BREAKS), ISSUE.url): 1},
    }
    with_run(reports)
    assert values() == {"meshdrill_run_known": {("", ""): 0}, "meshdrill_known_failure": {}}


def test_a_comparison_links_what_is_known(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The claim that is violated as before stands there with its issue; an unlisted one has none."""
    assert cli.status(["diff", str(reports), str(reports)]) == exits.PASSED
    row = f"| test-drill | story | {id_of(BREAKS)} | [{ISSUE.title}]({ISSUE.url}) |"
    assert row in capsys.readouterr().out
    with_run(reports)
    assert cli.status(["diff", str(reports), str(reports)]) == exits.PASSED
    assert ISSUE.url not in capsys.readouterr().out


def test_a_decision_record_links_what_is_known(reports: Path, tmp_path: Path) -> None:
    """Among the alternatives the answer stays VIOLATED, with the link; an unlisted violation has none."""
    record = tmp_path / "record.md"
    line = ["adr", "--out", str(record), "--title", "Which mesh", str(reports)]
    assert cli.status(line) == exits.PASSED
    (row,) = [line for line in record.read_text().splitlines() if f"[known]({ISSUE.url})" in line]
    assert "**VIOLATED**, 1 run [" in row
    with_run(reports)
    assert cli.status(line) == exits.PASSED
    assert ISSUE.url not in record.read_text()
