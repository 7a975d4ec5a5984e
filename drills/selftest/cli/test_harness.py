"""The commit of the harness: of the checkout that its files lie in, as the installer recorded it, or not known."""

import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from drills.cli import harness
from drills.report.provenance import HarnessRecord

FILE = "drills/cli/harness.py"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with one commit of the harness, which the tests take for the running one."""
    file = tmp_path / "checkout" / FILE
    file.parent.mkdir(parents=True)
    file.write_text("pass")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=first"]):
        git(tmp_path / "checkout", *words)
    monkeypatch.setattr(harness, "_OWN_FILE", file)
    monkeypatch.setattr(harness, "distribution", installed(None))
    return tmp_path / "checkout"


def git(root: Path, *words: str) -> str:
    """Run git as somebody whose name does not matter."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def installed(direct_url: str | None) -> Callable[[str], object]:
    """Return a stand-in for importlib.metadata.distribution; None: the package is not installed."""

    class Installed:
        def read_text(self, _name: str) -> str | None:
            return direct_url

    def distribution(name: str) -> Installed:
        if direct_url is None:
            raise PackageNotFoundError(name)
        return Installed()

    return distribution


def test_a_checkout_has_its_commit_and_says_if_files_differ(checkout: Path) -> None:
    """A changed file of the harness counts; a file that git does not track, or that is not the harness's, does not."""
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("mine")
    assert harness.own_commit() == HarnessRecord(commit, is_dirty=False)
    (checkout / FILE).write_text("changed")
    found = harness.own_commit()
    assert found == HarnessRecord(commit, is_dirty=True)
    assert str(found) == f"{commit} with changes that are not committed"


def test_the_checkout_of_another_project_is_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that was installed inside somebody's repository does not take that repository's commit."""
    inside = checkout / ".venv" / "drills" / "cli" / "harness.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("pass")
    monkeypatch.setattr(harness, "_OWN_FILE", inside)
    assert harness.own_commit() is None


def test_the_environment_does_not_name_another_repository(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_DIR of a hook that starts a run is not the harness's repository."""
    monkeypatch.setenv("GIT_DIR", str(checkout / "absent"))
    assert harness.own_commit() is not None


@pytest.mark.parametrize(
    ("direct_url", "expected"),
    [
        ('{"url": "https://example.org/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}}', HarnessRecord("abc")),
        ('{"url": "file:///x", "dir_info": {}}', None),
        ("", None),
        ("{", None),
        (None, None),
    ],
)
def test_without_git_the_installer_may_know_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, direct_url: str | None, expected: HarnessRecord | None
) -> None:
    """The installer records the commit of an installation from a repository; a wheel has none. Nothing raises."""
    assert checkout.is_dir()
    monkeypatch.setenv("PATH", str(checkout))
    monkeypatch.setattr(harness, "distribution", installed(direct_url))
    assert harness.own_commit() == expected
