"""How the `meshdrill` program ends: one number per kind of outcome."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line must know the numbers without loading a judge
    from clusters.model import KnownIssue
    from drills.judge.verdict import Verdict

PASSED, VIOLATED, INCONCLUSIVE, HARNESS, USAGE, INTERRUPTED = 0, 1, 2, 3, 64, 130
WORST_FIRST = (INTERRUPTED, VIOLATED, HARNESS, INCONCLUSIVE, USAGE, PASSED)

DEFECT = "This is a defect of the harness and says nothing about the mesh: report it with the trace above."


class EndedError(Exception):
    """A command is over and says with which exit code; typer's own endings are told apart from it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def of(verdict: "Verdict", listed: "Sequence[KnownIssue]" = ()) -> int:
    """Return the exit code of a verdict. A control is violated by design: what failed it is the odd finding.

    listed: what is known to be violated. A run that shows exactly that has passed, one that shows it no more has not.
    """
    from drills.judge import known  # noqa: PLC0415 - as above
    from drills.judge.verdict import Answer  # noqa: PLC0415 - as above

    if known.is_expected(verdict, listed):
        return PASSED
    if verdict.passed:
        return VIOLATED if known.outdated(verdict, listed) else PASSED
    answers = {finding.verdict for finding in verdict.findings}
    undecided = Answer.INCONCLUSIVE in answers if verdict.is_control else verdict.verdict is Answer.INCONCLUSIVE
    return INCONCLUSIVE if undecided else VIOLATED
