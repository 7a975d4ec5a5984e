"""Runs as lines of a record: each answer with the runs that gave it, each run with its link and its hash."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from drills.judge.verdict import SEVERITY, Answer, Finding, worst
from drills.report.bundles import Run, standing

NO_EVIDENCE = "no evidence in these bundles"
_REPORT_FILE = "report.md"
_REACHED = "reached"  # says that the question was really put, not how it was answered

Select = Callable[[Run, Finding], bool]


@dataclass(frozen=True)
class Cited:
    """The runs of one record. titles: every mesh that is an alternative, by name; folder: where the record lies.

    unasked: why a drill cannot be asked of a mesh, by both names.
    """

    runs: tuple[Run, ...]
    titles: Mapping[str, str]
    folder: Path
    unasked: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[Run, ...]:
        """Return the runs of the alternatives: a control promises nothing of a mesh."""
        return tuple(run for run in self.runs if not run.verdict.is_control)

    @property
    def controls(self) -> tuple[Run, ...]:
        """Return the runs without protection, in which security claims had to be violated."""
        return tuple(run for run in self.runs if run.verdict.is_control)

    def of(self, mesh: str) -> tuple[Run, ...]:
        """Return the runs of one alternative."""
        return tuple(run for run in self.asked if run.verdict.mesh == mesh)

    def ref(self, run: Run) -> str:
        """Return a reference by the hash of the run's statement: numbers would shift with every update."""
        return f"[{run.short_hash}]"

    def refs(self, runs: Iterable[Run]) -> str:
        """Return the references of several runs."""
        return " ".join(self.ref(run) for run in runs)

    def links(self) -> list[str]:
        """Return what makes every reference a link to the run's report; it holds for the whole Markdown file."""
        return [f"[{run.short_hash}]: {self._address(run)}" for run in self.runs]

    def answered(self, answers: Sequence[tuple[Answer, Run]]) -> str:
        """Return the runs of an answer; where runs differ, the runs of each answer: a repeat never hides a failure."""
        alike = len({answer for answer, _ in answers}) == 1
        return self.refs(run for _, run in answers) if alike else self.told(answers)

    def told(self, answers: Sequence[tuple[Answer, Run]]) -> str:
        """Return each answer with its runs, the worst first; "" without any."""
        kinds = sorted({answer for answer, _ in answers}, key=SEVERITY.index, reverse=True)
        return "; ".join(f"{kind}: {self.refs(run for answer, run in answers if answer is kind)}" for kind in kinds)

    def _address(self, run: Run) -> str:
        return quote(Path(os.path.relpath(run.bundle.resolve() / _REPORT_FILE, self.folder)).as_posix())

    def claims(self, select: Select, absent: str = NO_EVIDENCE) -> list[str]:
        """Return a table of the claims that are selected, per alternative, and `absent` for each that has none."""
        rows = [row for mesh in self.titles for row in self._claim_rows(mesh, select, absent)]
        return table(("mesh", "answer", "claim", "runs", "seen to fail without a mesh"), rows)

    def _claim_rows(self, mesh: str, select: Select, absent: str) -> Iterator[tuple[str, ...]]:
        found: dict[str, list[tuple[Run, Finding]]] = {}
        for run, finding in findings(self.of(mesh), select):
            found.setdefault(finding.claim, []).append((run, finding))
        for claim, told in found.items():
            yield (
                self.titles[mesh],
                *self._summed(told),
                self._seen_to_fail(claim, {run.verdict.drill for run, _ in told}),
            )
        if not found:
            yield (self.titles[mesh], absent, "", "", "")

    def _summed(self, told: Sequence[tuple[Run, Finding]]) -> tuple[str, str, str]:
        """Return answer, claim and runs; of what the mesh does not promise, what was measured all the same."""
        claim = cell(told[0][1].claim)
        answers = [(run.standing_of(finding), run) for run, finding in told]
        if standing(answer for answer, _ in answers) is not Answer.NOT_PROMISED:
            return worst(answer for answer, _ in answers), claim, self.answered(answers)
        measured = [(_measured(it), run) for run, it in told]
        found = worst(answer for answer, _ in measured)
        return f"{Answer.NOT_PROMISED}; measured: {found}", claim, self.answered(measured)

    def _seen_to_fail(self, claim: str, drills: set[str]) -> str:
        """Return the controls that show that the claim can fail at all, and the drills that have no such control."""
        of_claim = [
            it for it in findings(self.controls, lambda _, it: it.claim == claim) if it[0].verdict.drill in drills
        ]
        if of_claim and not any(finding.fails_on_control for _, finding in of_claim):
            return "not asked to"
        blind = [
            run for run, finding in of_claim if finding.fails_on_control and finding.verdict is not Answer.VIOLATED
        ]
        if blind:
            return f"**NO**: {self.refs(blind)}"
        without = sorted(drills - {run.verdict.drill for run, _ in of_claim})
        parts = [f"yes: {self.refs(run for run, _ in of_claim)}"] if of_claim else []
        return "; ".join(parts + ([f"no control of {', '.join(map(cell, without))}"] if without else []))


def _measured(finding: Finding) -> Answer:
    """Return what the answer would be if the mesh had promised it; a record that does not say so leaves it open."""
    return Answer.INCONCLUSIVE if finding.measured is msgspec.UNSET else finding.measured


def findings(runs: Iterable[Run], select: Select) -> Iterator[tuple[Run, Finding]]:
    """Yield what the runs found of the claims that are selected; never that a question was merely put."""
    for run in runs:
        for finding in run.verdict.findings:
            if finding.quantifier != _REACHED and select(run, finding):
                yield run, finding


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def cell(text: object) -> str:
    """Return a text as one line that neither ends a cell nor opens a tag."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
