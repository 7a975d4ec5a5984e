"""reports/README.md: a table of drills and meshes that shows the worst run of each pair on its newest version."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from drills.judge.bundle_files import REPORT_MD_FILE
from drills.report.figures import Headline
from drills.report.index.beliefs import Belief
from drills.report.index.cells import Cell, Run, cell_of, control_meshes, doubt, unprotected_of
from drills.report.markdown import Markdown, cell, link, link_to_file, table

_HEAD = (
    "# Reports\n\n"
    "The worst run of each drill on each mesh, of all runs on the version that ran last: `2 of 3 runs` had that\n"
    "outcome. The outcome stands first, measured the same way on every mesh; `no promise` means that no document of\n"
    "the mesh promises what broke. Every cell links to its report, which lies in the folder of the evidence.\n"
    "`meshdrill judge FOLDER` judges it again. This page is generated: do not edit it.\n"
    "A control must violate its security claims: that proves that the drill can detect what it looks for. A no-fault\n"
    "control is the same run with nothing broken, and every claim must hold: that proves that the fault is the cause.\n"
    "`not yet believed` means that one of the two is missing or failed.\n"
    "Recovery: until the last recovery claim stayed true. Calls lost: on every route that worked before, promised or\n"
    "not. Outage: the longest time without a successful call of the worst caller, from the injection to the end of\n"
    "the run. Signal: from the injection until the first signal that fired while the fault was active.\n\n"
)
_EMPTY = "No run yet.\n"
_NOTHING_SKIPPED: Final[Mapping[tuple[str, str], str]] = MappingProxyType({})


def render(
    runs: Sequence[Run],
    skipped: Mapping[tuple[str, str], str] = _NOTHING_SKIPPED,
    controls: Collection[str] = (),
    note: str = "",
) -> str:
    """Return the page for the runs of a folder of reports. A broken one is UNREADABLE.

    skipped: (drill, mesh) to the reason why it cannot run there. controls: the meshes that are controls. note: the file
    beside the page that says what the record of the first edition lacks; "" for none.
    """
    if not runs:
        return _HEAD + _EMPTY
    head = _HEAD
    if note and any(run.edition for run in runs):
        head += (
            f"First edition: meshdrill 0.1 recorded the run. [What its record lacks]({note}) limits what it shows.\n\n"
        )
    drills = sorted({run.drill for run in runs})
    meshes = sorted({run.mesh for run in runs})
    known = control_meshes(runs, controls)
    rows = (_row(runs, drill, meshes, unprotected_of(runs, drill, known, skipped)) for drill in drills)
    return head + "\n".join(table(("drill", "control", *meshes), rows)) + "\n"


def _row(runs: Sequence[Run], drill: str, meshes: Sequence[str], control: Belief) -> tuple[str, ...]:
    return drill, _belief(control), *(_cell(cell_of(runs, drill, mesh), control) for mesh in meshes)


def _cell(it: Cell, control: Belief) -> Markdown:
    shown = it.shown
    if shown is None:
        return cell(it.words)
    report = link_to_file(it.words, _report(shown.link))
    doubts = f"**{cell(doubt(it, control))}**" if doubt(it, control) else ""
    if shown.standing is None:
        return Markdown(f"{report} {cell(shown.folder)}")
    known = "".join(f", {link('known', issue.url)}" for issue in shown.expected)
    no_fault = _belief(it.no_fault) if it.no_fault and it.no_fault.link else ""
    recorded = cell(f"{shown.folder}, {shown.edition}" if shown.edition else shown.folder)
    lines = (f"{report}{known}", *map(cell, _figures(shown.headline)), no_fault, doubts, recorded)
    return Markdown("<br>".join(line for line in lines if line))


def _belief(it: Belief) -> Markdown:
    return link_to_file(it.words, _report(it.link)) if it.link else cell(it.words)


def _report(link_to_page: str) -> str:
    return (PurePosixPath(link_to_page).parent / REPORT_MD_FILE).as_posix()


def _figures(it: Headline) -> Iterator[str]:
    if it.has_recovered is not None:
        yield f"recovery {it.recovery_s:.1f} s" if it.recovery_s is not None else "no recovery"
    if it.outage is not None:
        yield f"{it.outage.lost} calls lost, outage {it.outage.length}" if it.outage.lost else "no call lost"
    if it.signal_s is not None:
        yield f"signal {it.signal_s:.1f} s"
