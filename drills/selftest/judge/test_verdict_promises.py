"""Outcome and promise are apart: the outcome is measured the same way everywhere, the promise decides the exit code."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from clusters.model import Reference
from drills.cli import exits
from drills.judge import checks
from drills.judge.claims import Claim, always, never, reached
from drills.judge.events import UndoVerified
from drills.judge.history import write_history
from drills.judge.measure import Invariant, Measurement, Occurrence, Truth
from drills.judge.verdict import Outcome, Standing, Verdict
from drills.report import evidence
from drills.report.index import index_md
from drills.report.index.cells import read_runs
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.statements import ENVIRONMENT
from drills.selftest.doubles.story import Story, answer

EDGE = ("checkout", "payment")
PROMISED = Reference("Traffic", "https://example.org/traffic", "1.30", "documented")
NOT_PROMISED = Reference("Nothing is encrypted unasked", "https://example.org/silence", "1.30", "not-promised")
FLOWS = always(checks.success_rate(EDGE, at_least=0.5), promise=PROMISED)
SECRET = never(checks.plaintext(EDGE), must_hold=True, promise=NOT_PROMISED)
CALLED = reached(checks.attempted(EDGE))


SILENT = Occurrence("silent", "it happens", lambda _history, _window: Measurement(Truth.FALSE))


def invariant(truth: Truth) -> Invariant:
    """Return an invariant that measures the same everywhere."""
    return Invariant("recorded", "it is as recorded", lambda _history, _window: Measurement(truth, "as recorded"))


def readable() -> Story:
    """Tell of good traffic, one call of which is readable on the wire."""
    return Story().watched().steady(EDGE).fault().hit(*EDGE)


@pytest.mark.parametrize(
    ("truth", "outcome"),
    [(Truth.TRUE, Outcome.HELD), (Truth.FALSE, Outcome.VIOLATED), (Truth.UNKNOWN, Outcome.INCONCLUSIVE)],
)
def test_an_outcome_is_the_same_whatever_the_mesh_promises(truth: Truth, outcome: Outcome) -> None:
    """The promise stands beside it, and decides only whether the run fails by it."""
    promised, apart, required = (
        answer(readable(), always(invariant(truth), must_hold=True, promise=promise))
        for promise in (PROMISED, NOT_PROMISED, None)
    )
    assert {(it.outcome, it.reason) for it in (promised, apart, required)} == {(outcome, "as recorded")}
    assert (promised.is_promised, apart.is_promised, required.is_promised) == (True, False, True)


def test_a_missing_window_is_inconclusive_without_a_promise_too() -> None:
    """A poor record decides nothing, promised or not."""
    cut = answer(readable().without(UndoVerified), never(SILENT, promise=NOT_PROMISED))
    assert (cut.outcome, cut.is_promised) == (Outcome.INCONCLUSIVE, False)


def test_a_condition_of_the_drill_needs_no_promise() -> None:
    """That the situation occurred is the drill's own proof: no document sets it apart."""
    finding = answer(readable(), reached(SILENT, promise=NOT_PROMISED))
    assert (finding.outcome, finding.is_promised) == (Outcome.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("outcome", "promised", "apart"),
    [
        (Outcome.HELD, "HELD", "HELD"),
        (Outcome.FAILED_OBSERVABLY, "FAILED_OBSERVABLY", "FAILED_OBSERVABLY, no promise"),
        (Outcome.INCONCLUSIVE, "INCONCLUSIVE", "INCONCLUSIVE, no promise"),
        (Outcome.VIOLATED, "VIOLATED", "VIOLATED, no promise"),
    ],
)
def test_the_outcome_stands_first_and_the_promise_beside_it(outcome: Outcome, promised: str, apart: str) -> None:
    """Only a bad outcome without a promise needs a word; of equal outcomes the broken promise is the worse one."""
    kept, without = Standing(outcome), Standing(outcome, is_promised=False)
    assert (str(kept), str(without)) == (promised, apart)
    assert kept.rank > without.rank


def written(reports: Path, *claims: Claim) -> tuple[Path, Verdict]:
    """Write the bundle of a run with one readable call, judged by these claims."""
    story = readable()
    bundle = reports / "made-up" / "none" / "20260101T000000Z"
    write_history(bundle, story.table(), story.all_events(), story.facts())
    verdict = judge(story.history(), claims)
    (bundle / "verdict.json").write_bytes(verdict.encode())
    evidence.write(bundle, verdict, ENVIRONMENT)
    return bundle, verdict


def suite_of(bundle: Path) -> ET.Element:
    """Return the suite of a bundle's junit.xml."""
    return ET.parse(bundle / "junit.xml").getroot()[0]  # noqa: S314 - written by us just now


def counts(suite: ET.Element) -> dict[str, str | None]:
    """Return how many cases a suite has of each kind."""
    return {kind: suite.get(kind) for kind in ("tests", "failures", "errors", "skipped")}


def test_every_page_shows_what_broke_without_a_promise(tmp_path: Path) -> None:
    """Report and index head the run with its worst outcome, and say that no promise stands behind it."""
    bundle, verdict = written(tmp_path, FLOWS, SECRET)
    assert (verdict.outcome, verdict.promised, verdict.passed) == (Outcome.VIOLATED, Outcome.HELD, True)
    text = (bundle / "report.md").read_text(encoding="utf-8")
    assert "test-drill on none: VIOLATED, no promise" in text
    assert "1 claim that this mesh does not promise is broken" in text
    recorded = "checkout->payment : 1 records of calls readable on the wire"
    claim = "claim-2 | never during fault: a call is readable on the wire"
    assert f"| VIOLATED | none | {claim} | yes | {recorded} |" in text
    assert "[VIOLATED, no promise]" in index_md.render(read_runs(tmp_path))
    assert "VIOLATED<" in (bundle / "report.html").read_text(encoding="utf-8").replace("<wbr>", "")


def test_junit_skips_what_broke_without_a_promise(tmp_path: Path) -> None:
    """A CI server shows such a claim as skipped, with its outcome; one that held passes."""
    suite = suite_of(written(tmp_path, FLOWS, SECRET, always(invariant(Truth.TRUE), promise=NOT_PROMISED))[0])
    assert counts(suite) == {"tests": "3", "failures": "0", "errors": "0", "skipped": "1"}
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert (skipped.get("message") or "").startswith("VIOLATED, no promise: checkout->payment")
    properties = {it.get("name"): it.get("value") for it in suite[2].iter("property")}
    assert (properties["outcome"], properties["promise"]) == ("VIOLATED", "none")


def test_a_run_of_which_nothing_is_promised_is_not_green(tmp_path: Path) -> None:
    """It has an outcome and cannot pass, and a CI server shows an error although no claim failed."""
    bundle, verdict = written(tmp_path, CALLED, SECRET)
    assert (verdict.outcome, verdict.promised, verdict.passed) == (Outcome.VIOLATED, None, False)
    assert exits.of(verdict) == exits.INCONCLUSIVE
    assert "this mesh promises none of these claims" in verdict.explain()
    suite = suite_of(bundle)
    assert counts(suite) == {"tests": "3", "failures": "0", "errors": "1", "skipped": "1"}
    assert suite.find("testcase[@name='the run as a whole']/error") is not None


def test_explain_shows_what_broke_without_a_promise() -> None:
    """It is counted, comes with its outcome, and is never said to be promised."""
    lines = judge(readable().history(), [SECRET, FLOWS]).explain().splitlines()
    assert lines[0].startswith("VIOLATED, no promise: ")
    assert lines[1] == "  broken, without a promise of this mesh, so that the run does not fail by it: 1"
    assert lines[2].startswith("  VIOLATED, no promise  never during fault: a call is readable on the wire")
    assert lines[3].startswith("    checkout->payment")
    assert "    not promised: Nothing is encrypted unasked (1.30) https://example.org/silence" in lines
