"""The pytest side: what is listed, what is skipped and why, and how `meshdrill run` sees a drill end."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from clusters.model import KnownIssue, Reference
from clusters.runtime import HarnessError, MissingImagesError
from drills import plugin
from drills.cli import app as cli
from drills.cli import exits
from drills.cli import run as console
from drills.judge.verdict import Outcome
from drills.run.runner import Drill
from drills.selftest.doubles.forked import Ended, run_pytest
from drills.selftest.doubles.made_up import CONFTEST, Run, ended, verdict_of

ROOT = Path(__file__).resolve().parents[3]


def pytest_on_drills(notes: Path, *options: str) -> Ended:
    """Run pytest on the drills' own files as a user would."""
    words = ["drills/test_control_plane.py", "-p", "no:cacheprovider", *options]
    return run_pytest(words, within=ROOT, notes=notes)


def test_without_a_mesh_every_drill_is_listed_as_skipped(tmp_path: Path) -> None:
    """`pytest drills` without --mesh lists each drill as skipped with the reason, and passes."""
    done = pytest_on_drills(tmp_path, "-v")
    assert done.code == 0, done.out
    assert "5 skipped" in done.out
    assert "no --mesh given" in done.out


def test_an_unknown_mesh_is_refused_before_collection(tmp_path: Path) -> None:
    """`--mesh` with a name that does not exist is wrong usage, reported in one line with the nearest names."""
    done = pytest_on_drills(tmp_path, "--mesh", "nonne")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "Did you mean none?" in done.err
    assert "collected" not in done.out


def test_a_control_without_a_meaning_is_refused_before_collection(tmp_path: Path) -> None:
    """`--no-fault` on a mesh that is itself a control is wrong usage to pytest, and accepted on any other."""
    done = pytest_on_drills(tmp_path, "--mesh", "none", "--no-fault", "--collect-only")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "--no-fault makes no sense on none" in done.err
    assert "collected" not in done.out
    assert pytest_on_drills(tmp_path, "--mesh", "linkerd", "--no-fault", "--collect-only", "-q").code == 0


def test_a_bad_name_of_a_cluster_is_refused_before_collection(tmp_path: Path) -> None:
    """`--cluster-name ..` is wrong usage to pytest as it is to `meshdrill run`, and nothing is collected."""
    done = pytest_on_drills(tmp_path, "--mesh", "none", "--cluster-name", "..", "--collect-only")  # never makes it
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "'..' cannot be the name of a cluster" in done.err
    assert "collected" not in done.out


def test_run_refuses_a_bad_name_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`meshdrill run --cluster-name ..` ends with 64 and makes nothing."""

    def never(*_given: object) -> None:
        raise HarnessError("a cluster would have been made")

    monkeypatch.setattr(plugin, "up", never)  # were it not refused, the cache that holds all clusters would be deleted
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))
    words = ["run", "control-plane-outage", "--mesh", "none", "--cluster-name", ".."]
    assert cli.status(words) == exits.USAGE
    assert "cannot be the name of a cluster" in capfd.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_with_a_mesh_only_drills_are_collected(tmp_path: Path) -> None:
    """With --mesh the drills run and the selftests beside them do not."""
    done = pytest_on_drills(tmp_path, "drills/selftest/test_house.py", "--mesh", "none", "--collect-only", "-q")
    assert done.code == 0, done.out + done.err
    assert "test_control_plane_outage" in done.out
    assert "test_house" not in done.out


def test_a_drill_may_want_the_mesh_installed_its_own_way(tmp_path: Path) -> None:
    """Such a drill gets a place of its own make, whose certificates live as long as it says; the others do not."""
    done = pytest_on_drills(tmp_path, "drills/test_identity.py", "--mesh", "none", "--collect-only", "-q")
    assert "test_identity_outage_beyond_life[leaf_s=120]" in done.out
    assert "test_identity_outage\n" in done.out


def test_our_options_stand_beside_pytest_kinds_own(tmp_path: Path) -> None:
    """The help shows our options and pytest-kind's: neither hides the other."""
    text = pytest_on_drills(tmp_path, "--help").out
    assert all(option in text for option in ("--mesh", "--images", "--reports", "--keep-cluster", "--cluster-name"))


@pytest.mark.parametrize(
    ("answer", "passed", "code"),
    [
        (Outcome.HELD, True, exits.PASSED),
        (Outcome.FAILED_OBSERVABLY, True, exits.PASSED),
        (Outcome.VIOLATED, False, exits.VIOLATED),
        (Outcome.INCONCLUSIVE, False, exits.INCONCLUSIVE),
    ],
)
def test_each_verdict_has_its_exit_code(
    answer: Outcome,
    passed: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The exit code of a run follows from its verdict, and the verdict is printed."""
    run = Run(verdict_of(answer, passed=passed), tmp_path / "bundle")
    assert ended(tmp_path, monkeypatch, run, f"assert {passed}") == code
    said = capfd.readouterr().out
    assert answer.value in said
    assert "bundle/report.md" in said


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        ("raise HarnessError('the engine is gone')", exits.HARNESS, "the engine is gone"),
        ("raise InconclusiveError('no answer')", exits.INCONCLUSIVE, "no answer"),
        ("raise UsageError('in use')", exits.USAGE, "in use"),
        ("raise ValueError('a bug')", exits.HARNESS, "ValueError: a bug"),
        ("pass", exits.HARNESS, ""),
    ],
)
def test_a_run_without_a_verdict_never_passes(
    body: str,
    code: int,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A drill without a verdict ends with its error's code, reported in its words; judging nothing is an error."""
    assert ended(tmp_path, monkeypatch, Run(None), body) == code
    assert expected in capfd.readouterr().out


def test_a_drill_that_cannot_be_loaded_is_a_harness_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A drill's file with an error in it ends with 3 and shows the error."""
    assert ended(tmp_path, monkeypatch, Run(None), "pass\nimport no_such_module") == exits.HARNESS
    assert "no_such_module" in capfd.readouterr().out


def test_an_interrupted_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in a drill ends with 130."""
    assert ended(tmp_path, monkeypatch, Run(None), "raise KeyboardInterrupt") == exits.INTERRUPTED
    capfd.readouterr()


def test_a_polite_kill_is_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM ends a drill as Ctrl-C does, so that fixtures undo the fault and remove the cluster."""
    body = "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)"
    assert ended(tmp_path, monkeypatch, Run(None), body) == exits.INTERRUPTED
    capfd.readouterr()


def test_a_harness_error_is_no_verdict_of_the_mesh(capfd: pytest.CaptureFixture[str]) -> None:
    """A passed verdict whose clean-up then failed is a harness error: something was left behind."""
    reporter = console.Reporter(Console())
    reporter._note_verdict(cast("Drill", Run(None)), verdict_of(Outcome.HELD, passed=True))
    reporter._note_failure(HarnessError("the cluster could not be deleted"), "teardown", "")
    assert reporter.code == exits.HARNESS
    assert "could not be deleted" in capfd.readouterr().out


def test_without_a_console_progress_passes_pytests_capture(tmp_path: Path) -> None:
    """Plain pytest shows a drill's progress while it runs, from any thread, though it captures all else."""
    (tmp_path / "test_it.py").write_text(
        "import threading\n"
        "from drills import plugin\n"
        "def test_it(pytestconfig):\n"
        "    print('captured')\n"
        "    say = plugin.progress_of(pytestconfig)\n"
        "    threads = [threading.Thread(target=say, args=(f'line {n}',)) for n in range(20)]\n"
        "    [thread.start() for thread in threads] and [thread.join() for thread in threads]\n"
    )
    words = ["--config-file=/dev/null", f"--rootdir={tmp_path}", str(tmp_path)]
    done = run_pytest(words, within=ROOT, notes=tmp_path)
    assert done.code == 0, done.out
    assert sorted(done.err.splitlines()) == sorted(f"line {n}" for n in range(20))
    assert "captured" not in done.out + done.err


def test_a_missing_image_lists_the_drills_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """For want of an image the run is inconclusive, and names the drills that therefore cannot run."""

    def nowhere(*_: object) -> Iterator[None]:
        raise MissingImagesError("Image proxy (registry.example/proxy:1) could not be had.")
        yield  # it would be the place

    monkeypatch.setattr(plugin, "up", contextmanager(nowhere))
    monkeypatch.setattr(plugin, "_options", lambda _config, _leaf_s: None)
    config = SimpleNamespace(getoption={"--mesh": "istio-sidecar"}.get, stash={plugin.PROGRESS: print})
    prepared = contextmanager(inspect.unwrap(plugin.prepared))
    with (
        pytest.raises(MissingImagesError, match=r"registry\.example/proxy:1") as raised,
        prepared(cast("pytest.FixtureRequest", SimpleNamespace(config=config))),
    ):
        pytest.fail("a place was given")
    drills = str(raised.value).splitlines()[-1]
    assert "istio-sidecar" in drills
    assert "control-plane-outage" in drills
    assert "node-agent-outage" not in drills  # it cannot be asked anyway
    assert raised.value.exit_code == exits.INCONCLUSIVE


class Outcomes:
    """A pytest plugin that remembers the report of each drill's body."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what pytest would print."""
        if report.when == "call":
            self.reports.append(report)


LISTED = KnownIssue("it-holds", Reference("It does not", "https://example.org/1", "1.0", "issue"))


@pytest.mark.parametrize(
    ("answer", "listed", "body", "outcome", "words"),
    [
        (Outcome.VIOLATED, (LISTED,), "assert False", "skipped", "VIOLATED as known (https://example.org/1)"),
        (Outcome.VIOLATED, (), "assert False", "failed", ""),
        (Outcome.HELD, (LISTED,), "pass", "failed", "known issue no longer seen"),
        (Outcome.HELD, (), "pass", "passed", ""),
        (Outcome.INCONCLUSIVE, (LISTED,), "assert False", "failed", ""),
        (Outcome.VIOLATED, (LISTED,), "raise ValueError('a bug')", "failed", ""),
    ],
)
def test_a_known_failure_is_expected_strictly(
    answer: Outcome,
    listed: tuple[KnownIssue, ...],
    body: str,
    outcome: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pytest sees an expected failure where all that is violated is listed, and a failure where it is so no more."""
    run = Run(verdict_of(answer, passed=answer is Outcome.HELD, claims=("it-holds",)))
    run.known_issues = listed
    module = type(sys)("drills.selftest_stand_in")
    monkeypatch.setattr(module, "RUNS", [run], raising=False)
    monkeypatch.setitem(sys.modules, "drills.selftest_stand_in", module)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    file = tmp_path / f"test_{tmp_path.name}.py"
    file.write_text(f"def test_made_up(drill):\n    {body}\n")
    outcomes = Outcomes()
    options = ["--config-file=/dev/null", f"--rootdir={tmp_path}", "-pdrills.plugin", "--mesh=none"]
    options += ["-pno:terminal", "-pno:cacheprovider"]
    ended = pytest.main([*options, str(file)], plugins=[outcomes])
    (report,) = outcomes.reports
    assert (report.outcome, ended) == (outcome, pytest.ExitCode(int(outcome == "failed")))
    assert words in f"{getattr(report, 'wasxfail', '')}{report.longreprtext}"
