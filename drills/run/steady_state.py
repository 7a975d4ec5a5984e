"""The steady state: it must hold before a fault, and return and last for a while before the recovery is complete."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from clusters.lab import LAB
from clusters.model import Mesh
from drills.judge import checks
from drills.judge.checks.proofs import evidence
from drills.judge.history import History, RunFacts, Window
from drills.judge.measure import Check, Truth
from drills.judge.records import NS_PER_S
from drills.run.collect import collect
from drills.run.context import Context
from drills.run.inventory import Inventory
from drills.run.lab import DENIED, FRONT_DOOR, ROUTES, UNMESHED_PAIR, Calls
from drills.run.tail import log_offsets
from drills.run.timing import Timing

_SUCCESS = 0.99
_SAMPLES = 20
_RESOLVES = 1.0  # a few seconds of calls show whether the workload runs, and are no evidence


class SteadyState:
    """Applies the judge's own checks to the last seconds of the workload.

    Each time it reads only the log lines that it needs.
    """

    def __init__(self, context: Context, facts: RunFacts, workload: Sequence[Calls], pods: Inventory) -> None:
        self._context = context
        self._facts = facts
        self._pods = pods.names
        self._checks = _steady_state(workload, context.mesh)
        self._members = () if context.mesh.is_control else _members(workload, pods)
        counted = {edge for check in self._checks for edge in check.edges}
        slowest_s = max((it.every_ms for it in workload if (it.source, it.target) in counted), default=0.0) / 1000
        self._length_ns = int(max(context.timing.steady_state_length_s, slowest_s * (_SAMPLES + 2)) * NS_PER_S)
        self._offsets = deque([(0, context.tail.offsets)])  # (instant, where each log stood), the oldest first

    def missing(self) -> str:
        """Return which part of the steady state does not hold, "" when all of it does."""
        now_ns = time.time_ns()
        end_ns = now_ns - int(self._context.timing.call_ends_within_s * NS_PER_S)
        window = Window("steady state", end_ns - self._length_ns, end_ns)
        self._offsets.append((now_ns, log_offsets(self._context.cluster.share)))
        while self._offsets[1][0] < window.start_ns:
            self._offsets.popleft()  # calls due in the window were logged after the first offset that is left
        recorded = collect(
            self._context.cluster.share, self._context.run_id, pods=self._pods, offsets=self._offsets[0][1]
        )
        history = History(recorded.calls.lazy(), recorded.events, self._facts)
        found = ((check, check.evaluate(history, window)) for check in self._checks)
        amiss = [f"{check.says}: {seen.reason}" for check, seen in found if seen.truth is not Truth.TRUE]
        return "; ".join((*amiss, *self._unshown(history, window)))

    def _unshown(self, history: History, window: Window) -> Iterator[str]:
        """Yield each pod of the mesh of which no call shows it there; the wire is judged only at the end of the run."""
        if self._members:
            calls = evidence(history, window, wire=False)
            proofs = (calls.proof(pod, asked=0, enough=1) for pod in self._members)
            yield from (
                f"{it.pod} is not shown in the mesh: {it.reason}" for it in proofs if it.truth is not Truth.TRUE
            )


class RecoveryDetector:
    """Detects that the mesh is healthy and has been for `stable_for_s`, or for `stable_share` if that is longer."""

    def __init__(
        self, is_healthy: Callable[[], bool], timing: Timing, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_healthy = is_healthy
        self._timing = timing
        self._clock_s = clock_s
        self._begun_s = clock_s()
        self._since_s: float | None = None

    def is_stable(self) -> bool:
        """Return whether the mesh is healthy and has been for the required time."""
        now_s = self._clock_s()
        if not self._is_healthy():
            self._since_s = None
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        share_s = self._timing.stable_share * (self._since_s - self._begun_s)
        return now_s - self._since_s >= max(self._timing.stable_for_s, share_s)


def _members(workload: Sequence[Calls], pods: Inventory) -> tuple[str, ...]:
    """Return the pods of the mesh that take part in an allowed call of the workload."""
    edges = {(spec.source, spec.target) for spec in workload} & {*ROUTES, FRONT_DOOR}
    services = {service for edge in edges for service in edge}
    return tuple(pod.name for pod in pods.services if pod.namespace == LAB and pod.service in services)


def _steady_state(workload: Sequence[Calls], mesh: Mesh) -> list[Check]:
    """Return the checks: calls on routes succeed; calls that policy denies are refused, except in a control mesh."""
    called = {(spec.source, spec.target) for spec in workload}
    routes = [edge for edge in (*ROUTES, FRONT_DOOR, UNMESHED_PAIR) if edge in called]
    denied = [edge for edge in DENIED if edge in called and not mesh.is_control]
    found: list[Check] = []
    if routes:
        found.append(checks.success_rate(*routes, at_least=_SUCCESS, min_samples=_SAMPLES, resolves=_RESOLVES))
    if denied:
        found.append(checks.denied(*denied, min_samples=_SAMPLES))
    return found
