"""Known issues of a run, as its own run.json lists them."""

from collections.abc import Sequence
from pathlib import Path

from clusters.model import KnownIssue, Reference
from drills.judge import files, known
from drills.judge.storage import read_facts
from drills.judge.verdict import Verdict


def expected(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[Reference, ...]:
    """Return the listed issues, each once, if the run violates exactly the listed claims; otherwise none."""
    return tuple(dict.fromkeys(it.issue for it in listed)) if known.is_expected(verdict, listed) else ()


def expected_in(bundle: Path, verdict: Verdict) -> tuple[Reference, ...]:
    """Return the expected issues of a stored run; none if its run.json cannot be read."""
    try:
        listed = read_facts(bundle).known_issues
    except files.FileError:
        return ()
    return expected(verdict, listed)
