"""The runner: a drill runs as a Chaos Toolkit experiment, and nothing that goes wrong in it can end in a pass."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.runtime import HarnessError
from drills.judge import checks
from drills.judge.claims import Claim, always, judge, never, reached, restored, sometimes
from drills.judge.events import HarnessTrouble, MembershipSeen
from drills.judge.history import History
from drills.judge.verdict import Outcome
from drills.run import active_fault, live
from drills.run.experiment import Experiment
from drills.run.faults.workload import ScaledToZero
from drills.run.runner import Drill
from drills.run.timing import Timing
from drills.run.undo import UndoLog, leftovers, sweep
from drills.selftest.doubles.cluster_double import COMPONENT, PROMISED, FileCluster, mesh
from drills.selftest.doubles.drill_double import FORBIDDEN, ROUTE, STOP, WORKLOAD, healthy, played
from drills.selftest.doubles.programs_double import Programs
from drills.selftest.doubles.short_timing import SHORT

WATCHED = {
    "no-plaintext": never(checks.plaintext(ROUTE)),
    "brain-down-alerts": sometimes(checks.signal_seen("brain-down")),
}
"""Claims for which a run watches the wire and records signals."""
FLOWS = {"routes-keep-working": always(checks.success_rate(ROUTE, at_least=0.9))}


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component and a lab."""
    return healthy(tmp_path / "place")


@pytest.fixture
def programs(double: FileCluster) -> Iterator[Programs]:
    """Run the lab's programs."""
    with played(double) as playing:
        yield playing


def drill_on(double: FileCluster, tmp_path: Path, timing: Timing = SHORT) -> Drill:
    """Return a drill on the double."""
    return Drill(
        cluster=double,
        mesh=mesh(),
        name="brain-outage",
        hypothesis="Nothing depends on the brain.",
        reports_dir=tmp_path / "reports",
        timing=timing,
    )


def run(drill: Drill, claims: Mapping[str, Claim] = WATCHED) -> History:
    """Run the drill of these tests and return the history that it stored."""
    drill.conduct(experiment(claims))
    assert drill.bundle is not None
    return History.load(drill.bundle)


def experiment(claims: Mapping[str, Claim]) -> Experiment:
    """Return what the drill of these tests does."""
    return Experiment(method=STOP, workload=WORKLOAD, claims=claims, baseline_s=0.3, recovery_s=0.4)


def answer(drill: Drill) -> Outcome:
    """Return the verdict of the run."""
    assert drill.verdict is not None
    return drill.verdict.outcome


def kinds(history: History) -> list[str]:
    """Return the kinds of all events."""
    return [event.kind for event in history.events]


def troubles(history: History) -> str:
    """Return the failures of the harness itself, "" for none."""
    return " | ".join(f"{event.subject}: {event.detail.message}" for event in history.of_kind(HarnessTrouble))


@pytest.mark.usefixtures("programs")
def test_whole_life_of_a_drill_is_recorded(double: FileCluster, tmp_path: Path) -> None:
    """A drill that goes well leaves every file of the history, all three windows, no defect, and a clean cluster."""
    drill = drill_on(double, tmp_path)
    history = run(drill)
    assert troubles(history) == ""
    assert list(history.windows()) == ["baseline", "fault", "recovery", "run"]
    assert history.completeness() == ()
    assert {"wire.ready", "wire.end", "condition", "fault.receipt", "caller.end", "server.end"} <= set(kinds(history))
    assert history.facts.identities["checkout"] == "lab/checkout"
    assert history.facts.identities["outsider"] == ""
    assert leftovers(double.state) == ()
    assert drill.bundle is not None
    assert drill.bundle.parts[-3:-1] == ("brain-outage", "double")
    journal = json.loads((drill.bundle / "journal.json").read_text())
    assert journal["status"] == "completed"
    assert [step["status"] for step in journal["run"] + journal["rollbacks"]] == ["succeeded"] * 7


@pytest.mark.usefixtures("programs")
def test_membership_is_noted_at_both_ends_of_a_run(double: FileCluster, tmp_path: Path) -> None:
    """Membership of every service is recorded as the run begins and as it ends, and can be claimed."""
    drill = drill_on(double, tmp_path)
    history = run(drill, {"membership-unchanged": always(checks.mesh_membership(), during="run")})
    windows = history.windows()
    services = {"frontend-1", "checkout-1", "payment-1", "ledger-1", "outsider-1"}
    for window in (windows["baseline"], windows["recovery"]):
        assert {event.subject for event in history.events_in(window, MembershipSeen)} == services
    verdict = drill.verdict
    assert verdict is not None
    assert verdict.findings[0].rows[0].numbers["looks"] == 2 * len(services)


@pytest.mark.usefixtures("programs")
def test_verdict_is_written_beside_the_history(double: FileCluster, tmp_path: Path) -> None:
    """Judging gives HELD on a quiet double, and the same bytes when the claims that were stored are judged again."""
    drill = drill_on(double, tmp_path)
    claims = {
        "calls-made": reached(checks.attempted(ROUTE)),
        "routes-keep-working": always(checks.success_rate(ROUTE, at_least=0.999, resolves=0.2)),
        "denied-stay-denied": always(checks.denied(FORBIDDEN), must_hold=True),
    }
    history = run(drill, claims)
    verdict = drill.verdict
    assert verdict is not None
    assert verdict.outcome is Outcome.HELD, verdict.explain()
    assert drill.bundle is not None
    again = judge(history, restored(history.facts.claims))
    assert (drill.bundle / "verdict.json").read_bytes() == verdict.encode() == again.encode()


@pytest.mark.usefixtures("programs")
def test_each_claim_is_stored_with_its_promise(double: FileCluster, tmp_path: Path) -> None:
    """The mesh's promise is found by the claim's id; that a situation was reached is no mesh's promise."""
    drill = drill_on(double, tmp_path)
    history = run(drill, {"calls-made": reached(checks.attempted(ROUTE)), **FLOWS})
    asked = {claim.id: claim.promise for claim in history.facts.claims}
    assert asked == {"calls-made": None, "routes-keep-working": PROMISED}


def test_steady_state_that_does_not_hold_is_inconclusive(double: FileCluster, tmp_path: Path) -> None:
    """A mesh that serves denied calls gets no fault: no pass, workload stopped."""
    drill = drill_on(double, tmp_path, replace(SHORT, steady_state_within_s=1.0))
    with played(double, denied=frozenset()):
        history = run(drill, FLOWS)
    assert "steady-state" in troubles(history)
    assert "fault.injected" not in kinds(history)
    assert answer(drill) is Outcome.INCONCLUSIVE
    assert leftovers(double.state) == ()


@pytest.mark.usefixtures("programs")
def test_fault_without_receipt_is_inconclusive_and_rolled_back(double: FileCluster, tmp_path: Path) -> None:
    """A fault that no observer saw ends the method there, rollbacks run, and the verdict is INCONCLUSIVE."""
    world = double.load()
    world.survives = True
    double.save(world)
    drill = drill_on(double, tmp_path)
    history = run(drill, FLOWS)
    assert "seen to land by an independent observer: not within" in troubles(history)
    assert drill.bundle is not None
    journal = json.loads((drill.bundle / "journal.json").read_text())
    assert journal["status"] == "aborted"
    assert [step["activity"]["name"] for step in journal["run"]] == ["baseline", "scale-to-zero control-plane"]
    assert [step["status"] for step in journal["rollbacks"]] == ["succeeded"] * 2
    assert leftovers(double.state) == ()
    assert answer(drill) is Outcome.INCONCLUSIVE


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("step", ["hold", "undo", "recover"])
def test_failing_step_is_inconclusive_and_rolled_back(
    double: FileCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An action that fails in the middle never completes the run: the cluster is put right and nothing passes."""

    def fail(_run: live.LiveRun, *_arguments: object) -> None:
        raise HarnessError("made to fail")

    monkeypatch.setattr(live.LiveRun, step, fail)
    drill = drill_on(double, tmp_path)
    history = run(drill, FLOWS)
    assert "made to fail" in troubles(history)
    assert double.replicas(COMPONENT) == (1, 1)
    assert leftovers(double.state) == ()
    assert answer(drill) is Outcome.INCONCLUSIVE


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("step", ["start_workload", "baseline", "inject", "recover"])
def test_ctrl_c_leaves_a_clean_cluster_and_the_history(
    double: FileCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Ctrl-C in any phase undoes, stops the workload, saves what there is, and is raised again."""
    really = getattr(live.LiveRun, step)

    def interrupted(run: live.LiveRun, *arguments: object) -> None:
        really(run, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(live.LiveRun, step, interrupted)
    drill = drill_on(double, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(drill)
    assert double.replicas(COMPONENT) == (1, 1)
    assert leftovers(double.state) == ()
    assert drill.bundle is not None
    assert "KeyboardInterrupt" in troubles(History.load(drill.bundle))


@pytest.mark.usefixtures("programs")
def test_second_ctrl_c_does_not_leave_the_fault(
    double: FileCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chaos Toolkit drops its rollbacks at an interruption among them; ours are done all the same."""
    really, calls_so_far = live.LiveRun.roll_back, []

    def interrupted_once(run: live.LiveRun) -> None:
        calls_so_far.append("")
        if len(calls_so_far) == 1:
            raise KeyboardInterrupt
        really(run)

    monkeypatch.setattr(live.LiveRun, "roll_back", interrupted_once)
    monkeypatch.setattr(live.LiveRun, "hold", lambda *_arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(drill_on(double, tmp_path))
    assert double.replicas(COMPONENT) == (1, 1)
    assert leftovers(double.state) == ()


def test_program_that_never_takes_up_the_plan_is_named(double: FileCluster, tmp_path: Path) -> None:
    """A pod that does not answer the plan ends the drill before the fault, by its name."""
    timing = replace(SHORT, workload_ready_within_s=0.5, calls_end_within_s=0.5)
    with played(double, mute=frozenset({"ledger-1"})):
        history = run(drill_on(double, tmp_path, timing))
    assert "plan not read by ledger-1" in troubles(history)
    assert "fault.injected" not in kinds(history)


def test_leftovers_are_refused_before_anything_starts(double: FileCluster, tmp_path: Path) -> None:
    """A cluster that carries an earlier fault is refused with the command that reverts it; then the drill may run."""
    stale = ScaledToZero(run_id="old", component=COMPONENT, replicas=1, address="", order=())
    UndoLog(double.state).write(stale)
    drill = drill_on(double, tmp_path)
    with pytest.raises(HarnessError, match="meshdrill sweep"):
        run(drill)
    assert drill.bundle is None
    sweep(double)
    assert leftovers(double.state) == ()


def test_cluster_that_cannot_be_put_right_is_a_harness_error(
    double: FileCluster, tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the component does not come back the run ends in a harness error that names the sweep, with its evidence."""
    del programs

    def too_late(*_arguments: object, **_options: object) -> None:
        raise HarnessError("not ready")

    monkeypatch.setattr(active_fault, "verify", too_late)
    monkeypatch.setattr("drills.run.undo.verify", too_late)
    drill = drill_on(double, tmp_path)
    with pytest.raises(HarnessError, match="meshdrill sweep"):
        run(drill)
    assert drill.bundle is not None
    assert "not ready" in troubles(History.load(drill.bundle))
    assert any(entry.kind == "scale-to-zero" for entry in leftovers(double.state))
