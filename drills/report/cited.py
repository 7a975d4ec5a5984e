"""Runs as lines of a record: each answer with the runs that gave it, each run with its link and its hash."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from drills.judge.verdict import SEVERITY, Answer, Finding
from drills.report.bundles import Run

NO_EVIDENCE = "no evidence in these bundles"
MAX_REFS = 3
"""What a reader follows from one cell; the table of bundles at the end of a record names every run."""
_NOT_ASKED = "-"
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
        """Return the references of several runs, each once: a few, and how many more there are."""
        return _few(list(dict.fromkeys(map(self.ref, runs))))

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
        """Return a table of the selected questions, with the answer of each alternative; `absent` where nobody asked.

        The same question is asked in several windows and drills: the worst of its answers counts.
        """
        found: dict[str, dict[str, list[tuple[Run, Finding]]]] = {}
        for mesh in self.titles:
            for run, finding in findings(self.of(mesh), select):
                found.setdefault(_question(finding), {}).setdefault(mesh, []).append((run, finding))
        if not found:
            return [f"{absent}."]
        rows = (
            (cell(question), *(self._summed(told.get(mesh, ())) for mesh in self.titles), self._seen_to_fail(told))
            for question, told in found.items()
        )
        return table(("question", *self.titles.values(), "seen to fail without a mesh"), rows)

    def _summed(self, told: Sequence[tuple[Run, Finding]]) -> str:
        """Return the answers to a question, the worst first; of what is not promised, what was measured."""
        by_answer: dict[tuple[int, str], dict[str, Run]] = {}
        for run, finding in told:
            answer = run.standing_of(finding)
            rank = SEVERITY.index(answer)
            name = f"{answer}; measured: {_measured(finding)}" if answer is Answer.NOT_PROMISED else str(answer)
            by_answer.setdefault((rank, name), {})[run.statement_sha256] = run
        parts = (f"{name}: {self.refs(runs.values())}" for (_, name), runs in sorted(by_answer.items(), reverse=True))
        return "<br>".join(parts) or _NOT_ASKED

    def _seen_to_fail(self, told: Mapping[str, Sequence[tuple[Run, Finding]]]) -> str:
        """Return the controls that show that the question can be failed, and the drills that have none."""
        asked = [it for of_mesh in told.values() for it in of_mesh]
        question, drills = _question(asked[0][1]), {run.verdict.drill for run, _ in asked}
        of_question = [
            it
            for it in findings(self.controls, lambda _, it: _question(it) == question)
            if it[0].verdict.drill in drills
        ]
        if of_question and not any(finding.fails_on_control for _, finding in of_question):
            return "not asked to"
        blind = [run for run, it in of_question if it.fails_on_control and it.verdict is not Answer.VIOLATED]
        if blind:
            return f"**NO**: {self.refs(blind)}"
        without = sorted(drills - {run.verdict.drill for run, _ in of_question})
        parts = [f"yes: {self.refs(run for run, _ in of_question)}"] if of_question else []
        parts += [f"no control of {_few([cell(drill) for drill in without])}"] if without else []
        return "; ".join(parts)


def _question(finding: Finding) -> str:
    """Return what a claim asks, without window and bound: the same thing is asked in several."""
    return f"{finding.quantifier}: {finding.claim.partition(': ')[2]}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - MAX_REFS
    return f"{' '.join(names[:MAX_REFS])}{f' and {more} more' if more > 0 else ''}"


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
