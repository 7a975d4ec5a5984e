"""Who enforces policy starts anew while nobody hands policy out."""

from drills.kit import (
    DENIED,
    FRESH,
    ROUTES,
    SENTINEL,
    Drill,
    Role,
    always,
    checks,
    eventually,
    faults,
    never,
    reached,
    requires,
    signals,
    sometimes,
    traffic,
    wire,
)

GUARDED = "ledger"  # only one of the lab may call it
BACK_S = 60


@requires(Role.POLICY)
def test_enforcer_restart_without_policy(drill: Drill) -> None:
    """Who enforces policy, restarted while nobody hands policy out, lets nobody in whom it refused before.

    It may refuse everybody until the policy is back, as long as on-call is told.
    """
    promise, routes, both = drill.mesh.sources, (*ROUTES, SENTINEL), ("fault", "recovery")
    told, flow = "control-plane-down", checks.success_rate(*ROUTES, at_least=0.999)
    history = drill.run(
        workload=traffic(),
        probes=[wire(), signals()],
        method=faults.restart_without(Role.POLICY, GUARDED, hold_s=30),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
        recovery_at_least_s=BACK_S + 10,  # who must be refused again is let in until the proxy was told, if late
    )
    verdict = drill.judge(
        history,
        *(reached(checks.attempted(*routes, *DENIED), during) for during in both),
        reached(checks.handshake(*FRESH)),
        *(never(checks.plaintext(*routes), w, must_hold=True, source=promise["no-plaintext"]) for w in both),
        always(checks.denied(*DENIED), during="run", must_hold=True, source=promise["restart-policy"]),
        *(never(checks.unauthenticated(*ROUTES), w, must_hold=True, source=promise["identity"]) for w in both),
        always(flow, observable_by=told, within_s=20, source=promise["restart-traffic"]),
        always(checks.conservation(("payment", GUARDED)), source=promise["restart-traffic"]),
        sometimes(checks.signal_seen(told), source=promise["loss-visible"]),
        eventually(flow, within_s=BACK_S, source=promise["recovers"]),
        eventually(checks.denied(*DENIED), within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    )
    assert verdict.passed, verdict.explain()
