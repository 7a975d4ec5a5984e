"""Whole drills with each fault of nodes and node agents: the history is complete, and the cluster is as it was."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from drills.judge import checks
from drills.judge.claims import Claim, never, reached
from drills.judge.events import FaultInjected, HarnessTrouble, NewPod, PolicyChangeStep
from drills.judge.history import History
from drills.run.experiment import Experiment, NewPods, PolicyChanges
from drills.run.faults import Fault
from drills.run.runner import Drill
from drills.run.undo import leftovers
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.drill_double import WORKLOAD, healthy, played
from drills.selftest.doubles.node_double import AGENT, FAULTS, NodeCluster
from drills.selftest.doubles.programs_double import Programs
from drills.selftest.doubles.short_timing import SHORT

WATCHED = {"no-plaintext": never(checks.plaintext(("checkout", "payment")))}


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy agent on each node, and a lab."""
    return healthy(tmp_path / "place", NodeCluster)


@pytest.fixture
def programs(double: FileCluster) -> Iterator[Programs]:
    """Let the lab play."""
    with played(double) as playing:
        yield playing


def run(double: FileCluster, fault: Fault, claims: Mapping[str, Claim] = WATCHED) -> History:
    """Run a drill with the fault."""
    drill = Drill(
        cluster=double,
        mesh=mesh(components=(COMPONENT, AGENT)),
        name="agent-outage",
        hypothesis="Nothing depends on the agent.",
        reports_dir=double.root / "reports",
        timing=replace(SHORT, probe_undo_without_api_within_s=0.1),
    )
    drill.conduct(
        Experiment(
            method=fault,
            workload=WORKLOAD,
            claims=claims,
            new_pods=NewPods(every_s=0.2),
            policy_changes=PolicyChanges("checkout", "payment", every_s=0.2, hold_s=0.1),
            baseline_s=0.3,
            recovery_s=0.4,
        )
    )
    assert drill.bundle is not None
    return History.load(drill.bundle)


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_drill_with_the_fault_is_complete(double: FileCluster, fault: Fault) -> None:
    """The judge finds no defect in how the drill was carried out, and nothing is left to undo."""
    history = run(double, structs.replace(fault, hold_s=0.3))
    assert history.completeness() == ()
    assert leftovers(double.state) == ()
    (injected,) = history.of_kind(FaultInjected)
    assert injected.subject == fault.title


@pytest.mark.usefixtures("programs")
def test_hold_of_a_rolling_restart_ends_with_it(double: FileCluster) -> None:
    """A restart that is complete is not watched for the rest of its hold, and the run is no worse for it."""
    begun_s = time.monotonic()
    history = run(double, structs.replace(FAULTS["rolling-restart"], hold_s=60.0))
    assert time.monotonic() - begun_s < 30
    assert history.completeness() == ()


@pytest.mark.usefixtures("programs")
def test_probes_that_find_no_api_are_no_trouble_of_ours_when_the_drill_took_it(double: FileCluster) -> None:
    """Attempts during the outage are recorded as failed; their clean-up follows once the API is back."""
    fault = structs.replace(FAULTS["stop-api-server"], hold_s=1.0)
    tried = {
        "new-pods-tried": reached(checks.new_pod_tried()),
        "policy-changes-tried": reached(checks.change_tried()),
    }
    history = run(double, fault, {**WATCHED, **tried})
    window = history.windows()["fault"]
    pods, changes = history.events_in(window, NewPod), history.events_in(window, PolicyChangeStep)
    assert {pod.detail.outcome for pod in pods} == {"failed"}
    assert {change.detail.outcome for change in changes} == {"failed"}
    assert [event.detail.message for event in history.of_kind(HarnessTrouble)] == []
    assert leftovers(double.state) == ()
    assert double.load().objects == {}
