"""Probes: each attempt lies in one window, says what was answered, and leaves nothing behind."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from clusters.model import Mesh, SignalKind, SignalSpec
from drills.judge.events import E, HarnessTrouble, ObjectStatus, Phase, ReplicaCount
from drills.run.context import Context
from drills.run.phase import BASELINE, FAULT, IDLE, RECOVERY, CurrentPhase, StoppedError
from drills.run.probes.base import Probe
from drills.run.probes.conditions import Conditions
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.timing import Timing
from drills.run.undo import UndoLog
from drills.selftest.doubles.cluster_double import SOURCE, FileCluster, mesh
from drills.selftest.doubles.short_timing import SHORT


@pytest.fixture
def double(tmp_path_factory: pytest.TempPathFactory) -> FileCluster:
    """Return a healthy component."""
    return FileCluster(tmp_path_factory.mktemp("place"))


def context_of(double: FileCluster, facts: Mesh | None = None, timing: Timing = SHORT) -> Context:
    """Return the context of run r1."""
    return Context(
        "r1",
        double,
        facts or mesh(),
        Recorder(),
        UndoLog(double.state),
        CurrentPhase(),
        Tail(double.share, "r1"),
        timing=timing,
    )


def of_kind(context: Context, kind: type[E]) -> list[E]:
    """Return the events of a kind."""
    return [event for event in context.recorder.events() if isinstance(event, kind)]


class Counting(Probe):
    """A probe whose attempts can be counted, held up and made to fail."""

    name = "counting"

    def __init__(
        self, context: Context, *, every_s: float = 0.05, is_good: bool = True, error: Exception | None = None
    ) -> None:
        super().__init__(context, every_s=every_s)
        self.parts: list[str] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self._is_good = is_good
        self._error = error

    def attempt(self, phase: str) -> bool:
        """Note the phase of the run."""
        self.parts.append(phase)
        self.may_end.wait(5)
        if self._error:
            raise self._error
        return self._is_good


@pytest.fixture
def counting(double: FileCluster) -> Iterator[Callable[..., tuple[Counting, Context]]]:
    """Give a function that starts a counting probe, and end what it started."""
    started: list[tuple[Counting, Context]] = []

    def start(timing: Timing = SHORT, **how: object) -> tuple[Counting, Context]:
        context = context_of(double, timing=timing)
        probe = Counting(context, **how)  # type: ignore[arg-type]  # passed through as it came
        probe.start()
        started.append((probe, context))
        return probe, context

    yield start
    for probe, context in started:
        probe.may_end.set()
        context.phase.stop()
        probe.join()


def eventually(is_true: Callable[[], bool]) -> bool:
    """Wait up to 5 s for it to be true."""
    deadline_s = time.monotonic() + 5
    while not is_true() and time.monotonic() < deadline_s:
        threading.Event().wait(0.01)
    return is_true()


Start = Callable[..., tuple[Counting, Context]]


def test_probe_tries_once_in_the_baseline_and_then_again_and_again(counting: Start) -> None:
    """Nothing before the baseline, one attempt in it, a rhythm in the fault."""
    probe, context = counting()
    threading.Event().wait(0.3)
    assert probe.parts == []
    context.phase.enter(BASELINE)
    assert eventually(lambda: probe.is_done(BASELINE))
    context.phase.enter(FAULT)
    assert eventually(lambda: probe.parts.count(FAULT) >= 3)
    assert probe.parts.count(BASELINE) == 1


def test_a_recovery_is_asked_for_again_soon_however_slow_the_rhythm(counting: Start) -> None:
    """A drill that wants one attempt in two minutes still sees when the mesh is well again."""
    probe, context = counting(replace(SHORT, probe_recovery_every_s=0.05), every_s=120, is_good=False)
    context.phase.enter(FAULT)
    assert eventually(lambda: probe.is_done(FAULT))
    context.phase.enter(RECOVERY)
    assert eventually(lambda: probe.parts.count(RECOVERY) >= 3)
    assert probe.parts.count(FAULT) == 1


def test_no_attempt_reaches_over_the_edge_of_a_window(counting: Start) -> None:
    """Settling waits for the attempt in progress and lets none begin."""
    probe, context = counting()
    probe.may_end.clear()
    context.phase.enter(FAULT)
    assert eventually(lambda: len(probe.parts) == 1)
    assert not context.phase.settle(0.05)
    probe.may_end.set()
    assert context.phase.settle(2)
    seen = len(probe.parts)
    threading.Event().wait(0.2)
    assert len(probe.parts) == seen


@pytest.mark.parametrize("phase", [IDLE, BASELINE])
def test_waiting_probes_rest(double: FileCluster, phase: str) -> None:
    """Probes that wait for leave use next to no processor time: they must not become the load that they find."""
    context = context_of(double)
    context.phase.enter(phase)
    probes = [Counting(context), Counting(context)]
    for probe in probes:
        probe.start()
    before_s = time.process_time()
    threading.Event().wait(0.5)
    used_s = time.process_time() - before_s
    context.phase.stop()
    for probe in probes:
        probe.join()
    assert used_s < 0.1


def test_recovery_needs_a_good_attempt(counting: Start) -> None:
    """In the recovery a probe is done only after a good attempt."""
    probe, context = counting(is_good=False)
    context.phase.enter(FAULT)
    assert eventually(lambda: probe.is_done(FAULT))
    context.phase.enter(RECOVERY)
    assert eventually(lambda: probe.parts.count(RECOVERY) >= 2)
    assert not probe.is_done(RECOVERY)


def test_error_of_a_probe_is_an_event(counting: Start) -> None:
    """A probe that raises goes on, and the history says that the harness itself failed."""
    probe, context = counting(error=ValueError("oops"))
    context.phase.enter(FAULT)
    assert eventually(lambda: len(probe.parts) >= 2)
    assert of_kind(context, HarnessTrouble)[0].detail.message == "ValueError: oops"


def test_probe_that_hangs_is_written_down(counting: Start) -> None:
    """The end of the run does not wait for ever for a probe, and does not hide it either."""
    probe, context = counting(replace(SHORT, probe_ends_within_s=0.05))
    probe.may_end.clear()
    context.phase.enter(FAULT)
    assert eventually(lambda: len(probe.parts) == 1)
    context.phase.stop()
    probe.join()
    assert "did not end" in of_kind(context, HarnessTrouble)[0].detail.message


def test_pause_ends_with_the_run() -> None:
    """A pause within an attempt ends at once when the run ends."""
    current = CurrentPhase()
    current.stop()
    with pytest.raises(StoppedError):
        current.pause(60)
    with current.attempt() as phase:
        assert phase == IDLE


def test_conditions_are_polled_and_an_unreachable_api_is_no_condition(double: FileCluster) -> None:
    """Ready and desired are noted; when the API does not answer, nothing is claimed about the workload."""
    recorder = Recorder()
    conditions = Conditions(double, recorder, (mesh().signals["brain-down"],), SHORT)
    conditions.start()
    assert eventually(lambda: len(recorder.events()) >= 1)
    world = double.load()
    world.is_api_dead = True
    double.save(world)
    assert eventually(lambda: len(recorder.events()) >= 2)
    conditions.stop()
    first, second = recorder.events()[:2]
    assert isinstance(first, ReplicaCount)
    assert isinstance(second, ReplicaCount)
    assert (first.subject, first.detail.ready, first.detail.desired) == ("system/Deployment/brain", 1, 1)
    assert second.detail.ready is None
    assert "dead" in second.detail.error


def test_a_workload_that_is_gone_has_no_pod_ready(double: FileCluster) -> None:
    """A deleted workload is a loss, not a failed request."""
    world = double.load()
    world.is_removed = True
    double.save(world)
    recorder = Recorder()
    conditions = Conditions(double, recorder, (mesh().signals["brain-down"],), SHORT)
    conditions.start()
    assert eventually(lambda: len(recorder.events()) >= 1)
    conditions.stop()
    first = recorder.events()[0]
    assert first.detail == ReplicaCount.Detail(ready=0, desired=0, error="")


def test_conditions_of_an_object_are_noted_with_status_and_reason(double: FileCluster) -> None:
    """An absent object has no conditions, an existing one has each of its own; with a dead API they are unknown."""
    recorder = Recorder()
    signal = SignalSpec("stated", SignalKind.STATUS, "example.org/v1 Rule lab/door Enforced=False", SOURCE)
    conditions = Conditions(double, recorder, (signal,), SHORT)
    conditions.start()
    assert eventually(lambda: len(recorder.events()) >= 1)
    world = double.load()
    condition = {"type": "Enforced", "status": "False", "reason": "Unsupported", "message": "no proxy"}
    world.objects["Rule/lab/door"] = {"status": {"conditions": [condition, {"type": "Valid", "status": "True"}]}}
    double.save(world)
    assert eventually(lambda: len(recorder.events()) >= 2)
    world.is_api_dead = True
    double.save(world)
    assert eventually(lambda: len(recorder.events()) >= 3)
    conditions.stop()
    absent, present, dead = [event for event in recorder.events() if isinstance(event, ObjectStatus)][:3]
    assert (absent.subject, absent.detail.conditions) == ("example.org/v1 Rule lab/door", ())
    assert present.detail.conditions == ("Enforced=False", "Enforced=Unsupported", "Valid=True")
    assert present.detail.message == "no proxy"
    assert dead.detail.conditions is None
    assert "dead" in dead.detail.error


def test_recorder_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events beyond the bound are counted as lost, which makes the run inconclusive."""
    monkeypatch.setattr("drills.run.recorder._LIMIT", 2)
    recorder = Recorder()
    for _ in range(5):
        recorder.note(Phase(0, "baseline"))
    *kept, lost = recorder.events()
    assert kept == [Phase(0, "baseline")] * 2
    assert isinstance(lost, HarnessTrouble)
    assert "3 events" in lost.detail.message
