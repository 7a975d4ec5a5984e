"""Running a drill: from a drill's wishes to a stored history, and from there to a verdict."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from clusters.cluster import Cluster
from clusters.model import Mesh
from clusters.runtime import HarnessError, Progress, silent
from drills.judge import files
from drills.judge.claims import Claim, judge
from drills.judge.history import History, write_history
from drills.judge.verdict import Verdict
from drills.run import activities, experiment
from drills.run.calls import Calls
from drills.run.facts import known_issues_of
from drills.run.faults import Fault
from drills.run.live import LiveRun
from drills.run.probes import Wish
from drills.run.recorder import Recorder
from drills.run.request import Request, component_of, sort_wishes
from drills.run.undo import leftovers, refuse_leftovers, sole_use

VERDICT_FILE = "verdict.json"
_BASELINE_S = 10.0
_RECOVERY_S = 45.0
_RECOVERY_AT_LEAST_S = 10.0
_RUN_ID_BYTES = 6
_NICE = 10


class Drill:
    """One drill on one mesh in one cluster: what the `drill` fixture gives to a test."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        mesh: Mesh,
        name: str,
        hypothesis: str,
        reports_dir: Path,
        progress: Progress = silent,
    ) -> None:
        self.mesh = mesh
        self.deviates = known_issues_of(mesh, name)  # what is known to be violated
        self.bundle: Path | None = None  # where the evidence is, once `run` began
        self.verdict: Verdict | None = None  # the answer, once `judge` gave it
        self._cluster = cluster
        self._name = name
        self._hypothesis = hypothesis
        self._reports_dir = reports_dir
        self._progress = progress

    def run(
        self,
        *,
        workload: Sequence[Calls],
        probes: Sequence[Wish],
        method: Fault,
        baseline_s: float = _BASELINE_S,
        recovery_s: float = _RECOVERY_S,
        recovery_at_least_s: float = _RECOVERY_AT_LEAST_S,
    ) -> History:
        """Break the mesh under traffic, put it right, and return the history, which is on disk by then.

        The recovery is watched until all is well, but at least recovery_at_least_s and at most recovery_s.

        A gate that does not hold, a fault that does not land, a step that fails: all of it is in the history, which
        then judges INCONCLUSIVE. Raises UsageError for a drill that cannot be asked, HarnessError when the cluster
        carries an earlier injury or could not be put right, KeyboardInterrupt after everything was put right.
        """
        request = Request(
            run_id=new_run_id(),
            cluster=self._cluster.name,
            drill=self._name,
            mesh=self.mesh.name,
            hypothesis=self._hypothesis,
            workload=tuple(workload),
            fault=method,
            probes=sort_wishes(probes, self.mesh),
            baseline_s=baseline_s,
            recovery_s=recovery_s,
            recovery_at_least_s=recovery_at_least_s,
            leaf_ttl_s=self.mesh.certificates.leaf_ttl_s,
        )
        return self.carry_out(request)

    def carry_out(self, request: Request) -> History:
        """Do what `run` says, for a request that is made already."""
        with recorded(self._cluster, self.mesh, request, self._reports_dir, self._progress) as self.bundle:
            status = experiment.run(experiment.experiment_of(request), self.bundle)
        if status == experiment.INTERRUPTED:
            raise KeyboardInterrupt
        return History.load(self.bundle)

    def judge(self, history: History, *claims: Claim) -> Verdict:
        """Answer the claims from the history and put the verdict beside it."""
        self.verdict = judge(history, claims)
        if self.bundle is not None:
            files.write(self.bundle / VERDICT_FILE, self.verdict.encode())
        return self.verdict


def new_run_id() -> str:
    """Return an id that no run had: the lab's logs of two runs must never mix."""
    return secrets.token_hex(_RUN_ID_BYTES)


@contextmanager
def recorded(
    cluster: Cluster, mesh: Mesh, request: Request, reports_dir: Path, progress: Progress, *, known_as: str = ""
) -> Iterator[Path]:
    """Give the bundle of a run that activities find meanwhile, by its own id or by that of an older experiment.

    Whatever happens, the cluster is put right and the history stored. Raises as `Drill.run` does.
    """
    component_of(request, mesh)
    os.nice(_NICE)  # the harness, and every program that it starts, yields to what it measures
    with sole_use(cluster):
        refuse_leftovers(cluster)
        bundle = reports_dir / request.drill / mesh.name / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        recorder = Recorder()
        live = LiveRun(cluster, mesh, request, recorder, progress)
        try:
            with activities.under_way(live, known_as=known_as or request.run_id):
                yield bundle
        finally:
            live.close()
            found = live.collect()
            write_history(bundle, found.calls, (*recorder.events(), *found.events), live.facts())
        _refuse_unmended(cluster, bundle)


def _refuse_unmended(cluster: Cluster, bundle: Path) -> None:
    left = leftovers(cluster.state)
    if left:
        raise HarnessError(
            f"Cluster {cluster.name} could not be put right after the drill: {left[0].subject}"
            f"{f' and {len(left) - 1} more' if len(left) > 1 else ''}. The evidence is kept in {bundle}. "
            "Run `meshdrill sweep`, or delete the cluster."
        )
