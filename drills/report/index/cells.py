"""The runs under a folder of reports, and the cell of each drill on each mesh: all its runs on one version.

A cell shows its worst run: a newer pass does not hide an older failure of the same version. No-fault controls are no
runs of a cell: they say whether its runs can be believed.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clusters.model import Reference
from drills.judge import files
from drills.judge.bundle_files import REPORT_HTML_FILE, REPORT_MD_FILE
from drills.judge.verdict import Outcome, Standing, read_verdict
from drills.report import folders, known_issues
from drills.report.figures import Headline, headline_of
from drills.report.index import beliefs
from drills.report.index.beliefs import Belief, NoFault
from drills.report.run_file import Environment, edition, made_of, read_environment

UNREADABLE: Final = "UNREADABLE"


class Run(msgspec.Struct, frozen=True):
    """One bundle. standing: None for a verdict that this version cannot read."""

    drill: str
    mesh: str
    folder: str  # name of the bundle, its time
    link: str  # from the index to its report
    standing: Standing | None
    passed: bool
    is_control: bool
    headline: Headline
    mesh_title: str = ""
    hypothesis: str = ""
    expected: tuple[Reference, ...] = ()  # the known issues, when the run shows exactly these
    version: tuple[str, ...] = ()  # what identifies the version under test
    edition: str = ""  # "first edition" for a run that meshdrill 0.1 recorded
    no_fault: NoFault | None = None  # what it shows, if it is a no-fault control
    detected: Outcome = Outcome.INCONCLUSIVE  # what a control without protection shows

    @property
    def outcome(self) -> str:
        """Return the worst outcome, or UNREADABLE."""
        return self.standing.outcome.value if self.standing else UNREADABLE

    @property
    def promise(self) -> str:
        """Return "no promise" or ""."""
        return str(self.standing).partition(", ")[2] if self.standing else ""

    @property
    def words(self) -> str:
        """Return the outcome with its promise, and of a control whether it passed."""
        if self.is_control:
            return f"{self.as_control} ({self.outcome})"
        return f"no-fault control {self.outcome}" if self.no_fault else str(self.standing or UNREADABLE)

    @property
    def as_control(self) -> str:
        """Return how a control without protection ended."""
        if self.expected and not self.passed:
            return "control passed but for known issues"
        return beliefs.as_control(self.detected)

    @property
    def rank(self) -> int:
        """Return how bad the run is; one that cannot be read, and a control that failed, are the worst.

        A control that cannot know takes nothing from another that passed.
        """
        if self.standing is None:
            return _WORST
        if self.is_control:
            return {Outcome.HELD: 1, Outcome.INCONCLUSIVE: 0}.get(self.detected, _WORST)
        return self.standing.rank


_WORST: Final = 99


class Cell(msgspec.Struct, frozen=True):
    """One drill on one mesh: its runs on the version that ran last, oldest first, or the reason for none.

    older: the number of runs on other versions, which the cell leaves out. no_fault: what the no-fault controls on the
    same version show; None where a run needs none.
    """

    mesh: str
    runs: tuple[Run, ...] = ()
    reason: str = ""
    older: int = 0
    no_fault: Belief | None = None

    @property
    def shown(self) -> Run | None:
        """Return the worst run; of equally bad ones the newest."""
        return max(self.runs, key=lambda run: (run.rank, run.folder), default=None)

    @property
    def alike(self) -> int:
        """Return how many runs have the outcome of the shown one."""
        shown = self.shown
        return sum(run.words == shown.words for run in self.runs) if shown else 0

    @property
    def words(self) -> str:
        """Return the outcome of the shown run, and of several runs how many have it."""
        if (shown := self.shown) is None:
            return f"cannot be asked: {self.reason}" if self.reason else "not run"
        return shown.words if len(self.runs) == 1 else f"{shown.words}, {self.alike} of {len(self.runs)} runs"

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Return each standing with its number of runs."""
        return tuple(sorted(Counter(run.words for run in self.runs).items()))


def read_runs(reports: Path) -> tuple[Run, ...]:
    """Return a run for each bundle `<drill>/<mesh>/<utc>/` under the directory, by drill, mesh and time."""
    return tuple(_run(bundle, reports) for bundle in folders.runs_in(reports))


def cell_of(runs: Sequence[Run], drill: str, mesh: str, reason: str = "") -> Cell:
    """Return the cell of a drill on a mesh. reason: why the drill cannot run there."""
    mine = [run for run in runs if (run.drill, run.mesh) == (drill, mesh) and run.no_fault is None]
    if not mine:
        return Cell(mesh, reason=reason)
    newest = max(mine, key=lambda run: run.folder)
    alike = tuple(run for run in mine if run.version == newest.version)
    no_fault = None if newest.is_control else _no_fault_of(runs, drill, mesh, newest.version)
    return Cell(mesh, alike, older=len(mine) - len(alike), no_fault=no_fault)


def unprotected_of(
    runs: Sequence[Run], drill: str, controls: Collection[str], skipped: Mapping[tuple[str, str], str]
) -> Belief:
    """Return what the drill's controls show in which nothing protects the lab.

    controls: the meshes that are controls. skipped: (drill, mesh) to the reason why it cannot run there.
    """
    shown = [run for mesh in sorted(controls) if (run := cell_of(runs, drill, mesh).shown)]
    reason = "; ".join(skipped[drill, mesh] for mesh in sorted(controls) if (drill, mesh) in skipped)
    found = beliefs.of_unprotected([run.detected for run in shown], reason)
    return found.linked(max(shown, key=lambda run: run.rank).link) if shown else found


def doubt(cell: Cell, unprotected: Belief) -> str:
    """Return why the runs of a cell cannot be believed yet; "" if they can, for a control, and without any run."""
    return beliefs.doubt(cell.no_fault, unprotected) if cell.no_fault else ""


def control_meshes(runs: Sequence[Run], controls: Collection[str] = ()) -> frozenset[str]:
    """Return the meshes that are controls: those named, and those that runs show to be one."""
    return frozenset(controls) | {run.mesh for run in runs if run.is_control}


def _no_fault_of(runs: Sequence[Run], drill: str, mesh: str, version: tuple[str, ...]) -> Belief:
    mine = [(run.no_fault, run) for run in runs if (run.drill, run.mesh) == (drill, mesh) and run.no_fault]
    alike = [(shown, run) for shown, run in mine if run.version == version]
    controls = [shown for shown, _ in alike]
    found = beliefs.of_no_fault(controls, others=len(mine) - len(alike))
    if not alike:
        return found
    deciding = beliefs.deciding(controls)
    return found.linked(next(run.link for shown, run in reversed(alike) if shown is deciding))


def _run(bundle: Path, reports: Path) -> Run:
    drill, mesh, folder = bundle.parts[-3:]
    page = REPORT_HTML_FILE if (bundle / REPORT_HTML_FILE).exists() else REPORT_MD_FILE
    link = f"{bundle.relative_to(reports).as_posix()}/{page}"
    environment = _environment(bundle)
    version = made_of(environment) if environment else ()
    try:
        verdict = read_verdict(bundle)
    except files.FileError:
        return Run(
            drill, mesh, folder, link, None, passed=False, is_control=False, headline=Headline(), version=version
        )
    expected = known_issues.expected_in(bundle, verdict)
    return Run(
        drill=drill,
        mesh=mesh,
        folder=folder,
        link=link,
        standing=verdict.standing,
        passed=verdict.passed,
        is_control=verdict.is_control,
        headline=headline_of(bundle, verdict),
        mesh_title=environment.mesh_title if environment else "",
        hypothesis=environment.hypothesis if environment else "",
        expected=expected,
        version=version,
        edition=edition(environment) if environment else "",
        no_fault=NoFault.of(verdict) if verdict.without_fault else None,
        detected=Outcome.HELD if expected else verdict.detected,
    )


def _environment(bundle: Path) -> Environment | None:
    try:
        return read_environment(bundle)
    except files.FileError:
        return None
