"""The undo log: whatever kills the harness, a later process can revert the cluster."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters.runtime import HarnessError, UsageError
from drills.run import undo
from drills.run.faults.base import prepare
from drills.run.faults.workload import ScaledToZero
from drills.run.plan import Plan, read_plan, write_plan
from drills.run.undo import UndoLog, leftovers, refuse_leftovers, sole_use, sweep
from drills.run.undo_entry import CreatedObject, LabCalls, ObjectRef
from drills.selftest.doubles import killed_run
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster
from drills.selftest.doubles.fault_doubles import KINDS, double_for
from drills.selftest.doubles.forked import FORKS
from drills.selftest.doubles.short_timing import SHORT

SCALE = ScaledToZero(run_id="r1", component=COMPONENT, replicas=1, address="", order=())
CALLS = LabCalls(run_id="r1")


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component."""
    return FileCluster(tmp_path)


# What happens by itself once it is done has nothing to undo but to wait, which ends too soon to be killed in.
PHASES = dict.fromkeys(KINDS, ("written", "half", "injected", "landed", "applied", "verified")) | {
    "rolling-restart": ("written", "half", "injected", "landed"),
    "kill": ("half", "injected"),
    "no-fault": ("written", "injected", "landed", "applied", "verified"),  # it changes nothing, so nothing is half done
}


@pytest.mark.parametrize(("kind", "phase"), [(kind, phase) for kind in KINDS for phase in PHASES[kind]])
def test_killed_harness_leaves_a_cluster_that_sweep_puts_right(tmp_path: Path, kind: str, phase: str) -> None:
    """SIGKILL in any phase of any fault, half-way too, leaves its undo on disk, and a sweep puts the cluster right."""
    double, fault, mesh = double_for(tmp_path, kind)
    component = fault.component(mesh) if fault.role else COMPONENT
    before, objects = double.replicas(component), double.load().objects
    receiver, sender = FORKS.Pipe(duplex=False)
    run = FORKS.Process(target=killed_run.main, args=(double.root, kind, phase, sender))
    run.start()
    try:
        assert receiver.poll(60)
        assert receiver.recv() == phase
        with pytest.raises(UsageError, match="in use by another"):
            sweep(double)
    finally:
        run.kill()
        run.join()
    assert [entry.run_id for entry in leftovers(double.state)] == ["r1"]
    with pytest.raises(HarnessError, match="meshdrill sweep"):
        refuse_leftovers(double)
    assert len(sweep(double)) == 1
    assert (double.replicas(component), double.load().objects) == (before, objects)
    assert leftovers(double.state) == ()


def test_sweep_of_a_clean_cluster_does_nothing(double: FileCluster) -> None:
    """Sweeping again, or where there is nothing, is harmless."""
    assert sweep(double) == ()
    refuse_leftovers(double)


def test_draft_of_an_entry_is_no_entry(double: FileCluster) -> None:
    """A process killed while it wrote the entry had injected nothing yet: what it wrote does not count."""
    log = UndoLog(double.state)
    log.write(SCALE)
    entry = next((double.state / "undo").glob("*.json"))
    entry.rename(entry.with_suffix(".draft"))
    assert leftovers(double.state) == ()


def test_unreadable_entry_is_named(double: FileCluster) -> None:
    """An entry that cannot be read is never skipped."""
    UndoLog(double.state).write(SCALE)
    entry = next((double.state / "undo").glob("*.json"))
    entry.write_text("{")
    with pytest.raises(HarnessError, match=entry.name):
        leftovers(double.state)


def test_undo_that_fails_stays_on_the_log(double: FileCluster) -> None:
    """With the API dead the sweep names what it could not undo, tries the rest, and forgets only what it verified."""
    log = UndoLog(double.state)
    write_plan(double.share, Plan(run_id="r1", canary="c"))
    log.write(SCALE)
    log.write(CALLS)
    world = double.load()
    world.is_api_dead = True
    double.save(world)
    with pytest.raises(HarnessError, match=r"Deployment system/brain back to 1.*the API server is dead"):
        sweep(double, timing=replace(SHORT, undo_within_s=0.1))
    assert leftovers(double.state) == (SCALE,)
    plan = read_plan(double.share)
    assert plan is not None
    assert plan.stop


def test_newest_is_undone_first(double: FileCluster) -> None:
    """Entries are reverted in the reverse of the order in which they were written."""
    log = UndoLog(double.state)
    for name in ("first", "second", "third"):
        log.write(CreatedObject(run_id="r1", created=ObjectRef("v1", "Pod", name, "lab")))
    assert sweep(double) == ("Pod lab/third deleted", "Pod lab/second deleted", "Pod lab/first deleted")


def test_api_server_comes_back_before_anything_that_needs_it(tmp_path: Path) -> None:
    """A pod that a probe left while the API was away is removed in the same sweep that brings the API back."""
    double, fault, mesh = double_for(tmp_path, "stop-api-server")
    prepared = prepare(fault, double, mesh, "r1")
    log = UndoLog(double.state)
    log.write(prepared)
    prepared.inject(double, SHORT)
    log.write(SCALE)
    assert sweep(double, timing=replace(SHORT, undo_within_s=1.0)) == (prepared.subject, SCALE.subject)


def test_object_left_behind_is_removed(double: FileCluster) -> None:
    """A policy or pod of a probe that was killed is gone after the sweep."""
    manifest: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "new-pod", "namespace": "lab", "labels": {"app": "new-pod"}},
    }
    double.apply(manifest)
    UndoLog(double.state).write(CreatedObject(run_id="r1", created=ObjectRef.of(manifest)))
    assert sweep(double) == ("Pod lab/new-pod deleted",)
    assert double.get("v1", "Pod", "new-pod", "lab") is None


def test_undo_is_not_verified_while_a_process_is_stopped(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready replicas are not enough, for readiness lags: a process in state T keeps the undo pending."""
    monkeypatch.setattr(double, "replicas", lambda _component: (1, 1))
    world = double.load()
    world.processes[0].state = "T"
    double.save(world)
    with pytest.raises(HarnessError, match="still stopped"):
        undo.verify(double, SCALE, replace(SHORT, undo_within_s=0.1))


def test_cluster_is_held_by_one_drill_at_a_time(double: FileCluster) -> None:
    """A second drill on the same cluster is a usage error at once, and the first one's end frees it."""
    cluster = double
    with sole_use(cluster), pytest.raises(UsageError, match="in use"), sole_use(cluster):
        pytest.fail("two drills hold one cluster")
    with sole_use(cluster):
        assert (double.state / "drill.lock").exists()
