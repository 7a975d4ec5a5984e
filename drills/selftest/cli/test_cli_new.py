"""`meshdrill new`: what it writes is a drill that is found, is sound, and proves itself."""

from pathlib import Path

import pytest

from clusters import meshes
from drills import prove
from drills.cli import app as cli
from drills.cli import exits
from drills.run import catalogue
from drills.run.declare import unmet
from drills.selftest.doubles.forked import run_pytest

ROOT = Path(__file__).resolve().parents[3]


def test_a_new_drill_is_sound_and_its_selftest_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be asked of every mesh with a control plane, and needs no change to be run."""
    assert cli.status(["new", "dns-outage", "--folder", str(tmp_path / "own")]) == exits.PASSED
    file = tmp_path / "own" / "test_dns_outage.py"
    assert f"meshdrill run {file}::test_dns_outage --mesh none" in capsys.readouterr().out
    entry = catalogue.find(f"{file}::test_dns_outage")
    assert (entry.name, prove.defects(entry)) == ("dns-outage", ())
    assert not any(unmet(entry.requires, meshes.load(name)) for name in meshes.names())
    words = [str(tmp_path / "own"), "-pdrills.plugin", "-pno:cacheprovider"]
    done = run_pytest(words, within=ROOT, notes=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "1 passed, 1 skipped" in done.out


@pytest.mark.parametrize("name", ["dns_outage", "DNS", "-dns", "dns--outage", "2dns", "../dns"])
def test_a_name_that_is_no_kebab_case_is_wrong_usage(name: str, tmp_path: Path) -> None:
    """Nothing is written, in the folder or beside it."""
    assert cli.status(["new", "--folder", str(tmp_path / "own"), "--", name]) == exits.USAGE
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither file is written where one of them is there."""
    (tmp_path / "test_dns_selftest.py").write_text("mine")
    assert cli.status(["new", "dns", "--folder", str(tmp_path)]) == exits.USAGE
    assert "test_dns_selftest.py exists" in capsys.readouterr().err
    assert [(it.name, it.read_text()) for it in tmp_path.iterdir()] == [("test_dns_selftest.py", "mine")]
