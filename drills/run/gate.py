"""The gate: before anything is broken, the mesh must do what its policies say, by the judge's own checks."""

import time
from collections.abc import Sequence

from clusters.mesh import Mesh
from drills.judge import checks
from drills.judge.history import History, RunFacts, Window
from drills.judge.measure import Check, Truth
from drills.run.calls import TIMEOUT_MS, Calls
from drills.run.collect import collect
from drills.run.context import Context
from drills.run.edges import DENIED, ROUTES, SENTINEL

_LENGTH_S = 3.0
_SETTLED_S = TIMEOUT_MS / 1000 + 0.5  # a call due earlier than this has its outcome in the log
_SUCCESS = 0.99
_SAMPLES = 20
_NS_PER_S = 1_000_000_000


def missing(context: Context, facts: RunFacts, workload: Sequence[Calls], pods: frozenset[str]) -> str:
    """Say which part of the steady state does not hold in the last seconds, "" when all of it does."""
    slowest_s = max((spec.every_ms for spec in workload), default=0.0) / 1000
    end_ns = time.time_ns() - int(_SETTLED_S * _NS_PER_S)
    window = Window("gate", end_ns - int(max(_LENGTH_S, slowest_s * (_SAMPLES + 2)) * _NS_PER_S), end_ns)
    recorded = collect(context.place.share, context.run_id, pods=pods, marks=context.tail.marks)
    history = History(recorded.calls.lazy(), recorded.events, facts)
    asked = ((check, check.evaluate(history, window)) for check in _steady_state(workload, context.mesh))
    return "; ".join(f"{check.says}: {found.reason}" for check, found in asked if found.truth is not Truth.TRUE)


def _steady_state(workload: Sequence[Calls], mesh: Mesh) -> list[Check]:
    """Return what must hold: routes carry calls; what policy forbids is refused, except where nothing enforces it."""
    called = {(spec.source, spec.target) for spec in workload}
    routes = [edge for edge in (*ROUTES, SENTINEL) if edge in called]
    denied = [edge for edge in DENIED if edge in called and not mesh.is_control]
    found: list[Check] = []
    if routes:
        found.append(checks.success_rate(*routes, at_least=_SUCCESS, min_samples=_SAMPLES))
    if denied:
        found.append(checks.denied(*denied, min_samples=_SAMPLES))
    return found
