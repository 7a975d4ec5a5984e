"""Numbers, places and dates that a user gives have bounds: wrong usage ends with 64 and a sentence, never a trace."""

import os
from pathlib import Path

import pytest

from clusters import runtime
from clusters.runtime import UsageError
from drills.cli import app as cli
from drills.cli import exits
from drills.cli.audit import instant_ns
from drills.selftest.doubles import many_runs

IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of a run in which all went well."""
    return many_runs.bundle(tmp_path_factory.mktemp("runs"), many_runs.quiet())


def writers(bundle: Path, out: Path) -> list[list[str]]:
    """Return the command lines that write a file which the user names."""
    lines = (
        ("metrics", bundle, "--out", out),
        ("diff", bundle, bundle, "--out", out),
        ("adr", bundle, "--title", "Which mesh", "--out", out),
    )
    return [[str(word) for word in line] for line in lines]


@pytest.mark.parametrize("place", ["missing/out", "file/out", "loop/out", "loop", "link", "pipe"])
def test_a_file_that_cannot_be_written_is_wrong_usage(
    place: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is missing or none, and a name that is taken by a link or a pipe."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for words in writers(bundle, tmp_path / place):
        assert cli.status(words) == exits.USAGE, words
        assert "Traceback" not in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.skipif(IS_ROOT, reason="root may write into any folder")
def test_a_folder_without_permission_is_wrong_usage(bundle: Path, tmp_path: Path) -> None:
    """The sentence comes from the system."""
    tmp_path.chmod(0o500)
    for words in writers(bundle, tmp_path / "out"):
        assert cli.status(words) == exits.USAGE, words


@pytest.mark.parametrize(
    "at",
    ["+1e300", "-1e300", "+inf", "+nan", "+1e10", "-1e10", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "x"],
)
def test_an_instant_has_bounds(at: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Instants that no run can have had end with 64 and name what was given."""
    assert cli.status(["audit", str(bundle), "--at", at, "--from", "a", "--to", "b"]) == exits.USAGE
    assert repr(at) in capsys.readouterr().err


def test_an_instant_within_them_is_exact() -> None:
    """To the microsecond, in any time zone."""
    assert instant_ns("1970-01-01T01:00:00.000001+01:00", 0) == 1000
    with pytest.raises(UsageError, match="no time zone"):
        instant_ns("2026-01-01T00:00:00", 0)


@pytest.mark.parametrize("days", ["0", "36501", "99999999999999999999"])
def test_days_have_bounds(days: str, bundle: Path, tmp_path: Path) -> None:
    """No calendar has the day on which the evidence would become stale."""
    words = ["adr", str(bundle), "--title", "Which mesh", "--out", str(tmp_path / "adr.md"), "--stale-after-days", days]
    assert cli.status(words) == exits.USAGE
    assert cli.status([*words[:-1], "36500"]) == exits.PASSED


@pytest.mark.parametrize("option", [("--repeat", "101"), ("--limit-minutes", "100001")])
def test_a_night_has_bounds(option: tuple[str, str]) -> None:
    """Nothing is started for a number that no night can have."""
    assert cli.status(["nightly", *option]) == exits.USAGE


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_an_unusable_cache_is_wrong_usage(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable to set."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(runtime.CACHE_VARIABLE, str(tmp_path / place))
    with pytest.raises(UsageError, match="Set MESHDRILL_CACHE to a directory"):
        runtime.cache_dir()


def test_a_cache_that_cannot_be_written_to_is_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found before anything is downloaded."""
    monkeypatch.setenv(runtime.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written to"):
        runtime.cache_dir()


def test_nothing_to_mutate_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder gets no page that says that everything was detected."""
    assert cli.status(["mutate", "--page", str(tmp_path)]) == exits.USAGE
    assert "holds no bundle" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
