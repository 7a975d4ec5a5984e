"""Judging a stored run again: the claims that it stored, or those of today's drill; its history, no cluster."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from clusters import meshes
from drills.cli import app as cli
from drills.cli import exits
from drills.cli.judge import replay
from drills.judge.claims import stored
from drills.judge.events import FaultInjected, Phase, UndoVerified
from drills.judge.history import CALLS_SCHEMA, History, RunFacts, write_history
from drills.judge.records import StoredClaim
from drills.report.trust import statement
from drills.run import catalogue
from drills.run.experiment import promised
from drills.selftest.doubles.story import event_of

SECOND = 1_000_000_000
OWN_DRILL = '''"""A drill of one's own."""
from drills.kit import Experiment, Mesh, Role, checks, claim, drill, faults, lab

@drill()
def test_own(mesh: Mesh) -> Experiment:
    """It asks something that no other drill asks."""
    asked = claim.always(checks.availability(lab.FRONT_DOOR, max_outage_s=7))
    return Experiment(method=faults.make_unavailable(Role.CONTROL_PLANE, hold_s=30), claims={"own-question": asked})
'''


def claims_of_today() -> tuple[StoredClaim, ...]:
    """Return what a run of the drill stores on the control."""
    entry, mesh = catalogue.find("control-plane-outage"), meshes.load("none")
    return stored(promised(entry.build(mesh).claims, mesh, entry.name))


def write(place: Path, claims: tuple[StoredClaim, ...]) -> Path:
    """Write the record of a real drill in which nothing at all was called."""
    events = (
        Phase(0, "baseline"),
        event_of(FaultInjected, 10 * SECOND, "stop control-plane"),
        UndoVerified(40 * SECOND, "stop control-plane"),
        Phase(80 * SECOND, "end"),
    )
    facts = RunFacts("control-plane-outage", "none", "0" * 12, is_control=True, claims=claims)
    write_history(place, pl.DataFrame(schema=CALLS_SCHEMA), events, facts)
    return place


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a stored run of a real drill in which nothing at all was called."""
    return write(tmp_path / "run", claims_of_today())


def test_a_stored_run_is_asked_the_claims_that_it_stored(bundle: Path) -> None:
    """Every one is answered from the record, in its order, and a record of nothing never passes."""
    verdict = replay(History.load(bundle))
    assert (verdict.drill, verdict.mesh) == ("control-plane-outage", "none")
    assert [it.id for it in verdict.findings] == [it.id for it in claims_of_today()]
    assert len(verdict.findings) >= 10
    assert not verdict.passed


def test_a_drill_that_changed_since_changes_no_stored_verdict(tmp_path: Path) -> None:
    """A run of another drill's claims is asked those: what the code asks today does not matter."""
    earlier = claims_of_today()[:3]
    assert stored_ids(tmp_path / "run", earlier) == [it.id for it in earlier]


def stored_ids(place: Path, claims: tuple[StoredClaim, ...]) -> list[str]:
    """Return which claims of a run that stored these are answered."""
    return [it.id for it in replay(History.load(write(place, claims))).findings]


def test_the_claims_of_today_are_asked_where_a_person_wants_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--current asks them of an old record, and compares with no stored verdict."""
    old = write(tmp_path / "run", claims_of_today()[:1])
    assert cli.status(["judge", str(old)]) == exits.INCONCLUSIVE
    few = capsys.readouterr().out
    assert cli.status(["judge", str(old), "--current"]) == exits.INCONCLUSIVE
    many = capsys.readouterr().out
    last = replay(History.load(write(tmp_path / "new", claims_of_today()))).findings[-1].claim
    assert (last in few, last in many) == (False, True)
    assert "not compared with the stored verdict" in many


def test_a_run_that_stored_no_claims_is_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was asked, so nothing can be answered; the message names the option that asks."""
    assert cli.status(["judge", str(write(tmp_path / "run", ()))]) == exits.INCONCLUSIVE
    assert "--current" in capsys.readouterr().err


def test_a_drill_of_ones_own_is_asked_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--drill names it, and means nothing without --current."""
    bundle = str(write(tmp_path / "run", claims_of_today()))
    own = tmp_path / "test_own.py"
    own.write_text(OWN_DRILL)
    assert cli.status(["judge", bundle, "--drill", f"{own}::test_own"]) == exits.USAGE
    assert "--current" in capsys.readouterr().err
    assert cli.status(["judge", bundle, "--current", "--drill", f"{own}::test_own"]) == exits.INCONCLUSIVE
    assert "without a success for 7 s" in capsys.readouterr().out


def test_judging_again_compares_with_the_stored_verdict(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes are recognised; other bytes, and no bytes, are distinguished."""
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "nothing to compare with" in capsys.readouterr().out
    (bundle / "verdict.json").write_bytes(replay(History.load(bundle)).encode())
    cli.status(["judge", str(bundle)])
    assert "Byte for byte" in capsys.readouterr().out
    (bundle / "verdict.json").write_bytes(b"{}")
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "verdict.json cannot be read" in capsys.readouterr().err


def test_a_record_that_cannot_be_read_is_inconclusive(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A truncated table ends with 2 and names the file."""
    with (bundle / "calls.parquet").open("r+b") as file:
        file.truncate(20)
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "calls.parquet" in capsys.readouterr().err


def test_a_drill_that_is_gone_is_judged_by_its_stored_claims(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle of a drill that this version does not have is judged; its claims of today are wrong usage."""
    text = (bundle / "run.json").read_text()
    (bundle / "run.json").write_text(text.replace("control-plane-outage", "kitchen-outage"))
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "kitchen-outage on none" in capsys.readouterr().out
    assert cli.status(["judge", str(bundle), "--current"]) == exits.USAGE
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
    output = capsys.readouterr().out
    assert "Byte for byte" in output
    assert "Verified: every file is as stated" in output
    assert "unsigned" in output
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
