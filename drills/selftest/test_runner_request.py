"""What a drill asks for: refused in words when it cannot be, and an experiment that Chaos Toolkit accepts."""

import json
from pathlib import Path

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from clusters.model import Role
from clusters.runtime import UsageError
from drills.judge import checks
from drills.run import faults
from drills.run.calls import calls
from drills.run.edges import SENTINEL
from drills.run.experiment import experiment_of
from drills.run.probes import Wish, new_pods, policy_change, signals, wire
from drills.run.request import Request, Wishes
from drills.run.runner import Drill
from drills.run.traffic import traffic
from drills.selftest.cluster_double import FileCluster, mesh

WORKLOAD = (calls("checkout", "payment", every_ms=10),)
STOP = faults.stop(Role.CONTROL_PLANE, hold_s=0.3)


@pytest.fixture
def unasked(tmp_path: Path) -> Drill:
    """Return a drill on a healthy component with no lab."""
    cluster = FileCluster(tmp_path)
    return Drill(cluster=cluster, mesh=mesh(), name="d", hypothesis="", reports_dir=tmp_path / "reports")


def test_mesh_without_the_role_is_a_usage_error(unasked: Drill) -> None:
    """Hurting a part that the mesh does not have is refused in words before anything starts."""
    with pytest.raises(UsageError, match="has no l7-proxy"):
        unasked.run(workload=WORKLOAD, probes=(), method=faults.kill(Role.L7_PROXY))
    assert unasked.bundle is None


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        ([signals("smoke")], "no signal smoke; it has brain-down, brain-missed"),
        ([wire(), wire()], "one probe of each kind"),
    ],
)
def test_probes_that_cannot_be_are_usage_errors(unasked: Drill, probes: list[Wish], words: str) -> None:
    """A signal that the mesh does not emit is refused with those that it does; so are two probes of a kind."""
    with pytest.raises(UsageError, match=words):
        unasked.run(workload=WORKLOAD, probes=probes, method=STOP)
    assert unasked.bundle is None


def request() -> Request:
    """Return what a drill asks that watches everything."""
    return Request(
        run_id="0" * 12,
        cluster="double",
        drill="brain-outage",
        mesh="double",
        hypothesis="It holds.",
        workload=WORKLOAD,
        fault=STOP,
        probes=Wishes(wire=True, new_pods=new_pods(), policy_change=policy_change("a", "b"), signals=("brain-down",)),
        baseline_s=10,
        recovery_s=45,
    )


def test_experiment_is_one_that_chaos_toolkit_accepts() -> None:
    """`chaos validate` accepts the experiment, and it carries the whole request as data."""
    made = json.loads(json.dumps(experiment_of(request())))
    ensure_experiment_is_valid(made)
    assert made["extensions"][0]["request"]["fault"] == {"kind": "stop", "role": "control-plane", "hold_s": 0.3}


def test_no_pace_lets_a_check_miss_a_caller() -> None:
    """However seldom a drill wants its calls, there is one on each edge before a check calls it a gap."""
    asked = (checks.success_rate(SENTINEL, at_least=0.999), checks.denied(SENTINEL))
    shortest_ms = 1000 * min(float(it.params["max_gap_s"] or 0) for it in asked)
    slow = {(it.source, it.target): it.every_ms for it in traffic(pace=100)}
    assert slow.keys() == {(it.source, it.target) for it in traffic()}
    assert max(slow.values()) < 0.8 * shortest_ms
    assert max(it.every_ms for it in traffic(pace=2)) == 1000
