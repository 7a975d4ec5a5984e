"""One run in progress: the steps that the activities call. chaos_toolkit.py defines their order."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from clusters.cluster import Cluster
from clusters.model import Mesh
from clusters.runtime import HarnessError, Progress, TimeUpError, wait_for, wait_until
from drills.judge.events import Phase
from drills.judge.history import RunFacts
from drills.run import inventory
from drills.run.active_fault import ActiveFault
from drills.run.collect import Collected, collect
from drills.run.context import Context
from drills.run.drops import DropReader
from drills.run.experiment import Request, signals_of
from drills.run.facts import facts_of
from drills.run.inventory import Inventory
from drills.run.lab import FRONT_DOOR_ALLOWED, ROUTES
from drills.run.membership import note_components, note_membership, note_pods
from drills.run.phase import BASELINE, FAULT, RECOVERY, CurrentPhase
from drills.run.policies import PolicyWatch
from drills.run.probes.base import Probe
from drills.run.probes.conditions import Conditions
from drills.run.probes.new_pods import NewPodsProbe
from drills.run.probes.policy_change import PolicyChangeProbe
from drills.run.recorder import Recorder
from drills.run.steady_state import RecoveryDetector, SteadyState
from drills.run.tail import ProgressReporter, Tail
from drills.run.timing import Timing
from drills.run.undo import UndoLog, undo_all
from drills.run.workload import Workload


class LiveRun:
    """The parts of one run, and its steps. Activities call each step once, in order."""

    def __init__(
        self,
        cluster: Cluster,
        mesh: Mesh,
        request: Request,
        recorder: Recorder,
        progress: Progress,
        timing: Timing,
    ) -> None:
        self.request = request
        self.recorder = recorder
        self._progress = progress
        self._timing = timing
        self._begun_ns = time.time_ns()
        self._phase = CurrentPhase()
        self._tail = Tail(cluster.share, request.run_id)
        self._context = Context(
            request.run_id,
            cluster,
            mesh,
            recorder,
            UndoLog(cluster.state),
            self._phase,
            self._tail,
            takes_api=request.fault.takes_api,
            timing=timing,
        )
        self._drops = DropReader(cluster, mesh.drop_log)
        self._reporter = ProgressReporter(self._tail, progress, timing)
        self._conditions = Conditions(cluster.kube, recorder, signals_of(request, mesh), timing)
        self._policies = PolicyWatch(cluster.kube, self._context.policies, mesh, timing)
        self._inventory: Inventory | None = None
        self._workload: Workload | None = None
        self._ending: Workload | None = None  # the workload whose end lines are still outstanding
        self._fault: ActiveFault | None = None
        self._probes: tuple[Probe, ...] = ()

    def start_workload(self) -> None:
        """Start calls and probes, and wait until each program of the lab works."""
        context, request = self._context, self.request
        self._inventory = inventory.take(context.cluster)
        self._workload = self._ending = Workload(context, request, self._inventory)
        self._probes = tuple(self._wanted_probes(self._inventory))
        self._drops.begin()
        note_pods(context, self._inventory)
        self._policies.start()
        self._say("starting the workload")
        self._workload.start()
        self._conditions.start()
        self._reporter.start()
        for probe in self._probes:
            probe.start()

    def await_steady_state(self, within_s: float) -> None:
        """Wait until the steady state holds; HarnessError says what does not hold."""
        self._say("waiting for the steady state")
        pods = self._inventory or inventory.take(self._context.cluster)
        steady_state = SteadyState(self._context, self.facts(), self.request.workload, pods)
        every_s = self._timing.steady_state_every_s
        wait_for("Steady state before the fault", steady_state.missing, within_s=within_s, every_s=every_s)

    def baseline(self, baseline_s: float) -> None:
        """Prepare the fault, then watch the healthy mesh while every probe makes one attempt."""
        # Before the window: the preparation runs programs on every node, which takes processor time from the callers.
        self._fault = ActiveFault(self._context, self.request.fault)
        note_components(self._context)
        self._say(f"baseline, {baseline_s:g} s")
        self.recorder.note(Phase(time.time_ns(), "baseline"))
        self._note_membership()
        self._phase.enter(BASELINE)
        at_most_s = baseline_s + self._timing.attempt_within_s
        self._watch(lambda: self._are_probes_done(BASELINE), at_least_s=baseline_s, at_most_s=at_most_s)
        self._settle()
        self._demand_attempts(BASELINE)

    def inject(self) -> None:
        """Inject the fault and wait for its receipt."""
        self._say(f"fault: {self.request.fault.title}")
        self._active_fault().inject()
        self._say("fault landed")
        self._phase.enter(FAULT)

    def hold(self, hold_s: float) -> None:
        """Hold the fault and take receipts, for at least hold_s and until every probe has made an attempt."""
        fault, attempt_s = self._active_fault(), self._timing.attempt_within_s
        self._say(f"hold, {hold_s:g} s")
        enough_s = time.monotonic() + hold_s

        def is_enough() -> bool:
            return (time.monotonic() >= enough_s or fault.is_over()) and self._are_probes_done(FAULT)

        fault.watch(is_enough, within_s=hold_s + attempt_s)
        if not fault.watch(lambda: self._phase.settle(0.0), within_s=attempt_s):
            raise self._unsettled()
        self._demand_attempts(FAULT)

    def undo(self) -> None:
        """Undo the fault and verify the undo; then the recovery begins."""
        self._say(f"undo: {self.request.fault.title}")
        self._active_fault().undo()
        self.recorder.note(Phase(time.time_ns(), "recovery"))
        self._phase.enter(RECOVERY)

    def recover(self, recovery_s: float) -> None:
        """Watch until probes and routes are healthy and stay healthy for a while, at most recovery_s."""
        self._say(f"recovery, at most {recovery_s:g} s")
        detector = RecoveryDetector(self._are_routes_healthy, self._timing)
        self._watch(
            lambda: detector.is_stable() and self._are_probes_done(RECOVERY),
            at_least_s=min(self.request.recovery_at_least_s, recovery_s),
            at_most_s=recovery_s,
        )
        self._settle()
        self._note_membership(within_s=self._timing.pods_start_within_s)

    def roll_back(self) -> None:
        """Roll back: the fault first, then what probes and workload left. Safe at any time and more than once."""
        self._phase.stop()
        try:
            if self._fault is not None:
                self._fault.undo()
        except HarnessError as error:  # retried below, with everything else
            self.recorder.trouble("undo", str(error))
        for probe in self._probes:
            probe.join()
        if not self.recorder.has(Phase, "end"):
            self.recorder.note(Phase(time.time_ns(), "end"))
        undo_all(self._context.cluster, timing=self._timing)

    def await_end_lines(self) -> None:
        """Wait until every program of the lab wrote its end line; HarnessError names the others. Safe twice."""
        self._conditions.stop()
        self._policies.stop()
        self._reporter.stop()
        ending, self._ending = self._ending, None  # only once: a second Ctrl-C means "stop waiting"
        if ending is not None:
            ending.await_ends()

    def close(self) -> None:
        """Do what the rollbacks could not, because a second Ctrl-C cut them short; a failure is an event."""
        for step in (self.roll_back, self.await_end_lines):
            try:
                step()
            except HarnessError as error:
                self.recorder.trouble(step.__name__, str(error))

    def facts(self) -> RunFacts:
        """Return the facts of the run for the judge."""
        callers = self._workload.expected if self._workload else ()
        return facts_of(self.request, self._context.mesh, self._context.cluster, self._inventory, callers)

    def collect(self) -> Collected:
        """Read what the lab's programs recorded in this run."""
        context = self._context
        ended_pods = frozenset(self.facts().lost_pods)
        found = collect(
            context.cluster.share, context.run_id, pods=self._pods(), offsets=self._tail.offsets, ended_pods=ended_pods
        )
        pods = self._inventory.services if self._inventory else ()
        drops = self._drops.read(self._begun_ns, time.time_ns(), {pod.address: pod.service for pod in pods})
        return replace(found, events=(*found.events, *drops))

    def _wanted_probes(self, pods: Inventory) -> Iterator[Probe]:
        if self.request.probes.new_pods:
            yield NewPodsProbe(self._context, self.request.probes.new_pods, pods)
        if self.request.probes.policy_change:
            yield PolicyChangeProbe(self._context, self.request.probes.policy_change)

    def _watch(self, is_enough: Callable[[], bool], *, at_least_s: float, at_most_s: float) -> None:
        """Wait until `is_enough`, for at_least_s to at_most_s."""
        enough_s = time.monotonic() + at_least_s
        with suppress(TimeUpError):  # the phase ends all the same, and the claims show what it lacks
            wait_until(
                lambda: time.monotonic() >= enough_s and is_enough(),
                bool,
                what="The end of a phase",
                within_s=at_most_s,
                every_s=self._timing.poll_every_s,
                pause=self._phase.pause,
            )

    def _settle(self) -> None:
        if not self._phase.settle(self._timing.attempt_within_s):
            raise self._unsettled()

    def _are_probes_done(self, phase: str) -> bool:
        return all(probe.is_done(phase) for probe in self._probes)

    def _demand_attempts(self, phase: str) -> None:
        """Record which probes made no attempt: their result is unknown, and the run INCONCLUSIVE."""
        idle = [probe.name for probe in self._probes if not probe.is_done(phase)]
        if idle:
            self.recorder.trouble("probes", f"no attempt of {', '.join(idle)} in the {phase} window")

    def _are_routes_healthy(self) -> bool:
        """Return whether every allowed edge carried calls in the last seconds, lost none and kept none waiting."""
        pulse = self._tail.pulse()
        routes = {(spec.source, spec.target) for spec in self.request.workload} & {*ROUTES, FRONT_DOOR_ALLOWED}
        return all(pulse.recent.get(it) and not pulse.failing.get(it) and not pulse.slow.get(it) for it in routes)

    def _note_membership(self, within_s: float = 0.0) -> None:
        if self._inventory is not None:
            note_membership(self._context, self._inventory, within_s=within_s)

    def _active_fault(self) -> ActiveFault:
        if self._fault is None:
            raise HarnessError("There is no fault to inject, hold or undo: the step that prepares it did not run.")
        return self._fault

    def _pods(self) -> frozenset[str]:
        return self._inventory.names if self._inventory else frozenset()

    def _say(self, line: str) -> None:
        self._progress(f"{self.request.title}: {line}")

    def _unsettled(self) -> HarnessError:
        return HarnessError(f"An attempt of a probe did not end within {self._timing.attempt_within_s:g} s.")
