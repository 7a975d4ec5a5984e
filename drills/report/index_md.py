"""reports/README.md: a table of drills and meshes that shows the worst run of each pair on its newest version."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from drills.judge.bundle_files import REPORT_MD_FILE
from drills.report.cells import Cell, Run, cell_of
from drills.report.figures import Headline
from drills.report.markdown import table

_HEAD = (
    "# Reports\n\n"
    "The worst run of each drill on each mesh, of all runs on the version that ran last: `2 of 3 runs` had that\n"
    "outcome. The outcome stands first, measured the same way on every mesh; `no promise` means that no document of\n"
    "the mesh promises what broke. Every cell links to its report, which lies in the folder of the evidence.\n"
    "`meshdrill judge FOLDER` judges it again. This page is generated: do not edit it.\n"
    "A control must violate its security claims: that proves that the drill can detect what it looks for.\n"
    "Recovery: until the last recovery claim stayed true. Calls lost: on every route that worked before, promised or\n"
    "not. Outage: the longest time without a successful call of the worst caller, from the injection to the end of\n"
    "the run. Signal: from the injection until the first signal that fired while the fault was active.\n\n"
)
_EMPTY = "No run yet.\n"


def render(runs: Sequence[Run], note: str = "") -> str:
    """Return the page for the runs of a folder of reports. A broken one is UNREADABLE.

    note: the file beside the page that says what the record of the first edition lacks; "" for none.
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
    rows = ((drill, *(_cell(cell_of(runs, drill, mesh)) for mesh in meshes)) for drill in drills)
    return head + "\n".join(table(("drill", *meshes), rows)) + "\n"


def _cell(cell: Cell) -> str:
    shown = cell.shown
    if shown is None:
        return cell.words
    report = f"[{cell.words}]({PurePosixPath(shown.link).parent / Path(REPORT_MD_FILE)})"
    if shown.standing is None:
        return f"{report} {shown.folder}"
    known = "".join(f", [known]({issue.url})" for issue in shown.expected)
    recorded = f"{shown.folder}, {shown.edition}" if shown.edition else shown.folder
    return "<br>".join([f"{report}{known}", *_figures(shown.headline), recorded])


def _figures(it: Headline) -> Iterator[str]:
    if it.has_recovered is not None:
        yield f"recovery {it.recovery_s:.1f} s" if it.recovery_s is not None else "no recovery"
    if it.outage is not None:
        yield f"{it.outage.lost} calls lost, outage {it.outage.length}" if it.outage.lost else "no call lost"
    if it.signal_s is not None:
        yield f"signal {it.signal_s:.1f} s"
