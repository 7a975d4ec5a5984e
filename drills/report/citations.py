"""Citations in a decision record: each answer with its runs, each run with its link and its hash."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from drills.judge.bundle_files import REPORT_MD_FILE
from drills.judge.verdict import FAILING, SEVERITY, Answer, Finding
from drills.report.bundles import Run
from drills.report.markdown import Markdown, cell, table

NO_EVIDENCE = "no evidence in these bundles"
MAX_REFS = 3
"""Runs that one cell names; the table of bundles at the end of a record names all."""
NOT_ASKED = "-"
_REACHED = "reached"  # says that a claim's condition occurred, and answers no question
_PHASE = re.compile(r"-in-(baseline|fault|recovery)$")

Select = Callable[[Run, Finding], bool]


@dataclass(frozen=True)
class Citations:
    """The runs that a record cites. titles: of each alternative, by mesh name; folder: that of the record.

    skipped: the reason why a drill cannot run on a mesh, by (drill, mesh).
    """

    runs: tuple[Run, ...]
    titles: Mapping[str, str]
    folder: Path
    skipped: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[Run, ...]:
        """Return the runs of the alternatives, without controls."""
        return tuple(run for run in self.runs if not run.verdict.is_control)

    @property
    def controls(self) -> tuple[Run, ...]:
        """Return the controls, in which security claims must be violated."""
        return tuple(run for run in self.runs if run.verdict.is_control)

    def of(self, mesh: str) -> tuple[Run, ...]:
        """Return the runs of one alternative."""
        return tuple(run for run in self.asked if run.verdict.mesh == mesh)

    def ref(self, run: Run) -> Markdown:
        """Return a reference by the hash of the run's statement: numbers would change with every update."""
        return Markdown(f"[{run.short_hash}]")

    def refs(self, runs: Iterable[Run]) -> Markdown:
        """Return the references of several runs, each once: at most MAX_REFS, and the number of the others."""
        return _few(list(dict.fromkeys(map(self.ref, runs))))

    def links(self) -> list[str]:
        """Return the link definitions of all references, valid in the whole Markdown file."""
        return [f"[{run.short_hash}]: {self._address(run)}" for run in self.runs]

    def answered(self, answers: Sequence[tuple[Answer, Run]]) -> Markdown:
        """Return the runs; grouped by answer if they differ, so that a repeat never hides a failure."""
        alike = len({answer for answer, _ in answers}) == 1
        return self.refs(run for _, run in answers) if alike else self._by_answer(answers)

    def _by_answer(self, answers: Sequence[tuple[Answer, Run]]) -> Markdown:
        """Return each answer with its runs, the worst first."""
        kinds = sorted({answer for answer, _ in answers}, key=SEVERITY.index, reverse=True)
        of_kinds = (f"{cell(kind)}: {self.refs(run for answer, run in answers if answer is kind)}" for kind in kinds)
        return Markdown("; ".join(of_kinds))

    def _address(self, run: Run) -> str:
        return quote(Path(os.path.relpath(run.bundle.resolve() / REPORT_MD_FILE, self.folder)).as_posix())

    def claims(self, select: Select, absent: str = NO_EVIDENCE) -> list[str]:
        """Return a table of the selected questions with the answer of each alternative, or `absent` if there are none.

        A question is asked in several windows and drills: its worst answer counts.
        """
        found: dict[str, dict[str, list[tuple[Run, Finding]]]] = {}
        for mesh in self.titles:
            for run, finding in findings(self.of(mesh), select):
                found.setdefault(_question(finding), {}).setdefault(mesh, []).append((run, finding))
        if not found:
            return [f"{absent}."]
        rows = (
            (
                _words(asked),
                *(self.summed(asked.get(mesh, ())) for mesh in self.titles),
                self._fails_on_control(asked),
            )
            for asked in found.values()
        )
        return table(("question", *self.titles.values(), "fails on the control"), rows)

    def summed(self, asked: Iterable[tuple[Run, Finding]]) -> Markdown:
        """Return the worst answer, its number of runs, and the newest of these; NOT_ASKED without any.

        NOT_PROMISED is reported separately with what was measured; beside promised answers only if it did not hold.
        """
        promised: dict[str, tuple[Run, Answer]] = {}
        silent: dict[str, tuple[Run, Answer]] = {}
        for run, finding in asked:
            is_silent = finding.verdict is Answer.NOT_PROMISED
            _keep_worst(silent if is_silent else promised, run, measured_of(run, finding))
        parts = [self._decided("", promised)] if promised else []
        if silent and (not promised or any(answer is not Answer.HELD for _, answer in silent.values())):
            parts.append(self._decided(f"{Answer.NOT_PROMISED}, measured ", silent))
        return Markdown("<br>".join(parts) or NOT_ASKED)

    def _decided(self, prefix: str, of_runs: Mapping[str, tuple[Run, Answer]]) -> str:
        worst = max((answer for _, answer in of_runs.values()), key=SEVERITY.index)
        deciding = [run for run, answer in of_runs.values() if answer is worst]
        counted = _counted(len(deciding), len(of_runs))
        return f"{cell(prefix + worst)}, {counted}: {self.ref(max(deciding, key=_age))}"

    def _fails_on_control(self, of_meshes: Mapping[str, Sequence[tuple[Run, Finding]]]) -> str:
        """Return whether the question fails on the controls of its drills, and how many drills have none."""
        asked = [it for of_mesh in of_meshes.values() for it in of_mesh]
        question, drills = _question(asked[0][1]), {run.verdict.drill for run, _ in asked}
        of_question = [
            it
            for it in findings(self.controls, lambda _, it: _question(it) == question)
            if it[0].verdict.drill in drills
        ]
        if of_question and not any(finding.fails_on_control for _, finding in of_question):
            return "not meant to"
        blind = [run for run, it in of_question if it.fails_on_control and it.verdict not in FAILING]
        if blind:
            return Markdown(f"**NO**: {self.refs(blind)}")
        seen = {run.verdict.drill for run, _ in of_question}
        if not seen:
            return f"no control of {_plural(len(drills), 'drill')}"
        newest = max((run for run, _ in of_question), key=_age)
        return Markdown(f"yes, control of {len(seen)} of {_plural(len(drills), 'drill')}: {self.ref(newest)}")


def _question(finding: Finding) -> str:
    """Return the claim's id without its phase: the same question is asked in several."""
    return _PHASE.sub("", finding.id)


def _words(asked: Mapping[str, Sequence[tuple[Run, Finding]]]) -> str:
    """Return a question in words, without phase and bound."""
    finding = next(finding for of_mesh in asked.values() for _, finding in of_mesh)
    return f"{finding.quantifier}: {finding.claim.partition(': ')[2]}"


def _age(run: Run) -> tuple[datetime, str]:
    return run.began, run.statement_sha256


def _counted(count: int, total: int) -> str:
    return _plural(total, "run") if count == total else f"{count} of {_plural(total, 'run')}"


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _few(names: Sequence[Markdown]) -> Markdown:
    more = len(names) - MAX_REFS
    return Markdown(f"{' '.join(names[:MAX_REFS])}{f' and {more} more' if more > 0 else ''}")


def measured_of(run: Run, finding: Finding) -> Answer:
    """Return an answer as it counts; for NOT_PROMISED, what was measured (INCONCLUSIVE if unrecorded)."""
    if finding.verdict is not Answer.NOT_PROMISED:
        return run.standing_of(finding)
    return Answer.INCONCLUSIVE if finding.measured is msgspec.UNSET else finding.measured


def _keep_worst(kept: dict[str, tuple[Run, Answer]], run: Run, answer: Answer) -> None:
    _, before = kept.get(run.statement_sha256, (run, answer))
    kept[run.statement_sha256] = (run, max(before, answer, key=SEVERITY.index))


def findings(runs: Iterable[Run], select: Select) -> Iterator[tuple[Run, Finding]]:
    """Yield the selected findings of the runs, without those of the quantifier `reached`."""
    for run in runs:
        for finding in run.verdict.findings:
            if finding.quantifier != _REACHED and select(run, finding):
                yield run, finding
