"""`meshdrill report`: pages drawn again, never at the cost of what vouches for a bundle."""

import errno
from pathlib import Path

import pytest

from drills.cli import app as cli
from drills.cli import exits
from drills.judge.bundle_files import (
    DRAWN,
    INDEX_HTML_FILE,
    INDEX_MD_FILE,
    REPORT_HTML_FILE,
    REPORT_MD_FILE,
    STATEMENT_FILE,
)
from drills.judge.verdict import Verdict
from drills.report.redraw import RedrawError, redraw
from drills.report.trust import keys, statement, verification
from drills.run import catalogue
from drills.selftest.doubles import outage_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle as a run leaves it, in a folder of runs."""
    return outage_bundle.bundle_of(
        outage_bundle.outage(), tmp_path / "reports" / "test-drill" / "story" / "20260101T000000Z"
    )


def older(bundle: Path, verdict: Verdict, key: Path | None = None) -> Path:
    """Make it the bundle of a version that drew report.html otherwise, stated and if asked signed."""
    (bundle / REPORT_HTML_FILE).write_text("an older page")
    statement.write(bundle, verdict, keys.signer(key) if key else None)
    return bundle


def stored(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle."""
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


def test_a_bundle_of_this_version_stays_as_it_is(bundle: Path) -> None:
    """Drawn again from its own files it has the same bytes, statement included."""
    before = stored(bundle)
    assert redraw(bundle) == ()
    assert stored(bundle) == before


def test_an_older_page_is_drawn_anew_and_stated(bundle: Path) -> None:
    """The page is that of this version afterwards, the record is untouched, and the bundle is intact."""
    before = stored(bundle)
    assert redraw(older(bundle, outage_bundle.verdict_of(outage_bundle.outage()))) == (REPORT_HTML_FILE,)
    assert stored(bundle) == before
    assert verification.verify(bundle).is_intact


def test_a_missing_page_is_drawn(bundle: Path) -> None:
    """A bundle from before there was a report.html gets one."""
    (bundle / REPORT_HTML_FILE).unlink()
    statement.write(bundle, outage_bundle.verdict_of(outage_bundle.outage()), None)
    assert redraw(bundle) == (REPORT_HTML_FILE,)
    assert verification.verify(bundle).is_intact


def test_a_signed_bundle_is_only_changed_by_who_can_sign(bundle: Path, tmp_path: Path) -> None:
    """Without the key it stays byte for byte; with it the new statement is signed."""
    keys.generate(tmp_path / "key")
    before = stored(older(bundle, outage_bundle.verdict_of(outage_bundle.outage()), tmp_path / "key"))
    with pytest.raises(RedrawError, match=r"signed.*report\.html.*private key"):
        redraw(bundle)
    assert stored(bundle) == before
    assert redraw(bundle, keys.signer(tmp_path / "key")) == (REPORT_HTML_FILE,)
    assert verification.verify(bundle, keys.public_key(tmp_path / "key.pub")).is_intact


@pytest.mark.parametrize("name", ["verdict.json", "events.jsonl", "run.json"])
def test_a_bundle_that_is_not_as_stated_gets_no_new_statement(bundle: Path, name: str) -> None:
    """A changed record is refused by name, and no byte is written: a new statement would vouch for the change."""
    with (bundle / name).open("ab") as file:
        file.write(b" ")
    before = stored(bundle)
    with pytest.raises(RedrawError, match=name):
        redraw(bundle)
    assert stored(bundle) == before


def test_a_changed_page_is_put_right(bundle: Path) -> None:
    """What can be made again may have been changed: it is made again."""
    before = stored(bundle)
    (bundle / REPORT_MD_FILE).write_text("forged")
    assert redraw(bundle) == (REPORT_MD_FILE,)
    assert stored(bundle) == before


def test_without_a_statement_none_is_written(bundle: Path) -> None:
    """Nothing vouched for the record before, so nothing does afterwards."""
    (bundle / STATEMENT_FILE).unlink()
    (bundle / REPORT_HTML_FILE).unlink()
    assert redraw(bundle) == (REPORT_HTML_FILE,)
    assert not verification.has_statement(bundle)


@pytest.mark.parametrize("broken", ["{", "{}"])
def test_a_run_that_was_not_judged_has_no_pages(bundle: Path, broken: str) -> None:
    """Without a readable verdict The run recorded no call and no window, and the reason names the bundle."""
    (bundle / STATEMENT_FILE).unlink()
    (bundle / "verdict.json").write_text(broken)
    with pytest.raises(RedrawError, match="cannot be drawn"):
        redraw(bundle)


def test_a_place_that_cannot_be_written_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only bundle is refused with what to do."""
    older(bundle, outage_bundle.verdict_of(outage_bundle.outage()))

    def refuse(*_given: object) -> Path:
        raise OSError(errno.EROFS, "Read-only file system")

    before = stored(bundle)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(RedrawError, match=r"report\.html cannot be written \(Read-only file system\).*Draw a copy"):
        redraw(bundle)
    assert stored(bundle) == before


def test_the_command_draws_one_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which pages are new, and the second time that none is."""
    older(bundle, outage_bundle.verdict_of(outage_bundle.outage()))
    assert cli.status(["report", str(bundle)]) == exits.PASSED
    assert f"drew {REPORT_HTML_FILE}" in capsys.readouterr().out
    assert cli.status(["report", str(bundle)]) == exits.PASSED
    assert "its pages are up to date" in capsys.readouterr().out


def test_the_command_draws_a_folder_and_its_index(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bundle that cannot be drawn ends with 2 and is named; the others and the index are drawn all the same."""
    reports = bundle.parents[2]
    other = outage_bundle.bundle_of(outage_bundle.outage(), bundle.with_name("20260102T000000Z"))
    (other / "events.jsonl").write_bytes(b"")
    older(bundle, outage_bundle.verdict_of(outage_bundle.outage()))
    assert cli.status(["report", str(reports)]) == exits.INCONCLUSIVE
    told_of = capsys.readouterr().err
    assert f"{other} is not what its statement says" in told_of
    assert (bundle / REPORT_HTML_FILE).read_text() != "an older page"
    index = (reports / INDEX_HTML_FILE).read_text(encoding="utf-8")
    assert all(folder.name in index for folder in (bundle, other))
    assert (reports / INDEX_MD_FILE).exists()


def test_a_folder_without_runs_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what was expected, and writes nothing."""
    assert cli.status(["report", str(tmp_path)]) == exits.USAGE
    assert "verdict.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_judging_again_writes_nothing(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pages are what `report` draws: `judge` only reads, whatever version drew them."""
    before = stored(older(bundle, outage_bundle.verdict_of(outage_bundle.outage())))
    cli.status(["judge", str(bundle)])
    assert "Byte for byte" in capsys.readouterr().out
    assert stored(bundle) == before


def test_pages_are_all_that_is_drawn() -> None:
    """What may be written anew is exactly what evidence draws."""
    assert set(DRAWN) == {"report.md", "report.html", "junit.xml"}


def test_reasons_name_the_drill_the_mesh_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill that a mesh cannot be asked has a reason, one that it can has none."""
    monkeypatch.setattr(
        "drills.run.catalogue.unmet", lambda _needs, mesh: "it has no such part" if mesh.name == "none" else ""
    )
    found = catalogue.skipped()
    assert {mesh for _, mesh in found} == {"none"}
    assert found["control-plane-outage", "none"] == "it has no such part"
