"""Silent failures that are known and real: a run that shows exactly those is expected, one that lacks one is told.

They excuse no answer: the verdict stays VIOLATED. What they decide is whether the run comes as a surprise.
"""

from collections.abc import Sequence

from clusters.model import KnownIssue, Reference
from drills.judge.verdict import PASSING, Answer, Finding, Verdict, judge_passed


def issue_of(finding: Finding, listed: Sequence[KnownIssue]) -> Reference | None:
    """Return where it is told that this claim is violated, None when it is not, or when nobody told of it."""
    issues = (known.issue for known in listed if known.claim == finding.claim)
    return next(issues, None) if finding.verdict is Answer.VIOLATED else None


def outdated(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[KnownIssue, ...]:
    """Return the entries whose claim passed, or is not asked at all: they must go, or they would hide a failure."""
    still = {f.claim for f in verdict.findings if f.verdict in {Answer.VIOLATED, Answer.INCONCLUSIVE}}
    return tuple(known for known in listed if known.claim not in still)


def is_expected(verdict: Verdict, listed: Sequence[KnownIssue]) -> bool:
    """Tell whether what does not pass is violated and listed, all of it, and all that is listed is violated.

    INCONCLUSIVE is never expected. Of a control, all that must fail there has to fail besides.
    """
    passing = {*PASSING, Answer.NOT_PROMISED}
    must_fail = tuple(it for it in verdict.findings if verdict.is_control and it.fails_on_control)
    failed = tuple(it for it in verdict.findings if it.verdict not in passing and it not in must_fail)
    if not failed or outdated(verdict, listed):
        return False
    is_proven = not verdict.is_control or judge_passed(must_fail, verdict.defects, is_control=True)
    return is_proven and all(issue_of(finding, listed) for finding in failed)


def told(verdict: Verdict, listed: Sequence[KnownIssue]) -> str:
    """Return what there is to say of the entries, "" when nothing: as known, or which of them must go."""
    if is_expected(verdict, listed):
        return f"{Answer.VIOLATED} as known ({', '.join(dict.fromkeys(known.issue.url for known in listed))})"
    return "\n".join(
        f"no longer deviates, so remove the entry from the mesh's file: {known.claim} ({known.issue.url})"
        for known in outdated(verdict, listed)
    )
