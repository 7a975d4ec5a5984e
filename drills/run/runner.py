"""Runs a drill: from an experiment to a stored history, and from the history to a verdict."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from clusters.cluster import Cluster
from clusters.model import Mesh
from clusters.runtime import HarnessError, Progress, silent
from drills.judge import files
from drills.judge.bundle_files import VERDICT_FILE
from drills.judge.claims import judge, restored
from drills.judge.history import History, write_history
from drills.judge.verdict import Verdict
from drills.run import activities, chaos_toolkit, controls
from drills.run.experiment import Experiment, Request, new_run_id, request_of
from drills.run.facts import known_issues_of
from drills.run.live import LiveRun
from drills.run.recorder import Recorder
from drills.run.timing import REAL, Timing
from drills.run.undo import leftovers, refuse_leftovers, sole_use

_NICE = 10


class Drill:
    """One drill on one mesh in one cluster: what the `drill` fixture gives to a test."""

    without_fault: ClassVar[bool] = False
    """Whether the run is the drill's no-fault control."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        mesh: Mesh,
        name: str,
        hypothesis: str,
        reports_dir: Path,
        progress: Progress = silent,
        strict: bool = False,
        timing: Timing = REAL,
    ) -> None:
        self.mesh = mesh
        self.strict = strict  # whether what the mesh does not promise fails the run, too
        self.known_issues = () if self.without_fault else known_issues_of(mesh, name)
        self.bundle: Path | None = None  # the folder of the evidence, once the run began
        self.verdict: Verdict | None = None  # once the run is judged
        self._cluster = cluster
        self._name = name
        self._hypothesis = hypothesis
        self._reports_dir = reports_dir
        self._progress = progress
        self._timing = timing

    def conduct(self, experiment: Experiment) -> Verdict:
        """Break the mesh under traffic, undo the fault, store the history, and judge the claims on it.

        A no-fault control breaks nothing, and claims what must then hold. Any other run records which signals appeared
        in the newest no-fault control below the folder of reports: they can show nothing.
        If the steady state does not hold, the fault does not land, or a step fails, the history says so and the verdict
        is INCONCLUSIVE. Raises UsageError for a drill that this mesh cannot run, HarnessError when the undo log has
        entries of an earlier run or the fault could not be undone, KeyboardInterrupt after everything was undone.
        """
        if self.without_fault:
            controls.demand_possible(self.mesh)
        request = request_of(
            experiment.without_fault(self.mesh) if self.without_fault else experiment,
            self.mesh,
            drill=self._name,
            hypothesis=self._hypothesis,
            cluster=self._cluster.name,
            run_id=new_run_id(),
            control=None if self.without_fault else controls.newest(self._reports_dir, self._name, self.mesh.name),
        )
        history = self.carry_out(request)
        self.verdict = judge(history, restored(history.facts.claims))
        if self.bundle is not None:
            files.write(self.bundle / VERDICT_FILE, self.verdict.encode())
        return self.verdict

    def carry_out(self, request: Request) -> History:
        """Run a request and return its history, which is then on disk. Raises as `conduct` does."""
        with recorded(
            self._cluster, self.mesh, request, self._reports_dir, self._progress, timing=self._timing
        ) as self.bundle:
            status = chaos_toolkit.run(chaos_toolkit.experiment_of(request, self._timing), self.bundle)
        if status == chaos_toolkit.INTERRUPTED:
            raise KeyboardInterrupt
        return History.load(self.bundle)


class NoFaultDrill(Drill):
    """The no-fault control of a drill: the same run, in which nothing is broken and every claim must hold."""

    without_fault = True


@contextmanager
def recorded(
    cluster: Cluster,
    mesh: Mesh,
    request: Request,
    reports_dir: Path,
    progress: Progress,
    *,
    known_as: str = "",
    timing: Timing = REAL,
) -> Iterator[Path]:
    """Yield the bundle of a run, and register the run for activities under its id or that of an older experiment.

    At the end the cluster is reverted and the history stored, even after an error. Raises as `Drill.conduct` does.
    """
    request.fault.demand(mesh)
    with _low_priority(), sole_use(cluster):
        refuse_leftovers(cluster)
        bundle = reports_dir / request.drill / mesh.name / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        recorder = Recorder()
        live = LiveRun(cluster, mesh, request, recorder, progress, timing)
        try:
            with activities.under_way(live, known_as=known_as or request.run_id):
                yield bundle
        finally:
            live.close()
            found = live.collect()
            write_history(bundle, found.calls, (*recorder.events(), *found.events), live.facts())
        _refuse_unreverted(cluster, bundle)


@contextmanager
def _low_priority() -> Iterator[None]:
    """Lower the priority of the harness, and of every program that it starts, below that of the cluster under test.

    Every run in one process gets the same priority. Without the privilege to raise it back, the process keeps it.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(before, _NICE))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _refuse_unreverted(cluster: Cluster, bundle: Path) -> None:
    left = leftovers(cluster.state)
    if left:
        raise HarnessError(
            f"Cluster {cluster.name} could not be reverted after the drill: {left[0].subject}"
            f"{f' and {len(left) - 1} more' if len(left) > 1 else ''}. The evidence is kept in {bundle}. "
            "Run `meshdrill sweep`, or delete the cluster."
        )
