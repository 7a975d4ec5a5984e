"""What Kubernetes says of all workloads of a namespace, and of its Events: asked often, and never claimed unseen."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from clusters.kube import Json
from clusters.model import SignalKind, SignalSpec
from clusters.runtime import HarnessError
from drills.judge.events import Event, EventCount, ReplicaCount
from drills.run.probes.conditions import Conditions
from drills.run.recorder import Recorder
from drills.selftest.doubles.cluster_double import SOURCE, FileCluster
from drills.selftest.doubles.short_timing import SHORT
from drills.selftest.run.test_probes import eventually

ALL = SignalSpec("workload-unready", SignalKind.CONDITION, "lab/Deployment/*", SOURCE)
UPDATED = SignalSpec("updated", SignalKind.EVENT, "system/Updated", SOURCE)
SKIPPED = SignalSpec("skipped", SignalKind.EVENT, "system/Skipped", SOURCE)


class Listing(FileCluster):
    """The double that lists what a test gives it."""

    listed: Sequence[Json] | None = ()

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """List it, or be dead."""
        del selector
        assert (api_version, kind, namespace) in {("apps/v1", "Deployment", "lab"), ("v1", "Event", "system")}
        if self.listed is None:
            raise HarnessError("the API server is dead")
        return list(self.listed)


def polled(root: Path, listed: Sequence[Json] | None, *signals: SignalSpec) -> list[Event]:
    """Return what the first look noted, one event for each signal."""
    double, recorder = Listing(root), Recorder()
    double.listed = listed
    conditions = Conditions(double, recorder, signals, SHORT)
    conditions.start()
    assert eventually(lambda: len(recorder.events()) >= len(signals))
    conditions.stop()
    return list(recorder.events()[: len(signals)])


def deployment(wanted: int, ready: int) -> Json:
    """Return a workload as a list shows it: it does not say its kind."""
    return {"spec": {"replicas": wanted}, "status": {"readyReplicas": ready}}


def test_all_workloads_of_a_namespace_are_counted_together(tmp_path: Path) -> None:
    """One that lacks a pod is enough to be seen."""
    (seen,) = polled(tmp_path, [deployment(2, 2), deployment(2, 1)], ALL)
    assert (seen.subject, seen.detail) == (ALL.subject, ReplicaCount.Detail(ready=3, desired=4, error=""))


@pytest.mark.parametrize(("listed", "error"), [([], "no Deployment in lab"), (None, "dead")])
def test_a_namespace_that_shows_no_workload_says_nothing(
    tmp_path: Path, listed: Sequence[Json] | None, error: str
) -> None:
    """An empty namespace is no loss of pods, and neither is an API that does not answer."""
    (seen,) = polled(tmp_path, listed, ALL)
    assert isinstance(seen, ReplicaCount)
    assert (seen.detail.ready, seen.detail.desired, error in seen.detail.error) == (None, None, True)


@pytest.mark.parametrize(
    ("events", "count"),
    [
        ([], 0),
        ([{"reason": "Updated", "count": 3}, {"reason": "Updated"}, {"reason": "Another", "count": 9}], 4),
        ([{"reason": "Updated", "series": {"count": 5}}, {"reason": "Updated", "series": None, "count": None}], 6),
    ],
)
def test_events_are_counted_by_their_reason(tmp_path: Path, events: list[Json], count: int) -> None:
    """The count is found in either API's field; a reason without an Event has count 0."""
    updated, skipped = polled(tmp_path, events, UPDATED, SKIPPED)
    assert (updated.subject, updated.detail) == (UPDATED.subject, EventCount.Detail(count=count, error=""))
    assert (skipped.subject, skipped.detail) == (SKIPPED.subject, EventCount.Detail(count=0, error=""))


def test_events_that_could_not_be_listed_are_not_counted(tmp_path: Path) -> None:
    """A look that failed says so, for each reason."""
    for seen in polled(tmp_path, None, UPDATED, SKIPPED):
        assert isinstance(seen, EventCount)
        assert (seen.detail.count, "dead" in seen.detail.error) == (None, True)
