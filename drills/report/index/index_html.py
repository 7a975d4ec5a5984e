"""reports/index.html: a table of drills and meshes, the meshes side by side, and every run."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from drills.judge.verdict import SEVERITY, Outcome
from drills.report import markup
from drills.report.index.beliefs import Belief
from drills.report.index.cells import UNREADABLE, Cell, Run, cell_of, control_meshes, doubt, unprotected_of

_TEMPLATE = "index.html.j2"


class DrillRow(msgspec.Struct, frozen=True):
    """One drill on every mesh. control: what its controls without protection show. doubts: of each cell, "" if none."""

    drill: str
    hypothesis: str
    cells: tuple[Cell, ...]
    control: Belief
    doubts: tuple[str, ...]


class Column(msgspec.Struct, frozen=True):
    """One mesh over the shown run of each drill. None: no run measured it."""

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


def render(
    runs: Sequence[Run], skipped: Mapping[tuple[str, str], str], controls: Collection[str] = (), note: str = ""
) -> str:
    """Return the page for the runs of a folder of reports.

    skipped: (drill, mesh) to the reason why it cannot run there. controls: the meshes that are controls. note: the file
    beside the page that says what the record of the first edition lacks; "" for none.
    """
    meshes = sorted({run.mesh for run in runs}, key=lambda mesh: (_is_control(runs, mesh), mesh))
    excused = {pair: reason for pair, reason in skipped.items() if pair[1] in meshes}
    drills = sorted({run.drill for run in runs} | {drill for drill, _ in excused})
    known = control_meshes(runs, controls)
    rows = tuple(_row(drill, meshes, runs, excused, unprotected_of(runs, drill, known, skipped)) for drill in drills)
    return markup.page(
        _TEMPLATE,
        ("print.js", "filter.js"),
        columns=tuple(_column(mesh, rows, runs) for mesh in meshes),
        rows=rows,
        runs=sorted(runs, key=lambda run: (run.folder, run.drill, run.mesh), reverse=True),
        outcomes=[outcome.value for outcome in reversed(SEVERITY)],
        unreadable=UNREADABLE,
        note=note if any(run.edition for run in runs) else "",
    )


def _is_control(runs: Iterable[Run], mesh: str) -> bool:
    return any(run.is_control for run in runs if run.mesh == mesh)


def _row(
    drill: str, meshes: Sequence[str], runs: Sequence[Run], excused: Mapping[tuple[str, str], str], control: Belief
) -> DrillRow:
    hypothesis = next((run.hypothesis for run in reversed(runs) if run.drill == drill and run.hypothesis), "")
    cells = tuple(cell_of(runs, drill, mesh, excused.get((drill, mesh), "")) for mesh in meshes)
    return DrillRow(drill, hypothesis.partition("\n")[0], cells, control, tuple(doubt(it, control) for it in cells))


def _column(mesh: str, rows: Iterable[DrillRow], runs: Sequence[Run]) -> Column:
    cells = [cell for row in rows for cell in row.cells if cell.mesh == mesh]
    shown = [cell.shown for cell in cells if cell.shown is not None]
    figures = [it.headline for it in shown]
    outages = [it.outage.longest_s for it in figures if it.outage and it.outage.lost]
    return Column(
        mesh=mesh,
        title=next((run.mesh_title for run in reversed(runs) if run.mesh == mesh and run.mesh_title), mesh),
        is_control=_is_control(runs, mesh),
        drills=len(shown),
        counts={name: sum(it.outcome == name for it in shown) for name in (*map(str, Outcome), UNREADABLE)},
        recovery_s=max((it.recovery_s for it in figures if it.recovery_s is not None), default=None),
        unrecovered=sum(it.has_recovered is False for it in figures),
        outage_s=max(outages, default=None),
        signal_s=max((it.signal_s for it in figures if it.signal_s is not None), default=None),
        skipped=sum(bool(cell.reason) for cell in cells),
    )
