"""Known issues: claims, by id, that a mesh is known to break. They excuse no answer; they make it an expected one.

A run that violates exactly the listed claims is expected. An entry whose claim passes is outdated and must be removed.
"""

from collections.abc import Sequence

from clusters.model import KnownIssue, Reference
from drills.judge import inert
from drills.judge.verdict import PASSING, Answer, Finding, Verdict, judge_passed


def issue_of(finding: Finding, listed: Sequence[KnownIssue]) -> Reference | None:
    """Return the known issue of a violated finding, or None."""
    issues = (known.issue for known in listed if known.claim == finding.id)
    return next(issues, None) if finding.verdict is Answer.VIOLATED else None


def outdated(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[KnownIssue, ...]:
    """Return the entries whose claim passed or was not asked; left in place they would hide a later failure."""
    still = {f.id for f in verdict.findings if f.verdict in {Answer.VIOLATED, Answer.INCONCLUSIVE}}
    return tuple(known for known in listed if known.claim not in still)


def is_expected(verdict: Verdict, listed: Sequence[KnownIssue]) -> bool:
    """Return whether every claim that fails is violated and listed, and every listed claim is violated.

    INCONCLUSIVE is never expected. On a control, every claim that must fail there has to fail as well.
    """
    passing = {*PASSING, Answer.NOT_PROMISED}
    must_fail = tuple(it for it in verdict.findings if verdict.is_control and it.fails_on_control)
    failed = tuple(it for it in verdict.findings if it.verdict not in passing and it not in must_fail)
    if not failed or outdated(verdict, listed):
        return False
    is_proven = not verdict.is_control or judge_passed(must_fail, verdict.defects, is_control=True)
    return is_proven and all(issue_of(finding, listed) for finding in failed)


def describe(verdict: Verdict, listed: Sequence[KnownIssue]) -> str:
    """Return one sentence: violated as known, or which entries are outdated; "" when neither applies."""
    if is_expected(verdict, listed):
        links = ", ".join(dict.fromkeys(known.issue.url for known in listed))
        return inert.printable(f"{Answer.VIOLATED} as known ({links})")
    return inert.lines(
        f"known issue no longer seen, so remove it from the mesh's known_issues.toml: {known.claim} ({known.issue.url})"
        for known in outdated(verdict, listed)
    )
