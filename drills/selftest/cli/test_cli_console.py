"""`meshdrill run` and errors that are no answer of the mesh: none of them ever ends as a verdict does."""

from pathlib import Path

import pytest

from drills.cli import exits
from drills.judge.verdict import Outcome
from drills.selftest.doubles.made_up import Run, ended, verdict_of


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (Outcome.VIOLATED, "ValueError('a bug')", exits.HARNESS),
        (Outcome.HELD, "OSError('no space left')", exits.HARNESS),
        (Outcome.VIOLATED, "FileError('verdict.json is a link')", exits.INCONCLUSIVE),
    ],
)
def test_an_error_after_the_verdict_is_no_answer(
    answer: Outcome,
    error: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A drill whose body fails otherwise than by its verdict ends with the error's code, whatever it judged before."""
    run = Run(verdict_of(answer, passed=answer is Outcome.HELD))
    assert ended(tmp_path, monkeypatch, run, f"raise {error}") == code
    assert error.split("'")[1] in capfd.readouterr().out


def test_an_error_inside_pytest_is_a_harness_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A hook that fails ends the run with 3, even after a verdict, and says that the harness has a defect."""
    hook = "def pytest_runtest_logreport(report):\n    assert report.when != 'call'\n"
    run = Run(verdict_of(Outcome.VIOLATED, passed=False))
    assert ended(tmp_path, monkeypatch, run, "assert False", hook) == exits.HARNESS
    said = capfd.readouterr()
    assert "INTERNALERROR" in said.err
    assert exits.DEFECT in said.out
