"""A run of a night is a process of ours: its exit code comes back, and it may clean up when it is stopped."""

import subprocess
import sys
from pathlib import Path

import pytest

from clusters.runtime import wait_until
from drills.cli import exits
from drills.cli import night as nightly


@pytest.mark.parametrize(
    ("words", "code"), [(("list", "--json"), exits.PASSED), (("run", "nothing", "--mesh", "none"), exits.USAGE)]
)
def test_a_run_is_a_process_of_ours(words: tuple[str, ...], code: int) -> None:
    """The words are our own command line, and its exit code comes back."""
    assert nightly.process(words, 60) == code


@pytest.mark.parametrize("end", ["raise SystemExit(130)", "import os; os.kill(os.getpid(), 9)"])
def test_a_run_that_ended_in_no_known_way_is_a_harness_error(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that no verdict has, or a signal, is never taken for a verdict."""
    monkeypatch.setattr(nightly, "_PROGRAM", end)
    assert nightly.process((), 60) == exits.HARNESS


def test_a_run_that_takes_too_long_is_a_harness_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its limit a run is ended, and its time-out is no verdict."""
    monkeypatch.setattr(nightly, "_PROGRAM", "import time; time.sleep(600)")
    assert nightly.process((), 0.1) == exits.HARNESS


def test_a_run_that_is_stopped_may_clean_up(tmp_path: Path) -> None:
    """It is asked to end as by Ctrl-C, and waited for."""
    program = (
        "import pathlib, signal, sys, time\n"
        "def clean(*_):\n    pathlib.Path(sys.argv[2]).touch()\n    raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, clean)\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(600)"
    )
    ready, clean = tmp_path / "ready", tmp_path / "clean"
    child = subprocess.Popen([sys.executable, "-c", program, str(ready), str(clean)])
    wait_until(ready.exists, bool, what="a program that can be stopped", within_s=60, every_s=0.05)
    nightly._stop(child)
    assert clean.exists()
