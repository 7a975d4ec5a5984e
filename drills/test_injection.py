"""Nobody puts new pods into the mesh: a new one is refused, or it runs outside."""

from drills.kit import (
    DENIED,
    ROUTES,
    SENTINEL,
    Drill,
    Fault,
    Role,
    Verdict,
    always,
    checks,
    eventually,
    faults,
    never,
    new_pods,
    reached,
    requires,
    signals,
    sometimes,
    traffic,
    wire,
)

BACK_S = 40


@requires(Role.INJECTOR)
def test_injection_outage(drill: Drill) -> None:
    """Without its injector the mesh lets no pod run outside of it: a new one is refused in so many words."""
    verdict = ask(drill, faults.stop(Role.INJECTOR, hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.INJECTOR)
def test_injection_hang(drill: Drill) -> None:
    """An injector that accepts the question and never answers is no worse than one that is gone."""
    verdict = ask(drill, faults.hang(Role.INJECTOR, hold_s=30))
    assert verdict.passed, verdict.explain()


def ask(drill: Drill, fault: Fault) -> Verdict:
    """Ask the same questions of each kind of death; at the end every workload must provably be in the mesh."""
    promise, meshed = drill.mesh.sources, checks.new_pod_meshed()
    closed, goes_on, refused = promise["injection-fail-closed"], promise["traffic-continues"], promise["strict-refused"]
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=10), signals()],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    return drill.judge(
        history,
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.new_pod_tried()),
        never(checks.outside_mesh(), must_hold=True, source=closed),
        always(checks.mesh_membership(), during="run", must_hold=True, source=closed),
        never(checks.plaintext(*ROUTES, SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=refused),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=goes_on),
        always(meshed, observable_by="injection-refused", within_s=12, fails_on_control=True, source=closed),
        sometimes(checks.signal_seen("injector-down"), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(meshed, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
        eventually(checks.mesh_membership(), within_s=BACK_S, hold_s=0, source=closed),
    )
