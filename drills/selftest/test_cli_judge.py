"""Judging a stored run again: the drill's own claims, the recorded history, no cluster."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from drills import cli, exits
from drills.cli_judge import replay
from drills.judge.history import CALLS_SCHEMA, Event, History, RunFacts, write_history
from drills.report import statement

SECOND = 1_000_000_000


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a stored run of a real drill in which nothing at all was called."""
    events = (
        Event(0, "phase", "baseline"),
        Event(10 * SECOND, "fault.injected", "stop control-plane"),
        Event(40 * SECOND, "fault.undo_verified", "stop control-plane"),
        Event(80 * SECOND, "phase", "end"),
    )
    facts = RunFacts("control-plane-outage", "none", "0" * 12, is_control=True)
    write_history(tmp_path / "run", pl.DataFrame(schema=CALLS_SCHEMA), events, facts)
    return tmp_path / "run"


def test_a_stored_run_is_asked_the_drills_own_claims(bundle: Path) -> None:
    """Every claim of the drill is answered from the record, and a record of nothing never passes."""
    verdict = replay(History.load(bundle))
    assert (verdict.drill, verdict.mesh) == ("control-plane-outage", "none")
    assert len(verdict.findings) >= 10
    assert not verdict.passed


def test_judging_again_compares_with_the_stored_verdict(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes are recognised; other bytes, and no bytes, are told apart."""
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "nothing to compare with" in capsys.readouterr().out
    (bundle / "verdict.json").write_bytes(replay(History.load(bundle)).encode())
    cli.status(["judge", str(bundle)])
    assert "Byte for byte" in capsys.readouterr().out
    (bundle / "verdict.json").write_bytes(b"{}")
    cli.status(["judge", str(bundle)])
    assert "NOT the stored verdict.json" in capsys.readouterr().out


def test_a_record_that_cannot_be_read_is_inconclusive(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A truncated table ends with 2 and names the file."""
    with (bundle / "calls.parquet").open("r+b") as file:
        file.truncate(20)
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "calls.parquet" in capsys.readouterr().err


def test_a_record_of_a_drill_that_is_gone_is_wrong_usage(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle of a drill that this version does not have is told as such."""
    text = (bundle / "run.json").read_text()
    (bundle / "run.json").write_text(text.replace("control-plane-outage", "kitchen-outage"))
    assert cli.status(["judge", str(bundle)]) == exits.USAGE
    assert "kitchen-outage" in capsys.readouterr().err


def test_judging_needs_nothing_but_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """A bundle that was copied elsewhere gives the same verdict."""
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    assert replay(History.load(copy)).encode() == replay(History.load(bundle)).encode()


@pytest.fixture
def stated(bundle: Path) -> Path:
    """Return the same run with its verdict and a statement over both."""
    verdict = replay(History.load(bundle))
    (bundle / "verdict.json").write_bytes(verdict.encode())
    statement.write(bundle, verdict, None)
    return bundle


def test_a_verified_bundle_is_judged_and_labelled(stated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Judging says of a bundle whether its statement matches, is unsigned, or is not there."""
    assert cli.status(["judge", str(stated)]) == exits.INCONCLUSIVE
    told = capsys.readouterr().out
    assert "Byte for byte" in told
    assert "Verified: every file is as stated" in told
    assert "unsigned" in told
    (stated / "statement.dsse.json").unlink()
    cli.status(["judge", str(stated)])
    assert "No statement" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["events.jsonl", "statement.dsse.json"])
def test_a_bundle_that_is_not_as_stated_is_refused(
    stated: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed file, or a statement that is none, ends with 2 and no verdict; --unverified judges it, and says so."""
    with (stated / broken).open("ab") as file:
        file.write((stated / broken).read_bytes().splitlines()[-1] + b"\n")
    assert cli.status(["judge", str(stated)]) == exits.INCONCLUSIVE
    said = capsys.readouterr()
    assert broken in said.err
    assert "--unverified" in said.err
    assert said.out == ""
    cli.status(["judge", str(stated), "--unverified"])
    assert "UNVERIFIED" in capsys.readouterr().out
