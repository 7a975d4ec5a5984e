"""report.md: one run, told so that a reader can disagree with it."""

from functools import cache

import jinja2

from drills.judge import known
from drills.judge.history import History
from drills.judge.verdict import Verdict, count_not_promised
from drills.report import issues
from drills.report.formats import ms, number
from drills.report.numbers import TRANSITION_S, edges, measured, transitions
from drills.report.readings import IN_WORDS, instants, shortest_outage_ms, timeline
from drills.report.record import Surroundings

_DEFECTS_SHOWN = 10


def render(history: History, verdict: Verdict, stood_on: Surroundings, bundle: str) -> str:
    """Return the page for the bundle of that folder name."""
    return _template().render(
        bundle=bundle,
        verdict=verdict,
        defects_shown=_DEFECTS_SHOWN,
        expected=issues.expected(verdict, history.facts.deviates),
        issues=[known.issue_of(finding, history.facts.deviates) for finding in verdict.findings],
        in_words=IN_WORDS[verdict.verdict],
        not_promised=count_not_promised(verdict.findings),
        hypothesis=stood_on.hypothesis,
        stood_on=stood_on,
        measured=measured(history),
        edges=edges(history),
        transitions=transitions(history, instants(history)),
        transition_s=TRANSITION_S,
        timeline=timeline(history),
        shortest_outage_ms=shortest_outage_ms(verdict.findings),
    )


@cache  # to compile the template takes longer than to fill it in
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown; `cell` escapes what a table cannot carry
    )
    environment.filters |= {"cell": _cell, "number": number, "ms": ms, "joined": _joined, "hypothesis_quote": _quote}
    return environment.get_template("report.md.j2")


def _cell(value: object) -> str:
    """Return the value as one line of a Markdown table."""
    return " ".join(number(value).split()).replace("|", "\\|")


def _joined(values: list[object]) -> str:
    return "; ".join(text for text in map(_cell, values) if text)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
