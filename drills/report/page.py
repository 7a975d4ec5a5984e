"""report.md: one run, told so that a reader can disagree with it."""

from collections.abc import Iterable

import jinja2

from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Answer, Finding, Verdict, count_not_promised
from drills.report.numbers import TRANSITION_S, edges, measured, transitions
from drills.report.record import Surroundings

_TRANSITIONS = {"fault.injected": "fault injected", "fault.undo_applied": "fault undone"}
_DEFECTS_SHOWN = 10
_TIMELINE = (
    "phase",
    "fault.undo_written",
    "fault.injected",
    "fault.receipt",
    "fault.undo_applied",
    "fault.undo_verified",
)
_IN_WORDS = {
    Answer.HELD: "every claim is true over enough samples",
    Answer.FAILED_OBSERVABLY: "a claim is false, and the signal that it names told of it in time",
    Answer.INCONCLUSIVE: "the run could not find out",
    Answer.VIOLATED: "a claim is false, and no named signal told of it in time",
}


def render(history: History, verdict: Verdict, stood_on: Surroundings, bundle: str) -> str:
    """Return the page for the bundle of that folder name."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown; `cell` escapes what a table cannot carry
    )
    environment.filters |= {"cell": _cell, "number": _number, "ms": _ms, "joined": _joined, "hypothesis_quote": _quote}
    return environment.get_template("report.md.j2").render(
        bundle=bundle,
        verdict=verdict,
        defects_shown=_DEFECTS_SHOWN,
        in_words=_IN_WORDS[verdict.verdict],
        not_promised=count_not_promised(verdict.findings),
        hypothesis=stood_on.hypothesis,
        stood_on=stood_on,
        measured=measured(history),
        edges=edges(history),
        transitions=transitions(history, _instants(history)),
        transition_s=TRANSITION_S,
        timeline=_timeline(history),
        shortest_outage_ms=_shortest_outage_ms(verdict.findings),
    )


def _instants(history: History) -> list[tuple[str, int]]:
    events = history.of_kind(*_TRANSITIONS)
    return [(f"{_TRANSITIONS[event.kind]}: {event.subject}", event.at_ns) for event in events]


def _timeline(history: History) -> list[tuple[float, str]]:
    """Return (seconds since the first event, words); of a receipt that repeats itself only each change."""
    lines: list[tuple[float, str]] = []
    told = ""
    for event in history.of_kind(*_TIMELINE):
        words = f"{event.kind} {event.subject}"
        if event.kind == "fault.receipt":
            landed = "landed" if event.flag("landed") else "not landed"
            words = f"receipt of {event.subject}: {landed}, by {event.text('observer')} ({event.text('evidence')})"
            if landed == told:
                continue
            told = landed
        lines.append(((event.at_ns - history.events[0].at_ns) / NS_PER_S, words))
    return lines


def _shortest_outage_ms(findings: Iterable[Finding]) -> float | None:
    """Return the shortest outage that the run could have missed: that of its weakest traffic claim."""
    found = [finding.resolving.shortest_outage_ms for finding in findings if finding.resolving is not None]
    return max(found, default=None)


def _cell(value: object) -> str:
    """Return the value as one line of a Markdown table."""
    return " ".join(_number(value).split()).replace("|", "\\|")


def _number(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return _params(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _joined(values: list[object]) -> str:
    return "; ".join(text for text in map(_cell, values) if text)


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{_number(value)} ms"


def _params(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
