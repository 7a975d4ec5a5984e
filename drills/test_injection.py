"""Nobody puts new pods into the mesh: a new one is refused, or it runs outside."""

from drills.kit import (
    DENIED,
    ROUTES,
    SENTINEL,
    Capability,
    Claim,
    Drill,
    Fault,
    History,
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
    verdict = refuse(drill, faults.stop(Role.INJECTOR, hold_s=30), told(drill))
    assert verdict.passed, verdict.explain()


@requires(Role.INJECTOR)
def test_injection_hang(drill: Drill) -> None:
    """An injector that accepts the question and never answers is no worse than one that is gone."""
    # Shorter than the others, and a try that is under way is waited for: after 50 s a kubelet may have killed it.
    verdict = refuse(drill, faults.hang(Role.INJECTOR, hold_s=25), told(drill))
    assert verdict.passed, verdict.explain()


@requires(Role.INJECTOR, Capability.INJECTION)
def test_injection_wrong_ca(drill: Drill) -> None:
    """An injector whom the API server trusts no more, though it is well, is no worse than one that is gone."""
    verdict = refuse(drill, faults.break_webhook(hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.INJECTOR, Capability.INJECTION)
def test_injection_ignore_outage(drill: Drill) -> None:
    """Where the API server may do without the injector, its outage lets pods in outside the mesh, and each is found.

    They get nothing by it: whom the mesh does not know is refused as before. Made anew, a pod is in the mesh again.
    """
    verdict = stray(drill, faults.ignore_webhook(hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.INJECTOR, Capability.INJECTION)
def test_injection_label_removed(drill: Drill) -> None:
    """A namespace that loses its enrolment loses no pod that was in the mesh; new ones run outside, and are found.

    They get nothing by it: whom the mesh does not know is refused as before. Made anew, a pod is in the mesh again.
    """
    verdict = stray(drill, faults.unlabel(hold_s=30))
    assert verdict.passed, verdict.explain()


def refuse(drill: Drill, fault: Fault, *signs: Claim) -> Verdict:
    """Ask the same questions of each kind of failure; at the end every workload must provably be in the mesh."""
    promise, meshed = drill.mesh.sources, checks.new_pod_meshed()
    closed, goes_on, refused = promise["injection-fail-closed"], promise["traffic-continues"], promise["strict-refused"]
    return drill.judge(
        run(drill, fault),
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.new_pod_tried()),
        never(checks.outside_mesh(), must_hold=True, source=closed),
        always(checks.mesh_membership(), during="run", must_hold=True, source=closed),
        never(checks.plaintext(*ROUTES, SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=refused),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=goes_on),
        always(meshed, observable_by="injection-refused", within_s=12, fails_on_control=True, source=closed),
        *signs,
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(meshed, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
        eventually(checks.mesh_membership(), within_s=BACK_S, hold_s=0, fails_on_control=True, source=closed),
    )


def stray(drill: Drill, fault: Fault) -> Verdict:
    """Ask of a fault that lets new pods run outside the mesh: what was in it stays, and each stray is found."""
    promise = drill.mesh.sources
    stays, goes_on, refused = promise["enrolled-at-creation"], promise["traffic-continues"], promise["strict-refused"]
    return drill.judge(
        run(drill, fault),
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.outside_mesh()),
        always(checks.drift_found(), must_hold=True, source=stays),
        always(checks.mesh_membership(), during="run", must_hold=True, source=stays),
        never(checks.plaintext(*ROUTES, SENTINEL), during="run", must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), during="run", must_hold=True, source=refused),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=goes_on),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(checks.new_pod_meshed(), within_s=BACK_S, source=promise["recovers"]),
        eventually(checks.mesh_membership(), within_s=BACK_S, hold_s=0, source=stays),
    )


def run(drill: Drill, fault: Fault) -> History:
    """Load the lab, have new pods tried all along, and do the fault."""
    return drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=10), signals()],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )


def told(drill: Drill) -> Claim:
    """Ask whether on-call is told of an injector that is not well."""
    return sometimes(checks.signal_seen("injector-down"), source=drill.mesh.sources["loss-visible"])
