"""Citations in a decision record: each answer with its runs, each run with its link and its hash."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from drills.judge.bundle_files import REPORT_MD_FILE
from drills.judge.verdict import FAILING, Finding, Standing
from drills.report.bundles import Run
from drills.report.markdown import Markdown, table
from drills.report.provenance import NOTE_FILE, note_of
from drills.report.run_file import edition

NO_EVIDENCE = "no evidence in these bundles"
NO_CHECK = "no check answers this"
MAX_REFS = 3
"""Runs that one cell names; the table of bundles at the end of a record names all."""
NOT_ASKED = "-"
_REACHED = "reached"  # says that a claim's condition occurred, and answers no question
_PHASE = re.compile(r"-in-(baseline|fault|recovery)$")

Select = Callable[[Run, Finding], bool]


@dataclass(frozen=True)
class Citations:
    """The runs that a record cites. titles: of each alternative, by mesh name; folder: that of the record.

    skipped: the reason why a drill cannot run on a mesh, by (drill, mesh). control_meshes: names of the meshes that are
    controls.
    """

    runs: tuple[Run, ...]
    titles: Mapping[str, str]
    folder: Path
    skipped: Mapping[tuple[str, str], str] = field(default_factory=dict)
    control_meshes: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[Run, ...]:
        """Return the runs of the alternatives, without controls."""
        return tuple(run for run in self.runs if not (run.verdict.is_control or run.verdict.without_fault))

    @property
    def controls(self) -> tuple[Run, ...]:
        """Return the controls, in which security claims must be violated."""
        return tuple(run for run in self.runs if run.verdict.is_control)

    @property
    def measured(self) -> tuple[Run, ...]:
        """Return the runs in which something was broken, with the controls among them."""
        return tuple(run for run in self.runs if not run.verdict.without_fault)

    def no_fault_controls(self, drill: str, mesh: str) -> tuple[Run, ...]:
        """Return the no-fault controls of a drill on a mesh."""
        return tuple(run for run in self.runs if run.verdict.without_fault and run.pair == (drill, mesh))

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

    def notes(self) -> list[str]:
        """Return a sentence with the note on each folder of first-edition runs; none where no note lies there."""
        old = (run.bundle for run in self.runs if edition(run.environment))
        notes = sorted({note for bundle in old if (note := note_of(bundle)) is not None})
        links = ", ".join(f"[{NOTE_FILE}]({self._relative(note)})" for note in notes)
        return [f"What the record of a run of the first edition lacks: {links}."] if links else []

    def counted(self, runs: Sequence[Run]) -> Markdown:
        """Return the worst standing of the runs, how many of them have it, and each standing with its runs."""
        kinds = sorted({run.standing for run in runs}, key=_rank, reverse=True)
        of_kind = {kind: [run for run in runs if run.standing == kind] for kind in kinds}
        worst = f"**{kinds[0]}**, {_counted(len(of_kind[kinds[0]]), len(runs))}"
        if len(kinds) == 1:
            return Markdown(f"{worst} {self.refs(runs)}")
        return Markdown(f"{worst} {'; '.join(f'{kind}: {self.refs(found)}' for kind, found in of_kind.items())}")

    def _address(self, run: Run) -> str:
        return self._relative(run.bundle.resolve() / REPORT_MD_FILE)

    def _relative(self, file: Path) -> str:
        return quote(Path(os.path.relpath(file, self.folder)).as_posix())

    def claims(self, select: Select, absent: str = NO_CHECK) -> list[str]:
        """Return a table of the selected questions with the answer of each alternative, or `absent` if there are none.

        A question is asked in several windows and drills: its worst outcome counts.
        """
        found: dict[str, dict[str, list[tuple[Run, Finding]]]] = {}
        for mesh in self.titles:
            for run, finding in findings(self.of(mesh), select):
                found.setdefault(_question(finding), {}).setdefault(mesh, []).append((run, finding))
        if not found:
            return [f"{absent[:1].upper()}{absent[1:]}."]
        rows = (
            (
                _words(asked),
                *(self.summed(asked.get(mesh, ())) for mesh in self.titles),
                self._fails_on_control(asked),
            )
            for asked in found.values()
        )
        return table(("question", *self.titles.values(), "fails on the control"), rows)

    def row(self, select: Select, unanswered: str = NO_CHECK) -> list[str]:
        """Return the worst answer of each alternative to the selected questions; `unanswered` if none has any."""
        answers = [self.summed(findings(self.of(mesh), select)) for mesh in self.titles]
        return [*answers] if set(answers) != {NOT_ASKED} else [unanswered] * len(answers)

    def summed(self, asked: Iterable[tuple[Run, Finding]]) -> Markdown:
        """Return the worst standing, its number of runs, and the newest of these; NOT_ASKED without any."""
        of_runs: dict[str, tuple[Run, Standing]] = {}
        for run, finding in asked:
            standing = run.standing_of(finding)
            _, before = of_runs.get(run.statement_sha256, (run, standing))
            of_runs[run.statement_sha256] = (run, max(before, standing, key=_rank))
        if not of_runs:
            return Markdown(NOT_ASKED)
        worst = max((standing for _, standing in of_runs.values()), key=_rank)
        deciding = [run for run, standing in of_runs.values() if standing == worst]
        counted = _counted(len(deciding), len(of_runs))
        return Markdown(f"{worst}, {counted}: {self.ref(max(deciding, key=_age))}")

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
        blind = [run for run, it in of_question if it.fails_on_control and it.outcome not in FAILING]
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


def _rank(standing: Standing) -> int:
    return standing.rank


def findings(runs: Iterable[Run], select: Select) -> Iterator[tuple[Run, Finding]]:
    """Yield the selected findings of the runs, without those of the quantifier `reached`."""
    for run in runs:
        for finding in run.verdict.findings:
            if finding.quantifier != _REACHED and select(run, finding):
                yield run, finding
