"""Silent failures that were known before the run, as its own run.json lists them: where they are told."""

from collections.abc import Sequence
from pathlib import Path

from clusters.model import KnownIssue, Reference
from drills.judge import files, known
from drills.judge.storage import read_facts
from drills.judge.verdict import Verdict


def expected(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[Reference, ...]:
    """Return each issue once where the run shows exactly what is listed, none where it comes as a surprise."""
    return tuple(dict.fromkeys(it.issue for it in listed)) if known.is_expected(verdict, listed) else ()


def expected_in(bundle: Path, verdict: Verdict) -> tuple[Reference, ...]:
    """Return the same of a stored run; none when its run.json cannot be read."""
    try:
        listed = read_facts(bundle).known_issues
    except files.FileError:
        return ()
    return expected(verdict, listed)
