"""reports/index.html: a table of drills and meshes, the meshes side by side, and every run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clusters.model import Reference
from drills.judge import files
from drills.judge.bundle_files import REPORT_HTML_FILE, REPORT_MD_FILE
from drills.judge.verdict import SEVERITY, Answer, read_verdict
from drills.report import folders, known_issues, markup
from drills.report.figures import Headline, headline_of
from drills.report.run_file import Environment, read_environment

UNREADABLE: Final = "UNREADABLE"
_TEMPLATE = "index.html.j2"


class Run(msgspec.Struct, frozen=True):
    """One bundle. answer: the verdict, or UNREADABLE."""

    drill: str
    mesh: str
    folder: str  # name of the bundle, its time
    link: str  # from the index to its report
    answer: str
    passed: bool
    is_control: bool
    headline: Headline
    mesh_title: str = ""
    hypothesis: str = ""
    expected: tuple[Reference, ...] = ()  # the known issues, when the run shows exactly these


class Cell(msgspec.Struct, frozen=True):
    """One drill on one mesh: its newest run, or the reason for none. counts: verdicts of all runs."""

    mesh: str
    newest: Run | None
    reason: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    runs: int = 0


class DrillRow(msgspec.Struct, frozen=True):
    """One drill on every mesh."""

    drill: str
    hypothesis: str
    cells: tuple[Cell, ...]


class Column(msgspec.Struct, frozen=True):
    """One mesh over the newest run of each drill. None: no run measured it."""

    mesh: str
    title: str
    is_control: bool
    drills: int
    counts: dict[str, int]
    recovery_s: float | None  # the slowest
    unrecovered: int
    outage_s: float | None  # the longest, of runs that lost a call
    signal_s: float | None  # the slowest first signal
    skipped: int


def render(reports: Path, skipped: Mapping[tuple[str, str], str]) -> str:
    """Return the page for the bundles `<drill>/<mesh>/<utc>/` under the directory."""
    runs = [_run(bundle, reports) for bundle in folders.runs_in(reports)]
    meshes = sorted({run.mesh for run in runs}, key=lambda mesh: (_is_control(runs, mesh), mesh))
    excused = {pair: reason for pair, reason in skipped.items() if pair[1] in meshes}
    drills = sorted({run.drill for run in runs} | {drill for drill, _ in excused})
    rows = tuple(_row(drill, meshes, runs, excused) for drill in drills)
    return markup.page(
        _TEMPLATE,
        ("print.js", "filter.js"),
        columns=tuple(_column(mesh, rows, runs) for mesh in meshes),
        rows=rows,
        runs=sorted(runs, key=lambda run: (run.folder, run.drill, run.mesh), reverse=True),
        answers=[answer.value for answer in reversed(SEVERITY) if answer is not Answer.NOT_PROMISED],  # of claims only
        unreadable=UNREADABLE,
    )


def _run(bundle: Path, reports: Path) -> Run:
    drill, mesh, folder = bundle.parts[-3:]
    page = REPORT_HTML_FILE if (bundle / REPORT_HTML_FILE).exists() else REPORT_MD_FILE
    link = f"{bundle.relative_to(reports).as_posix()}/{page}"
    try:
        verdict = read_verdict(bundle)
    except files.FileError:
        return Run(drill, mesh, folder, link, UNREADABLE, passed=False, is_control=False, headline=Headline())
    environment = _environment(bundle)
    return Run(
        drill=drill,
        mesh=mesh,
        folder=folder,
        link=link,
        answer=verdict.verdict.value,
        passed=verdict.passed,
        is_control=verdict.is_control,
        headline=headline_of(bundle, verdict),
        mesh_title=environment.mesh_title if environment else "",
        hypothesis=environment.hypothesis if environment else "",
        expected=known_issues.expected_in(bundle, verdict),
    )


def _environment(bundle: Path) -> Environment | None:
    try:
        return read_environment(bundle)
    except files.FileError:
        return None


def _is_control(runs: Iterable[Run], mesh: str) -> bool:
    return any(run.is_control for run in runs if run.mesh == mesh)


def _row(drill: str, meshes: Sequence[str], runs: Sequence[Run], excused: Mapping[tuple[str, str], str]) -> DrillRow:
    mine = [run for run in runs if run.drill == drill]
    hypothesis = next((run.hypothesis for run in reversed(mine) if run.hypothesis), "")
    return DrillRow(
        drill,
        hypothesis.partition("\n")[0],
        tuple(
            _cell(mesh, [run for run in mine if run.mesh == mesh], excused.get((drill, mesh), "")) for mesh in meshes
        ),
    )


def _cell(mesh: str, runs: Sequence[Run], reason: str) -> Cell:
    if not runs:
        return Cell(mesh, None, reason)
    counts = Counter(run.answer for run in runs)
    return Cell(mesh, runs[-1], "", tuple(sorted(counts.items())), len(runs))


def _column(mesh: str, rows: Iterable[DrillRow], runs: Sequence[Run]) -> Column:
    cells = [cell for row in rows for cell in row.cells if cell.mesh == mesh]
    newest = [cell.newest for cell in cells if cell.newest is not None]
    figures = [it.headline for it in newest]
    outages = [it.outage.longest_s for it in figures if it.outage and it.outage.lost]
    return Column(
        mesh=mesh,
        title=next((run.mesh_title for run in reversed(runs) if run.mesh == mesh and run.mesh_title), mesh),
        is_control=_is_control(runs, mesh),
        drills=len(newest),
        counts={name: sum(it.answer == name for it in newest) for name in (*map(str, Answer), UNREADABLE)},
        recovery_s=max((it.recovery_s for it in figures if it.recovery_s is not None), default=None),
        unrecovered=sum(it.has_recovered is False for it in figures),
        outage_s=max(outages, default=None),
        signal_s=max((it.signal_s for it in figures if it.signal_s is not None), default=None),
        skipped=sum(bool(cell.reason) for cell in cells),
    )
