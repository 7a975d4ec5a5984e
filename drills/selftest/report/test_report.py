"""What is made of a run for people: run.json, report.md, junit.xml, the index."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import polars as pl
import pytest

from clusters.model import Reference
from drills.judge import checks
from drills.judge.claims import always, reached
from drills.judge.events import FaultInjected, FaultReceipt, Phase, UndoApplied, UndoVerified
from drills.judge.history import CALLS_SCHEMA, History, RunFacts, write_history
from drills.judge.verdict import Outcome, Verdict, judge_passed
from drills.report import evidence, junit, traffic
from drills.report.index import index_md
from drills.report.index.cells import read_runs
from drills.report.provenance import ImageRecord
from drills.report.run_file import Environment, OverrideRecord, PointRecord
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import event_of

SECOND = 1_000_000_000
MS = 1_000_000
T0 = 1_700_000_000 * SECOND
INJECTED, UNDONE, END = T0 + 10 * SECOND, T0 + 20 * SECOND, T0 + 30 * SECOND
PROMISE = Reference("A promise | with a pipe", "https://example.org/promise", "1.0", "documented")
ENVIRONMENT = Environment(
    meshdrill_version="0.1.0",
    command="meshdrill run made-up --mesh none",
    hypothesis="It is made up.\n\nAnd has two lines.",
    mesh_title="a mesh | of ours",
    versions={"kind": "0.33.0"},
    images=(ImageRecord("lab", "example.org/lab:1", "engine", "sha256:1", None, "registry example.org/lab:1"),),
    host={"kernel": "6.1", "cpus": 2, "engine_runtime": None, "kernel_features": {"BTF": True}},
    overrides=(OverrideRecord("replicas", "1", "two cores"),),
    points=(PointRecord("A rule", "a certificate", "in the pod", "the called pod's proxy"),),
)


def call(seq: int, connection: str) -> dict[str, object]:
    """Return one call, due every 100 ms; those of the fault's first 500 ms on new connections fail."""
    at_ns = T0 + seq * 100 * MS
    failed = connection == "new" and INJECTED <= at_ns < INJECTED + 500 * MS
    return {
        "id": f"mdc.a.b.x.{connection[0]}{seq}",
        "seq": seq,
        "pod": "a-x",
        "node": "n1",
        "source": "a",
        "target": "b",
        "connection": connection,
        "scheduled_ns": at_ns,
        "started_ns": at_ns + 2 * MS,
        "ended_ns": at_ns + 5 * MS,
        "outcome": "fail" if failed else "ok",
        "status": 0 if failed else 200,
        "error": "connect-refused" if failed else "",
        "reused": connection == "reused" and seq > 0,
        "server_pod": None if failed else "b-x",
        "server_version": None if failed else "v1",
        "served_ns": None if failed else at_ns + 3 * MS,
        "served_pod": None if failed else "b-x",
        "served_version": None if failed else "v1",
        "served_status": None if failed else 200,
        "peer": None if failed else "",
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a stored run of thirty seconds in which one edge has a gap of half a second."""
    place = tmp_path / "reports" / "made-up" / "none" / "20260101T000000Z"
    rows = [call(seq, connection) for connection in ("new", "reused") for seq in range(300)]
    events = (
        Phase(T0, "baseline"),
        event_of(FaultInjected, INJECTED, "stop control-plane"),
        event_of(FaultReceipt, INJECTED + 1, "stop control-plane", landed=True),
        event_of(FaultReceipt, INJECTED + 2, "stop control-plane", landed=True),
        event_of(UndoApplied, UNDONE - 1, "stop control-plane"),
        UndoVerified(UNDONE, "stop control-plane"),
        Phase(END, "end"),
    )
    write_history(place, pl.DataFrame(rows, schema=CALLS_SCHEMA), events, RunFacts("made-up", "none", "0" * 12))
    return place


@pytest.fixture
def verdict(bundle: Path) -> Verdict:
    """Return the verdict on that run, and leave it in the bundle as the runner does."""
    found = judge(
        History.load(bundle),
        [
            always(checks.success_rate(("a", "b"), at_least=0.999), promise=PROMISE),
            reached(checks.attempted(("a", "b"))),
        ],
    )
    (bundle / "verdict.json").write_bytes(found.encode())
    return found


def test_the_table_counts_each_edge_window_and_connection_apart(bundle: Path) -> None:
    """Failures on new connections in the fault window are no failures of reused ones, nor of another window."""
    failed = {(row.window, row.connection): row.fail for row in traffic.edges(History.load(bundle))}
    assert failed == {
        ("baseline", "new"): 0,
        ("baseline", "reused"): 0,
        ("fault", "new"): 5,
        ("fault", "reused"): 0,
        ("recovery", "new"): 0,
        ("recovery", "reused"): 0,
    }


def test_a_transition_shows_first_failure_and_silence(bundle: Path) -> None:
    """Around the injection: who failed before and after, when first, and how long nothing succeeded."""
    new, reused = traffic.transitions(History.load(bundle), [("injected", INJECTED)])
    assert (new.failed_before, new.calls_before, new.failed_after, new.calls_after) == (0, 50, 5, 50)
    assert (new.first_failure_ms, new.longest_silence_ms) == (0.0, 600.0)
    assert (reused.failed_after, reused.first_failure_ms, reused.longest_silence_ms) == (0, None, 100.0)


def test_the_resolution_of_a_run_is_measured(bundle: Path) -> None:
    """Calls, rate and schedule lag are those of the record."""
    found = traffic.measured(History.load(bundle))
    assert found.calls == 600
    assert found.calls_per_s == pytest.approx(20, rel=0.01)
    assert (found.lag_p50_ms, found.lag_p99_ms) == (2.0, 2.0)
    assert [(window.name, window.duration_s) for window in found.windows if window.name != "run"] == [
        ("baseline", 10.0),
        ("fault", 10.0),
        ("recovery", 10.0),
    ]


def test_an_empty_run_has_no_numbers_and_no_error(bundle: Path) -> None:
    """A history without calls is reported as such: nothing was measured, nothing divides by zero."""
    history = History.load(bundle)
    empty = History(history.calls.head(0), history.events, history.facts)
    assert traffic.measured(empty).calls == 0
    assert traffic.measured(empty).lag_p99_ms is None
    assert traffic.edges(empty) == ()


def test_completing_the_run_file_leaves_the_verdict_as_it_was(bundle: Path, verdict: Verdict) -> None:
    """Versions, images and measurements are added to run.json; judging the bundle again gives the same bytes."""
    evidence.write(bundle, verdict, ENVIRONMENT)
    claims = [
        always(checks.success_rate(("a", "b"), at_least=0.999), promise=PROMISE),
        reached(checks.attempted(("a", "b"))),
    ]
    assert judge(History.load(bundle), claims).encode() == verdict.encode()
    record = json.loads((bundle / "run.json").read_bytes())
    assert record["surroundings"]["images"][0]["origin"] == "registry example.org/lab:1"
    assert record["measured"]["calls"] == 600
    assert {"facts", "seal"} <= set(record)


def test_writing_twice_writes_the_same(bundle: Path, verdict: Verdict) -> None:
    """Evidence depends on nothing but the bundle and what the run stood on."""
    evidence.write(bundle, verdict, ENVIRONMENT)
    first = {file.name: file.read_bytes() for file in bundle.iterdir()}
    evidence.write(bundle, verdict, ENVIRONMENT)
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == first


def test_the_report_tells_the_whole_story(bundle: Path, verdict: Verdict) -> None:
    """report.md has hypothesis, verdict, each claim with source, numbers, transitions, images, deviations, command."""
    evidence.write(bundle, verdict, ENVIRONMENT)
    text = (bundle / "report.md").read_text(encoding="utf-8")
    for part in (
        "> It is made up.",
        f"**{verdict.standing}**",
        verdict.findings[0].claim,
        "https://example.org/promise",
        "| a -> b | new | 0 of 50 | 5 of 50 | 0 ms | 600 ms |",
        "would go unnoticed",
        "registry example.org/lab:1",
        "| replicas | 1 | two cores |",
        "| A rule | a certificate | in the pod | the called pod's proxy |",
        "meshdrill run made-up --mesh none",
        "receipt of stop control-plane: landed",
    ):
        assert part in text


def test_a_pipe_does_not_break_a_table(bundle: Path, verdict: Verdict) -> None:
    """A text with a pipe stays in its cell: every row of a table has as many cells as its head."""
    shouted = msgspec.structs.replace(verdict.findings[0], reason="a | b\nand more")
    evidence.write(bundle, msgspec.structs.replace(verdict, findings=(shouted,)), ENVIRONMENT)
    lines = (bundle / "report.md").read_text(encoding="utf-8").splitlines()
    assert any("a \\| b and more" in line for line in lines)
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.replace("\\|", "").count("|") == line.replace("\\|", "").count("|"), line


def with_answer(verdict: Verdict, answer: Outcome, *, is_control: bool = False, fails: bool = False) -> Verdict:
    """Return the verdict with one finding of that answer."""
    finding = msgspec.structs.replace(
        verdict.findings[0], outcome=answer, fails_on_control=fails, signal="recorded", time_to_signal_s=1.5, rows=()
    )
    passed = judge_passed((finding,), (), is_control=is_control)
    changes = {"findings": (finding,), "outcome": answer, "is_control": is_control, "passed": passed}
    return msgspec.structs.replace(verdict, **changes)


@pytest.mark.parametrize(
    ("answer", "is_control", "fails", "recorded"),
    [
        (Outcome.HELD, False, False, None),
        (Outcome.FAILED_OBSERVABLY, False, False, None),
        (Outcome.VIOLATED, False, False, "failure"),
        (Outcome.INCONCLUSIVE, False, False, "error"),
        (Outcome.VIOLATED, True, True, None),
        (Outcome.HELD, True, True, "failure"),
        (Outcome.VIOLATED, True, False, "failure"),
        (Outcome.INCONCLUSIVE, True, True, "error"),
    ],
)
def test_junit_says_what_a_ci_server_must_know(
    bundle: Path, verdict: Verdict, answer: Outcome, is_control: bool, fails: bool, recorded: str | None
) -> None:
    """VIOLATED is a failure, INCONCLUSIVE an error, FAILED_OBSERVABLY passes and names its signal."""
    document = junit.render(History.load(bundle), with_answer(verdict, answer, is_control=is_control, fails=fails))
    suite = ET.fromstring(document)[0]  # noqa: S314 - written three lines above
    case = suite.find("testcase")
    assert case is not None
    assert [child.tag for child in case if child.tag != "properties"] == ([recorded] if recorded else [])
    properties = {it.get("name"): it.get("value") for it in case.iter("property")}
    assert properties["outcome"] == answer.value
    assert (properties["signal"], properties["time_to_signal_s"]) == ("recorded", "1.5")
    counts = (suite.get("failures"), suite.get("errors"))
    assert counts == (str(int(recorded == "failure")), str(int(recorded == "error")))


def test_junit_survives_what_xml_cannot_carry(bundle: Path, verdict: Verdict) -> None:
    """A control character in a message does not make the document unreadable."""
    odd = msgspec.structs.replace(verdict.findings[0], outcome=Outcome.VIOLATED, reason="bell \x07 & <tag>")
    document = junit.render(History.load(bundle), msgspec.structs.replace(verdict, findings=(odd,)))
    failure = ET.fromstring(document).find(".//failure")  # noqa: S314 - written one line above
    assert failure is not None
    assert failure.get("message") == "bell \\x07 & <tag>"


def test_the_index_shows_the_worst_run_of_each_pair(bundle: Path, verdict: Verdict) -> None:
    """Of equally bad runs of one version the later one is linked; gaps and broken verdicts are not hidden."""
    reports = bundle.parents[2]
    older, other = bundle.with_name("20250101T000000Z"), reports / "another" / "mesh-b" / "20260202T000000Z"
    for folder in (older, other):
        folder.mkdir(parents=True)
    (older / "verdict.json").write_bytes(verdict.encode())
    evidence.write(bundle, verdict, ENVIRONMENT)
    shutil.copy(bundle / "run.json", older)
    (other / "verdict.json").write_text("{")
    evidence.write_index(reports)
    text = (reports / "README.md").read_text(encoding="utf-8")
    cell = f"[{verdict.standing}, 2 of 2 runs](made-up/none/{bundle.name}/report.md)<br>"
    assert f"| made-up | no control | not run | {cell}" in text
    assert f"<br>{bundle.name}, first edition |" in text
    assert "[UNREADABLE](another/mesh-b/20260202T000000Z/report.md)" in text
    assert older.name not in text


def test_the_index_tells_a_control_from_a_failure(bundle: Path, verdict: Verdict) -> None:
    """A control that was violated as it should be is shown as passed."""
    as_control = msgspec.structs.replace(verdict, is_control=True, passed=True, outcome=Outcome.VIOLATED)
    (bundle / "verdict.json").write_bytes(as_control.encode())
    assert "control passed (VIOLATED)" in index_md.render(read_runs(bundle.parents[2]))


def test_no_bundle_no_table(tmp_path: Path) -> None:
    """An empty directory gives a page that says that nothing ran yet."""
    assert "No run yet" in index_md.render(read_runs(tmp_path))


def test_a_bundle_is_small(bundle: Path, verdict: Verdict) -> None:
    """What is added to a bundle is small beside its bound."""
    evidence.write(bundle, verdict, ENVIRONMENT)
    assert evidence.size_bytes(bundle) < evidence.MAX_BUNDLE_BYTES / 10
