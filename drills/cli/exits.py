"""The exit codes of the `meshdrill` program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line needs the codes without loading the judge
    from clusters.model import KnownIssue
    from drills.judge.verdict import Verdict

PASSED, VIOLATED, INCONCLUSIVE, HARNESS, USAGE, INTERRUPTED = 0, 1, 2, 3, 64, 130
WORST_FIRST = (INTERRUPTED, VIOLATED, HARNESS, INCONCLUSIVE, USAGE, PASSED)

DEFECT = "This is a defect of the harness and says nothing about the mesh: report it with the trace above."


class EndedError(Exception):
    """A command ended with this exit code; a type of its own, because typer uses SystemExit for its own codes."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def of(verdict: "Verdict", listed: "Sequence[KnownIssue]" = (), *, strict: bool = False) -> int:
    """Return the exit code of a verdict. A control that did not pass is INCONCLUSIVE if any of its findings is.

    A no-fault control in which a claim is false is VIOLATED, with or without an alert; a security claim that the mesh
    does not promise does not count.
    listed: the known issues. A run that violates exactly those passed; a run in which one of them holds did not.
    strict: what the mesh does not promise fails a run, too.
    """
    from drills.judge import known  # noqa: PLC0415 - as above
    from drills.judge.verdict import FAILING, Outcome  # noqa: PLC0415 - as above

    if known.is_expected(verdict, listed, strict=strict):
        return PASSED
    if verdict.accepts(strict=strict):
        return VIOLATED if known.outdated(verdict, listed) else PASSED
    outcomes = {finding.outcome for finding in verdict.findings}
    counted = verdict.outcome if strict else verdict.promised
    if verdict.without_fault:
        undecided = (verdict.outcome if strict else verdict.counted_without_fault) not in FAILING
    else:
        undecided = Outcome.INCONCLUSIVE in outcomes if verdict.is_control else counted is not Outcome.VIOLATED
    return INCONCLUSIVE if undecided else VIOLATED
