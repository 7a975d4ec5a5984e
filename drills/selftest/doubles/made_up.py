"""A made-up drill, and `meshdrill run` on it."""

import sys
from pathlib import Path

import pytest

from clusters.model import KnownIssue, Mesh
from drills.cli import run as console
from drills.judge.verdict import Outcome, Verdict
from drills.run.declare import Declared
from drills.run.experiment import Experiment
from drills.selftest.doubles import statements

CONFTEST = """
import pytest
from rich.console import Console
from drills import plugin
from drills.selftest_stand_in import RUNS


@pytest.fixture
def drill(request):
    request.node.stash[plugin.RUN] = RUNS[0]
    yield RUNS[0]
"""


class Run:
    """Stands where the live drill stands on a test item."""

    def __init__(self, verdict: Verdict | None, bundle: Path | None = None) -> None:
        self.verdict = verdict
        self.bundle = bundle
        self.strict = False
        self.known_issues: tuple[KnownIssue, ...] = ()


def verdict_of(answer: Outcome, *, passed: bool, claims: tuple[str, ...] = ()) -> Verdict:
    """Return a verdict, with a finding of that answer for each claim, by its id."""
    return statements.verdict_of(*(statements.finding(claim, answer) for claim in claims), answer=answer, passed=passed)


def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, body: str, hooks: str = "") -> int:
    """Run a made-up drill of that body under the console and return its exit code; hooks: more of its conftest."""
    module = type(sys)("drills.selftest_stand_in")
    monkeypatch.setattr(module, "RUNS", [run], raising=False)
    monkeypatch.setitem(sys.modules, "drills.selftest_stand_in", module)
    (tmp_path / "conftest.py").write_text(CONFTEST + hooks)
    file = tmp_path / f"test_{tmp_path.name}.py"  # pytest imports each name once
    imports = "from clusters.runtime import *\nfrom drills.judge.files import FileError"
    file.write_text(f"{imports}\n\ndef test_made_up(drill):\n    {body}\n")
    return console.run(
        Declared("made-up", file, "test_made_up", "It is made up.", requires=(), leaf_s=0, build=never_built),
        "none",
        [],
    )


def never_built(_mesh: Mesh) -> Experiment:
    """Stand for what the made-up drill does: its body is a text."""
    raise AssertionError
