"""The no-fault control as a run: nothing is broken, the observer confirms it, and later runs know what it showed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from clusters import meshes
from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.cli import app as cli
from drills.cli import exits
from drills.cli.judge import claims_of_today
from drills.judge import checks
from drills.judge.claims import Claim, always, reached, sometimes, stored
from drills.judge.events import FaultInjected, FaultReceipt, ReplicaCount
from drills.judge.history import History
from drills.judge.verdict import Outcome
from drills.run import catalogue, controls, faults
from drills.run.chaos_toolkit import request_in
from drills.run.experiment import Experiment
from drills.run.faults.base import Receipt
from drills.run.faults.no_fault import Untouched, no_fault
from drills.run.faults.workload import ScaledToZero
from drills.run.runner import Drill, NoFaultDrill
from drills.selftest.doubles import many_runs
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import FORBIDDEN, ROUTE, STOP, WORKLOAD, healthy, played
from drills.selftest.doubles.programs_double import Programs
from drills.selftest.doubles.short_timing import SHORT

CLAIMS: Mapping[str, Claim] = {
    "calls-made": reached(checks.attempted(ROUTE)),
    "denied-stay-denied": always(checks.denied(FORBIDDEN), "run", must_hold=True),
    "routes-keep-working": always(checks.success_rate(ROUTE, at_least=0.9), alert="brain-down", within_s=2),
    "routes-work-in-baseline": always(checks.success_rate(ROUTE, at_least=0.9), "baseline"),
    "brain-down-alerts": sometimes(checks.signal_seen("brain-down")),
}

SILENT = always(checks.signal_absent("brain-down"), "run")


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component and a lab."""
    return healthy(tmp_path / "place")


@pytest.fixture
def programs(double: FileCluster) -> Iterator[Programs]:
    """Run the lab's programs."""
    with played(double) as playing:
        yield playing


def conduct(kind: type[Drill], double: FileCluster, reports: Path, on: Mesh | None = None) -> Drill:
    """Conduct the drill of these tests, or its control."""
    drill = kind(
        cluster=double, mesh=on or mesh(), name="brain-outage", hypothesis="x", reports_dir=reports, timing=SHORT
    )
    drill.conduct(Experiment(method=STOP, workload=WORKLOAD, claims=CLAIMS, baseline_s=0.3, recovery_s=0.4))
    return drill


def history_of(drill: Drill) -> History:
    """Return the history that the run stored."""
    assert drill.bundle is not None
    return History.load(drill.bundle)


@pytest.mark.usefixtures("programs")
def test_a_control_breaks_nothing_and_says_so(double: FileCluster, tmp_path: Path) -> None:
    """Every claim holds; the component runs all along; the record names no fault and no part of the mesh."""
    drill = conduct(NoFaultDrill, double, tmp_path / "reports")
    history = history_of(drill)
    assert drill.verdict is not None
    assert drill.verdict.outcome is Outcome.HELD, drill.verdict.explain()
    assert history.completeness() == ()
    assert history.facts.without_fault
    assert history.facts.known_issues == drill.known_issues == ()
    assert [(it.detail.fault, it.detail.role) for it in history.of_kind(FaultInjected)] == [("no-fault", "")]
    brain = history.facts.signals["brain-down"].subject
    assert {it.detail.ready for it in history.of_kind(ReplicaCount) if it.subject == brain} == {1}
    receipts = history.of_kind(FaultReceipt)
    assert receipts
    assert all("the harness broke nothing; scale-to-zero is not in force" in it.detail.evidence for it in receipts)
    assert {it.detail.observer for it in receipts} == {"process tables of the nodes, TCP from a node"}


@pytest.mark.usefixtures("programs")
def test_a_component_that_fails_by_itself_is_no_control(
    double: FileCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The observer sees the fault that nobody injected: the run cannot know what caused what, so it is inconclusive."""
    look, looks = ScaledToZero.receipt, iter(range(1000))

    def fails_later(self: ScaledToZero, cluster: FileCluster, turn: int | None = None) -> Receipt:
        seen = look(self, cluster, turn)
        return Receipt(next(looks) > 2, seen.observer, seen.evidence)

    monkeypatch.setattr(ScaledToZero, "receipt", fails_later)
    drill = conduct(NoFaultDrill, double, tmp_path / "reports")
    assert drill.verdict is not None
    assert drill.verdict.outcome is Outcome.INCONCLUSIVE
    assert any("did not stay" in it.message for it in drill.verdict.defects)


@pytest.mark.usefixtures("programs")
def test_a_run_knows_what_its_control_showed(
    double: FileCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run records the signals of the newest control and its run id, and a signal of the control shows nothing."""
    reports = tmp_path / "reports"
    first = history_of(conduct(Drill, double, reports))
    assert (first.facts.fires_without_fault, first.facts.no_fault_control) == ((), "")
    monkeypatch.setattr(controls, "fired_signals", lambda _history: ("brain-down",))
    control = history_of(conduct(NoFaultDrill, double, reports))
    assert (control.facts.fires_without_fault, control.facts.no_fault_control) == ((), "")
    drill = conduct(Drill, double, reports)
    facts = history_of(drill).facts
    assert (facts.fires_without_fault, facts.no_fault_control) == (("brain-down",), control.facts.run_id)
    assert drill.verdict is not None
    found = {it.id: it for it in drill.verdict.findings}["brain-down-alerts"]
    assert found.outcome is Outcome.VIOLATED
    assert "fires without a fault" in found.reason


def test_the_newest_control_that_can_be_read_counts(tmp_path: Path) -> None:
    """Of another drill, of another mesh, of a run with a fault: none. A broken bundle hides no older one."""
    reports = tmp_path / "reports"
    assert controls.newest(reports, "brain-outage", "mesh-a") is None
    many_runs.bundle(reports, many_runs.quiet(), folder="20260105T000000Z")
    many_runs.bundle(reports, many_runs.no_fault(), mesh="mesh-b")
    many_runs.bundle(reports, many_runs.no_fault(), drill="node-outage")
    assert controls.newest(reports, "brain-outage", "mesh-a") is None
    many_runs.bundle(reports, many_runs.no_fault(), folder="20260102T000000Z")
    alarmed = many_runs.quiet()
    alarmed.without_fault = True
    many_runs.bundle(reports, alarmed, folder="20260103T000000Z")
    broken = reports / "brain-outage" / "mesh-a" / "20260104T000000Z"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    found = controls.newest(reports, "brain-outage", "mesh-a")
    assert found == controls.NoFaultControl("mesh-a-20260103T000000Z", ("control-plane-down",))


def test_the_experiment_of_a_control_asks_what_holds_without_a_fault() -> None:
    """The claims that need a fault and those of the baseline are left out; each named signal must be silent."""
    asked = Experiment(method=STOP, workload=WORKLOAD, claims=CLAIMS)
    control = asked.without_fault(mesh())
    kept = {"calls-made", "denied-stay-denied", "routes-keep-working", "brain-down-silent"}
    assert set(control.claims) == kept
    assert control.claims["denied-stay-denied"] == CLAIMS["denied-stay-denied"]
    assert stored(control.claims)[-1] == stored({"brain-down-silent": SILENT})[0]
    assert control.method == no_fault(STOP)
    assert control.needs == asked.needs
    assert control.without_fault(mesh()) is control
    assert "brain-down-silent" not in asked.without_fault(mesh(signals={})).claims


@pytest.mark.parametrize("kind", [NoFaultDrill, Drill])
@pytest.mark.usefixtures("programs")
def test_the_request_of_a_run_can_be_run_again(kind: type[Drill], double: FileCluster, tmp_path: Path) -> None:
    """experiment.json holds the control's method, which names the fault that it leaves out."""
    drill = conduct(kind, double, tmp_path / "reports")
    assert drill.bundle is not None
    request = request_in(msgspec.json.decode((drill.bundle / "experiment.json").read_bytes()))
    assert request.fault == (no_fault(STOP) if kind is NoFaultDrill else STOP)


def test_a_control_cannot_be_prepared_on_a_broken_component(double: FileCluster) -> None:
    """If the observer already sees the fault, the control would prove nothing."""
    prepared = no_fault(STOP).resolve(double, mesh(), "0" * 12)
    assert isinstance(prepared, Untouched)
    prepared.instead_of.inject(double, SHORT)
    assert not prepared.receipt(double).landed
    with pytest.raises(HarnessError):
        no_fault(STOP).resolve(double, mesh(), "0" * 12)


def test_a_control_is_refused_where_it_makes_no_sense(
    double: FileCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a mesh that is itself a control: in one sentence, before anything is started."""
    with pytest.raises(UsageError, match="--no-fault makes no sense"):
        conduct(NoFaultDrill, double, tmp_path / "reports", mesh(is_control=True))
    assert not (tmp_path / "reports").exists()
    assert cli.status(["run", "control-plane-outage", "--mesh", "none", "--no-fault"]) == exits.USAGE
    said = capsys.readouterr().err
    assert said.count("makes no sense") == 1
    assert said.rstrip().endswith("choose a mesh.")


def test_a_fault_that_the_mesh_cannot_have_has_no_control() -> None:
    """A mesh without the part that the fault would break is refused as for the fault itself."""
    with pytest.raises(UsageError, match="has no node-agent"):
        no_fault(faults.kill(Role.NODE_AGENT, hold_s=1)).demand(mesh())


def test_todays_claims_of_a_control_are_those_of_a_control(tmp_path: Path) -> None:
    """`judge --current` asks a stored control what today's control asks."""
    entry, on = catalogue.find("control-plane-outage"), meshes.load("linkerd")
    story = many_runs.no_fault()
    place = many_runs.bundle(tmp_path / "reports", story, drill=entry.name, mesh=on.name)
    asked = claims_of_today(History.load(place))
    assert set(asked) == set(entry.build(on).without_fault(on).claims)
    assert "control-plane-down-silent" in asked
