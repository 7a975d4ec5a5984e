"""report.html: one run as a single self-contained page, for screens and for print."""

from collections import Counter
from pathlib import Path

import msgspec

from clusters.model import Reference
from drills.judge import known
from drills.judge.bundle_files import DRAWN, REPORT_HTML_FILE, STATEMENT_FILE
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import SEVERITY, Finding, Verdict
from drills.report import known_issues, markup
from drills.report.figures import ages, headline, shortest_outage_ms
from drills.report.page import page_bounds
from drills.report.page.bins import musts
from drills.report.page.drawing import drawing
from drills.report.page.failures import failures
from drills.report.page.html_tables import NumberTable, by_instant, edge_windows, number_table
from drills.report.run_file import Environment, recorded_by
from drills.report.signals import appeared, unseen
from drills.report.traffic import TRANSITION_S, edges, measured, transitions
from drills.report.trust.statement import digests
from drills.report.wording import IN_WORDS, promise_of, without_promise

_TEMPLATE = "report.html.j2"
_DEFECTS_SHOWN = 10
_SAYS = {
    "calls.parquet": "every call, from both ends",
    "events.jsonl": "faults, receipts, signals, plaintext found on the wire",
    "experiment.json": "the drill as a Chaos Toolkit experiment",
    "journal.json": "what Chaos Toolkit did",
    "junit.xml": "the verdict for a CI server",
    "report.md": "this report as text",
    "run.json": "facts of the run, its environment, the digests of calls and events",
    "verdict.json": "every finding with its numbers",
    STATEMENT_FILE: "the SHA-256 of every file here, this page among them",
}


class Claimed(msgspec.Struct, frozen=True):
    """One finding with its number in the verdict and its table."""

    number: int
    finding: Finding
    table: NumberTable
    examples: tuple["Examples", ...]
    issue: Reference | None  # the known issue that lists this claim

    @property
    def is_open(self) -> bool:
        """Whether the page shows it unfolded: every claim that did not hold."""
        return self.finding.outcome is not SEVERITY[0]


class Examples(msgspec.Struct, frozen=True):
    """Counter-examples with the same outcome and error. ids: call id and seconds since the start of the window."""

    outcome: str
    error: str
    ids: tuple[tuple[str, float], ...]


class FileOfBundle(msgspec.Struct, frozen=True):
    """One file beside the page. sha256: "" for files that are generated together with the page, or after it."""

    name: str
    says: str
    sha256: str


def render(history: History, verdict: Verdict, environment: Environment, bundle: Path) -> str:
    """Return the page of a bundle. The same files give the same bytes."""
    part = page_bounds.shown(history, verdict)
    claims = [
        Claimed(number, it, number_table(it.rows), _examples(it), known.issue_of(it, history.facts.known_issues))
        for number, it in enumerate(part.verdict.findings, 1)
    ]
    window_names, edge_rows = edge_windows(edges(part.history))
    return markup.page(
        _TEMPLATE,
        ("print.js",),
        bundle=bundle.name,
        left_out=part.left_out,
        verdict=verdict,
        expected=known_issues.expected(verdict, history.facts.known_issues),
        in_words=IN_WORDS[verdict.outcome],
        without_promise=without_promise(verdict.findings),
        promise_of=promise_of,
        environment=environment,
        recorded_by=recorded_by(environment),
        headline=headline(verdict, history),
        counted=_counted(verdict),
        failed=failures(history, part.verdict),
        appeared=appeared(history),
        claims=sorted(claims, key=lambda it: -SEVERITY.index(it.finding.outcome)),
        musts=musts(part.verdict.findings),
        drawing=drawing(part.history, part.verdict),
        unseen=unseen(history),
        measured=measured(history),
        run=history.windows().get("run"),
        ages=ages(history),
        shortest_outage_ms=shortest_outage_ms(verdict.findings),
        transitions=by_instant(transitions(part.history, part.instants)),
        transition_s=TRANSITION_S,
        window_names=window_names,
        edge_rows=edge_rows,
        timeline=part.timeline,
        defects=verdict.defects[:_DEFECTS_SHOWN],
        files=_files(bundle),
    )


def _counted(verdict: Verdict) -> list[tuple[str, int]]:
    """Return how many claims had each outcome, the worst first."""
    count = Counter(finding.outcome for finding in verdict.findings)
    return [(answer.value, count[answer]) for answer in reversed(SEVERITY) if count[answer]]


def _examples(finding: Finding) -> tuple[Examples, ...]:
    """Return the finding's examples, grouped by outcome and error."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for it in finding.counter_examples:
        start_ns = finding.window.start_ns if finding.window else it.at_ns
        found.setdefault((it.outcome, it.error), []).append((it.id, (it.at_ns - start_ns) / NS_PER_S))
    return tuple(Examples(outcome, error, tuple(ids)) for (outcome, error), ids in found.items())


def _files(bundle: Path) -> list[FileOfBundle]:
    """Return the files beside the page, with the digest of those that are not generated from others."""
    found = digests(bundle)
    names = [*(it for it in found if it not in DRAWN), *sorted(set(DRAWN) - {REPORT_HTML_FILE}), STATEMENT_FILE]
    return [FileOfBundle(it, _SAYS.get(it, ""), "" if it in DRAWN else found.get(it, "")) for it in names]
