"""What a drill asks for: refused in words when it cannot be, and an experiment that Chaos Toolkit accepts."""

import json
from pathlib import Path

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from clusters.errors import UsageError
from clusters.mesh import Role
from drills.run import faults
from drills.run.calls import Calls, calls
from drills.run.experiment import experiment_of
from drills.run.probes import Wish, new_pods, policy_change, signals, wire
from drills.run.request import Request, Wishes
from drills.run.runner import Drill
from drills.selftest.place_double import FilePlace, as_place, mesh

WORKLOAD = (calls("checkout", "payment", every_ms=10),)
STOP = faults.stop(Role.CONTROL_PLANE, hold_s=0.3)


@pytest.fixture
def unasked(tmp_path: Path) -> Drill:
    """Return a drill on a healthy component with no lab."""
    place = as_place(FilePlace(tmp_path))
    return Drill(place=place, mesh=mesh(), name="d", hypothesis="", reports_dir=tmp_path / "reports")


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


def request(workload: tuple[Calls, ...] = WORKLOAD) -> Request:
    """Return what a drill asks that watches everything."""
    return Request(
        run_id="0" * 12,
        cluster="double",
        drill="brain-outage",
        mesh="double",
        hypothesis="It holds.",
        workload=workload,
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


@pytest.mark.parametrize(("every_ms", "gate_s"), [(None, 60.0), (140, 60.0), (3000, 90.0)])
def test_the_gate_has_time_for_the_slowest_caller(every_ms: float | None, gate_s: float) -> None:
    """Whoever calls seldom needs longer until the gate has its samples; a usual drill's gate stays as it was."""
    workload = () if every_ms is None else (*WORKLOAD, calls("a", "b", every_ms=every_ms))
    made = json.loads(json.dumps(experiment_of(request(workload))))
    (_, steady) = made["steady-state-hypothesis"]["probes"]
    assert steady["provider"]["arguments"]["within_s"] == gate_s
