"""What a mesh's own documents do not promise is measured and shown, and neither passes nor fails."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from clusters.model import Reference
from drills.judge import checks
from drills.judge.claims import Claim, always, never, reached
from drills.judge.events import UndoVerified
from drills.judge.history import write_history
from drills.judge.measure import Invariant, Measurement, Occurrence, Truth
from drills.judge.verdict import Answer, Verdict
from drills.report import evidence, index_md
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
    ("truth", "measured", "reason"),
    [
        (Truth.TRUE, Answer.HELD, "not promised by the mesh; measured: HELD, as recorded"),
        (Truth.FALSE, Answer.VIOLATED, "not promised by the mesh; measured: VIOLATED, as recorded"),
        (Truth.UNKNOWN, Answer.INCONCLUSIVE, "not promised by the mesh; measured: INCONCLUSIVE, as recorded"),
    ],
)
def test_what_is_not_promised_is_measured_and_stands_apart(truth: Truth, measured: Answer, reason: str) -> None:
    """Whatever was measured, the answer is that the mesh does not promise it; what was measured stands beside it."""
    finding = answer(readable(), always(invariant(truth), must_hold=True, promise=NOT_PROMISED))
    assert (finding.verdict, finding.measured, finding.reason) == (Answer.NOT_PROMISED, measured, reason)


def test_what_is_not_promised_stands_apart_in_a_poor_record_too() -> None:
    """Neither a missing window nor a check that measures without words makes it count."""
    cut = answer(readable().without(UndoVerified), never(SILENT, promise=NOT_PROMISED))
    assert (cut.verdict, cut.measured) == (Answer.NOT_PROMISED, Answer.INCONCLUSIVE)
    finding = answer(readable(), never(SILENT, promise=NOT_PROMISED))
    assert finding.reason == "not promised by the mesh; measured: HELD"


def test_what_was_reached_needs_no_promise() -> None:
    """That the situation occurred is the drill's own proof: a source cannot set it apart."""
    finding = answer(readable(), reached(SILENT, promise=NOT_PROMISED))
    assert (finding.verdict, finding.measured) == (Answer.INCONCLUSIVE, msgspec.UNSET)


def test_what_is_promised_leaves_no_trace_of_the_difference() -> None:
    """A verdict without such claims has the bytes that it had before there were any."""
    recorded = judge(readable().history(), [always(invariant(Truth.TRUE), promise=PROMISED)]).encode()
    apart = judge(readable().history(), [always(invariant(Truth.TRUE), promise=NOT_PROMISED)]).encode()
    assert (b"measured" in recorded, b'"measured": "HELD"' in apart) == (False, True)


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


def test_no_page_shows_as_held_what_is_not_promised(tmp_path: Path) -> None:
    """Report and index each tell that one claim is not promised, and the report what was measured of it."""
    bundle, verdict = written(tmp_path, FLOWS, SECRET)
    assert (verdict.verdict, verdict.passed) == (Answer.HELD, True)
    text = (bundle / "report.md").read_text(encoding="utf-8")
    assert "1 of 2 claims is not promised by this mesh" in text
    recorded = (
        "not promised by the mesh; measured: VIOLATED, checkout->payment : 1 records of calls readable on the wire"
    )
    assert f"| NOT_PROMISED | claim-2 | never during fault: a call is readable on the wire | yes | {recorded} |" in text
    assert "[HELD, 1 claims not promised]" in index_md.render(tmp_path)


def test_junit_skips_what_is_not_promised(tmp_path: Path) -> None:
    """A CI server shows such a claim as skipped, with what was measured."""
    suite = suite_of(written(tmp_path, FLOWS, SECRET)[0])
    assert counts(suite) == {"tests": "2", "failures": "0", "errors": "0", "skipped": "1"}
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert (skipped.get("message") or "").startswith("not promised by the mesh; measured: VIOLATED")
    properties = {it.get("name"): it.get("value") for it in suite[2].iter("property")}
    assert (properties["verdict"], properties["measured"]) == ("NOT_PROMISED", "VIOLATED")


def test_a_run_that_asked_nothing_promised_is_not_green(tmp_path: Path) -> None:
    """It is inconclusive, and a CI server shows an error although no claim failed."""
    bundle, verdict = written(tmp_path, CALLED, SECRET)
    assert (verdict.verdict, verdict.passed) == (Answer.INCONCLUSIVE, False)
    suite = suite_of(bundle)
    assert counts(suite) == {"tests": "3", "failures": "0", "errors": "1", "skipped": "1"}
    assert suite.find("testcase[@name='the run as a whole']/error") is not None


def test_explain_tells_apart_what_is_not_promised() -> None:
    """What the mesh does not promise is counted, shown with what was measured, and never said to be promised."""
    lines = judge(readable().history(), [SECRET, FLOWS]).explain().splitlines()
    assert lines[1] == "  1 of 2 claims are not promised by this mesh: they neither pass nor fail"
    assert lines[2].startswith("  NOT_PROMISED  never during fault: a call is readable on the wire")
    assert lines[3].startswith("    not promised by the mesh; measured: VIOLATED, checkout->payment")
    assert "    not promised: Nothing is encrypted unasked (1.30) https://example.org/silence" in lines
