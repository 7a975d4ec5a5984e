"""Silent failures that were known before the run, as its own run.json lists them: where they are told."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from clusters.model import KnownIssue, Reference
from drills.judge import files, known
from drills.judge.verdict import Verdict
from drills.report.names import RUN_FILE


class _Facts(msgspec.Struct, frozen=True):
    deviates: tuple[KnownIssue, ...] = ()


class _RunFile(msgspec.Struct, frozen=True):
    facts: _Facts = _Facts()


def expected(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[Reference, ...]:
    """Return each issue once where the run shows exactly what is listed, none where it comes as a surprise."""
    return tuple(dict.fromkeys(it.issue for it in listed)) if known.is_expected(verdict, listed) else ()


def expected_in(bundle: Path, verdict: Verdict) -> tuple[Reference, ...]:
    """Return the same of a stored run; none when its run.json cannot be read."""
    try:
        listed = files.decode(bundle / RUN_FILE, _RunFile).facts.deviates
    except files.FileError:
        return ()
    return expected(verdict, listed)
