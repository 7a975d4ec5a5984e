"""report.md: one run as Markdown, with everything that a reader needs to disagree with the verdict."""

from drills.judge import known
from drills.judge.history import History
from drills.judge.verdict import Verdict
from drills.report import known_issues
from drills.report.figures import ages, shortest_outage_ms
from drills.report.markdown import template
from drills.report.page import page_bounds
from drills.report.page.failures import failures
from drills.report.run_file import Environment, recorded_by
from drills.report.signals import appeared
from drills.report.traffic import TRANSITION_S, edges, measured, transitions
from drills.report.wording import IN_WORDS, promise_of, without_promise

_DEFECTS_SHOWN = 10


def render(history: History, verdict: Verdict, environment: Environment, bundle: str) -> str:
    """Return the page for the bundle of that folder name."""
    part = page_bounds.shown(history, verdict)
    return template("report.md.j2").render(
        bundle=bundle,
        verdict=part.verdict,
        claims=len(verdict.findings),
        left_out=part.left_out,
        defects_shown=_DEFECTS_SHOWN,
        expected=known_issues.expected(verdict, history.facts.known_issues),
        issues=[known.issue_of(finding, history.facts.known_issues) for finding in part.verdict.findings],
        in_words=IN_WORDS[verdict.outcome],
        failed=failures(history, part.verdict),
        appeared=appeared(history),
        without_promise=without_promise(verdict.findings),
        promise_of=promise_of,
        hypothesis=environment.hypothesis,
        environment=environment,
        recorded_by=recorded_by(environment),
        measured=measured(history),
        edges=edges(part.history),
        transitions=transitions(part.history, part.instants),
        transition_s=TRANSITION_S,
        timeline=part.timeline,
        ages=ages(history),
        shortest_outage_ms=shortest_outage_ms(verdict.findings),
    )
