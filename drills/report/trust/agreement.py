"""Judges a stored run again, and compares the answers: a verdict that its history does not give is cited nowhere."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from drills.judge.claims import judge, restored
from drills.judge.history import History
from drills.judge.verdict import Verdict

_KEPT_VERDICTS = 128
_SHOWN = 3


@lru_cache(maxsize=_KEPT_VERDICTS)
def judged(bundle: Path, _statement_sha256: str) -> Verdict:
    """Return the verdict of the history in a bundle, by the claims that it stores.

    The statement names every file, so its digest says whether anything changed since the last time. Raises FileError
    as `History.load` and `restored` do.
    """
    history = History.load(bundle)
    verdict = judge(history.at_hand(), restored(history.facts.claims))
    return msgspec.json.decode(verdict.encode(), type=Verdict)  # as a stored one is read


def difference(stored: Verdict, again: Verdict) -> str:
    """Return how the answers of two verdicts differ, in words; "" if they do not. Wording and numbers may differ."""
    before, now = dict(_answers(stored)), dict(_answers(again))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    shown = [f"{name} is stored as {before.get(name)} and judged as {now.get(name)}" for name in names[:_SHOWN]]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return "; ".join(shown + more)


def _answers(verdict: Verdict) -> Iterator[tuple[str, object]]:
    yield "drill", verdict.drill
    yield "mesh", verdict.mesh
    yield "run", verdict.run_id
    yield "is_control", verdict.is_control
    yield "outcome", verdict.outcome.value
    yield "passed", verdict.passed
    for finding in verdict.findings:
        yield f"claim {finding.id}", finding.outcome.value
