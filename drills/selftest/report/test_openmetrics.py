"""Runs as OpenMetrics: what a parser that is not ours reads out of it."""

from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as textfile

from drills.cli import app as cli
from drills.cli import exits
from drills.judge.records import NS_PER_S
from drills.report import bundles, openmetrics
from drills.selftest.doubles import story
from drills.selftest.doubles.many_runs import broken, bundle, quiet

LABELS = {"drill": "brain-outage", "mesh": "mesh-a"}
CLAIM = "routes-recover"


def parsed(text: str) -> dict[str, Metric]:
    """Return the metric families of a document by name, as prometheus_client's strict parser reads them."""
    return {it.name: it for it in text_string_to_metric_families(text)}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Return the samples by the values of their labels but drill and mesh."""
    assert all(LABELS.items() <= sample.labels.items() for sample in family.samples)
    return {
        tuple(value for name, value in sample.labels.items() if name not in LABELS): sample.value
        for sample in family.samples
    }


def test_a_run_becomes_its_numbers(tmp_path: Path) -> None:
    """Verdict, recovery, outage, time to signal and latency are those of the run, in seconds, each with its unit."""
    bundle(tmp_path, quiet(back_after_s=4, signal_after_s=2.5, lag_ms=18))
    found = parsed(openmetrics.render(bundles.read_all([tmp_path])))
    verdicts = values(found["meshdrill_run_outcome"])
    assert verdicts == {("FAILED_OBSERVABLY",): 0, ("HELD",): 1, ("INCONCLUSIVE",): 0, ("VIOLATED",): 0}
    assert values(found["meshdrill_run_passed"]) == {(): 1}
    assert values(found["meshdrill_recovery_seconds"])[CLAIM,] == pytest.approx(4, abs=0.15)
    assert values(found["meshdrill_recovery_missing"])[CLAIM,] == 0
    ((route, outage_s),) = values(found["meshdrill_longest_outage_seconds"]).items()
    assert route[0].startswith("payment->ledger")
    assert outage_s == pytest.approx(4.1, abs=0.1)
    assert values(found["meshdrill_outage_resolution_seconds"])[()] == pytest.approx(0.1, abs=0.05)
    assert values(found["meshdrill_time_to_signal_seconds"]) == {("control-plane-down",): 2.5}
    assert values(found["meshdrill_baseline_latency_seconds"]) == {("0.5",): 0.02, ("0.99",): 0.02}
    assert values(found["meshdrill_run_start_time_seconds"]) == {(): 1_699_999_999}
    for name, family in found.items():
        assert (family.unit == "seconds") is name.endswith("_seconds"), name


def test_types_are_declared_and_the_document_ends(tmp_path: Path) -> None:
    """Every family is a gauge, units are declared, and the end is marked."""
    bundle(tmp_path, quiet())
    text = openmetrics.render(bundles.read_all([tmp_path]))
    assert {it.type for it in parsed(text).values()} == {"gauge"}
    assert "# TYPE meshdrill_recovery_seconds gauge\n# UNIT meshdrill_recovery_seconds seconds\n" in text
    assert text.endswith("# EOF\n")


def test_a_textfile_collector_reads_it_too(tmp_path: Path) -> None:
    """The older text format has five types and no others; read by it, all samples are the same."""
    bundle(tmp_path, quiet())
    text = openmetrics.render(bundles.read_all([tmp_path]))
    old = {it.name: it.samples for it in textfile(text)}
    assert {name: it.samples for name, it in parsed(text).items()} == old
    types = {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert types <= {"counter", "gauge", "histogram", "summary", "untyped"}


def test_a_recovery_that_did_not_come_has_no_time(tmp_path: Path) -> None:
    """What did not recover in time is missing, not zero seconds."""
    bundle(tmp_path, quiet(back_after_s=18))
    found = parsed(openmetrics.render(bundles.read_all([tmp_path])))
    assert found["meshdrill_recovery_seconds"].samples == []
    assert values(found["meshdrill_recovery_missing"]) == {(CLAIM,): 1}


def test_a_newer_pass_does_not_hide_an_older_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest run gives the verdict; the count over all runs still knows the violation."""
    bundle(tmp_path, broken(), folder="20260101T000000Z")
    monkeypatch.setattr(story, "START_NS", story.START_NS + 86_400 * NS_PER_S)
    bundle(tmp_path, quiet(), folder="20260102T000000Z")
    found = parsed(openmetrics.render(bundles.read_all([tmp_path])))
    assert values(found["meshdrill_run_outcome"])["HELD",] == 1
    assert values(found["meshdrill_runs"]) == {("HELD",): 1, ("VIOLATED",): 1}


def test_labels_are_escaped(tmp_path: Path) -> None:
    """A label with quotes and a backslash is read back as it was."""
    odd = 'a "quoted" \\ drill'
    bundle(tmp_path, quiet(), drill=odd)
    (sample,) = parsed(openmetrics.render(bundles.read_all([tmp_path])))["meshdrill_run_passed"].samples
    assert sample.labels["drill"] == odd


def test_the_file_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--out gets what is printed without it, and no draft is left for a collector to read."""
    bundle(tmp_path / "reports", quiet())
    assert cli.status(["metrics", str(tmp_path / "reports")]) == exits.PASSED
    text = capsys.readouterr().out
    assert cli.status(["metrics", str(tmp_path / "reports"), "--out", str(tmp_path / "meshdrill.prom")]) == exits.PASSED
    assert capsys.readouterr().out == ""
    assert (tmp_path / "meshdrill.prom").read_text(encoding="utf-8") == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meshdrill.prom", "reports"]


def test_a_changed_bundle_gives_no_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle that is not as stated ends with 2 and leaves the file as it was."""
    (bundle(tmp_path / "reports", quiet()) / "calls.parquet").unlink()
    out = tmp_path / "meshdrill.prom"
    assert cli.status(["metrics", str(tmp_path / "reports"), "--out", str(out)]) == exits.INCONCLUSIVE
    assert "calls.parquet" in capsys.readouterr().err
    assert not out.exists()
