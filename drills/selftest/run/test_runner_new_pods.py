"""Whole runs on the doubles with new pods: their calls are in the record, and decide what is said about them."""

from dataclasses import replace
from pathlib import Path

import pytest

from drills.judge import checks
from drills.judge.claims import always
from drills.judge.events import HarnessTrouble
from drills.judge.history import History
from drills.judge.verdict import Finding, Outcome
from drills.run.experiment import Experiment, NewPods
from drills.run.lab import calls
from drills.run.runner import Drill
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import STOP, WORKLOAD, healthy, played
from drills.selftest.doubles.short_timing import SHORT

CLAIMS = {
    "new-pods-join": always(checks.new_pod_meshed(by_call=True)),
    "membership-unchanged": always(checks.mesh_membership(by_call=True), "run"),
}
OUTSIDERS = tuple(calls("outsider", it, every_ms=10, connections=("new",)) for it in ("payment", "ledger", "outsider"))
SERVES = NewPods(every_s=60, serves_s=1.5)


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component and a lab."""
    return healthy(tmp_path / "place")


def drill_on(double: FileCluster, tmp_path: Path) -> Drill:
    """Return a drill on the double whose steady state must hold soon."""
    return Drill(
        cluster=double,
        mesh=mesh(),
        name="brain-outage",
        hypothesis="New pods do not need the brain.",
        reports_dir=tmp_path / "reports",
        timing=replace(SHORT, steady_state_within_s=4.0),
    )


def run(drill: Drill) -> tuple[History, dict[str, Finding]]:
    """Run the drill; return its history and its findings by claim."""
    drill.conduct(
        Experiment(
            method=STOP,
            workload=(*WORKLOAD, *OUTSIDERS),
            claims=CLAIMS,
            new_pods=SERVES,
            baseline_s=0.3,
            recovery_s=0.4,
        )
    )
    assert drill.bundle is not None
    assert drill.verdict is not None
    return History.load(drill.bundle), {finding.id: finding for finding in drill.verdict.findings}


def test_new_pods_call_and_are_called_and_it_is_recorded(double: FileCluster, tmp_path: Path) -> None:
    """Their rows are in the table of calls, their ends among the events, and they show that the pods joined."""
    with played(double):
        history, found = run(drill_on(double, tmp_path))
    assert history.of_kind(HarnessTrouble) == ()
    assert history.completeness() == ()
    assert found["new-pods-join"].outcome is Outcome.HELD
    edges = set(history.calls.select("source", "target").unique().collect().iter_rows())
    made = {("new-pod", "frontend"), ("new-pod", "ledger")}
    served = {(source, target) for source in ("checkout", "outsider") for target in ("new-pod", "new-pod-address")}
    outsiders = {("outsider", target) for target in ("payment", "ledger", "frontend", "outsider")}
    assert made | served | outsiders <= edges
    assert [row.numbers for row in found["membership-unchanged"].rows[1:]] == [{"pods": 4, "shown": 4}] * 3


def test_a_pod_of_which_no_call_succeeds_did_not_join(double: FileCluster, tmp_path: Path) -> None:
    """The API shows it in the mesh and Ready, and it is dark."""
    with played(double, dark=True):
        _, found = run(drill_on(double, tmp_path))
    assert found["new-pods-join"].outcome is Outcome.VIOLATED
    assert found["new-pods-join"].rows[0].numbers == {"started, and no call succeeded": 1}


def test_no_run_begins_while_a_pod_is_not_shown_in_the_mesh(double: FileCluster, tmp_path: Path) -> None:
    """Every pod has the annotation, and servers see no identity of their callers: the steady state does not hold."""
    with played(double, peer=""):
        history, found = run(drill_on(double, tmp_path))
    (trouble,) = history.of_kind(HarnessTrouble)
    assert "checkout-1 is not shown in the mesh" in trouble.detail.message
    assert found["new-pods-join"].outcome is Outcome.INCONCLUSIVE
