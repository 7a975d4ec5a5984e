"""Known issues: claims, by id, that a mesh is known to break. They excuse no answer; they make it an expected one.

A run that violates exactly the listed claims, and none beyond the edges, the phase and the numbers of its entry, is
expected. An entry whose claim passes is outdated and must be removed.
"""

from collections.abc import Sequence

from clusters.model import KnownIssue, Reference
from drills.judge import inert
from drills.judge.measure import Truth
from drills.judge.quantifiers import Quantifier
from drills.judge.records import PHASES
from drills.judge.verdict import PASSING, Finding, Outcome, Verdict, judge_passed

_HARM: dict[str, Truth] = {Quantifier.NEVER: Truth.TRUE}
"""The truth of a harmed row, where it is not FALSE."""


def issue_of(finding: Finding, listed: Sequence[KnownIssue]) -> Reference | None:
    """Return the known issue of a violated finding, or None; None, too, where the finding goes beyond what is known."""
    issues = (known.issue for known in listed if known.claim == finding.id and not beyond(finding, known))
    return next(issues, None) if finding.outcome is Outcome.VIOLATED else None


def beyond(finding: Finding, known: KnownIssue) -> str:
    """Return in what a finding is worse than the issue that is known of its claim, "" where it is not."""
    harmed = [row for row in finding.rows if row.truth is _HARM.get(finding.quantifier, Truth.FALSE)]
    edges = sorted({row.subject.partition(",")[0] for row in harmed} - set(known.edges)) if known.edges else []
    if edges:
        return f"{', '.join(edges)} is new"
    if known.since and finding.first_harm in PHASES[: PHASES.index(known.since)]:
        return f"the first harm is in the {finding.first_harm}, known since the {known.since}"
    for name, most in known.at_most.items():
        values = [value for row in harmed if isinstance(value := row.numbers.get(name), int | float)]
        if max(values, default=0) > most:
            return f"{name} is {max(values)}, known up to {most:g}"
    return ""


def outdated(verdict: Verdict, listed: Sequence[KnownIssue]) -> tuple[KnownIssue, ...]:
    """Return the entries whose claim passed or was not asked; left in place they would hide a later failure."""
    still = {f.id for f in verdict.findings if f.outcome in {Outcome.VIOLATED, Outcome.INCONCLUSIVE}}
    return tuple(known for known in listed if known.claim not in still)


def is_expected(verdict: Verdict, listed: Sequence[KnownIssue], *, strict: bool = False) -> bool:
    """Return whether every claim that fails is violated and listed, and every listed claim is violated.

    INCONCLUSIVE is never expected. On a control, every claim that must fail there has to fail as well. strict: claims
    that the mesh does not promise fail a run, too.
    """
    must_fail = tuple(it for it in verdict.findings if verdict.is_control and it.fails_on_control)
    failed = tuple(
        it
        for it in verdict.findings
        if (strict or it.is_promised) and it.outcome not in PASSING and it not in must_fail
    )
    if not failed or outdated(verdict, listed):
        return False
    is_proven = not verdict.is_control or judge_passed(must_fail, verdict.defects, is_control=True)
    return is_proven and all(issue_of(finding, listed) for finding in failed)


def describe(verdict: Verdict, listed: Sequence[KnownIssue], *, strict: bool = False) -> str:
    """Return one sentence: violated as known, worse than known, or which entries are outdated; "" when none applies."""
    if is_expected(verdict, listed, strict=strict):
        links = ", ".join(dict.fromkeys(known.issue.url for known in listed))
        return inert.printable(f"{Outcome.VIOLATED} as known ({links})")
    worse = (
        f"worse than the known issue: {known.claim}: {more} ({known.issue.url})"
        for known in listed
        for finding in verdict.findings
        if finding.id == known.claim and finding.outcome is Outcome.VIOLATED and (more := beyond(finding, known))
    )
    gone = (
        f"known issue no longer seen, so remove it from the mesh's known_issues.toml: {known.claim} ({known.issue.url})"
        for known in outdated(verdict, listed)
    )
    return inert.lines((*worse, *gone))
