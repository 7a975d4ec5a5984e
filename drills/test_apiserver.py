"""The Kubernetes API goes away under the mesh: what was decided before must stay decided."""

from drills.kit import (
    DENIED,
    FRESH,
    NEW,
    ROUTES,
    SENTINEL,
    Capability,
    Drill,
    always,
    checks,
    eventually,
    faults,
    never,
    new_pods,
    policy_change,
    reached,
    requires,
    traffic,
    wire,
)

AWAY_S = 60  # longer than the 50 s after which a node that nobody heard of counts as lost
BACK_S = 120  # whoever watches the API waits up to a minute between two tries; the scheduler must win its lease first


@requires(Capability.API_SERVER)
def test_apiserver_outage(drill: Drill) -> None:
    """Without the Kubernetes API known routes keep working and what was refused stays refused, then and at its return.

    Nobody can add a pod or change a policy meanwhile; once it is back, both work again within two minutes.
    """
    routes, promise = (*ROUTES, SENTINEL), drill.mesh.sources
    goes_on, policy, back = (promise[f"apiserver-{claim}"] for claim in ("traffic", "policy", "recovers"))
    meshed, enforced = checks.new_pod_meshed(), checks.change_enforced(within_s=4, connection=NEW)
    history = drill.run(
        workload=traffic(pace=1.5),  # minutes of it, and what it leaves must stay small enough to keep
        probes=[wire(), new_pods(every_s=10), policy_change(*SENTINEL, every_s=10, hold_s=8)],
        method=faults.stop_apiserver(hold_s=AWAY_S),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    both = ("fault", "recovery")  # what the mesh learns anew when the API returns must not undo what it knew
    verdict = drill.judge(
        history,
        *(reached(checks.attempted(*routes, *DENIED), during) for during in both),
        reached(checks.handshake(*FRESH)),
        reached(checks.new_pod_tried(), "recovery"),
        reached(checks.change_tried(), "recovery"),
        *(never(checks.plaintext(*routes), w, must_hold=True, source=promise["no-plaintext"]) for w in both),
        *(always(checks.denied(*DENIED), w, must_hold=True, source=policy) for w in both),
        *(never(checks.unauthenticated(*ROUTES), w, must_hold=True, source=promise["identity"]) for w in both),
        *(always(checks.success_rate(*ROUTES, at_least=0.999), w, source=goes_on) for w in both),
        *(always(checks.conservation(("payment", "ledger")), w, source=goes_on) for w in both),
        never(checks.outside_mesh(), "recovery", must_hold=True, source=promise["injection-fail-closed"]),
        always(checks.mesh_membership(), "recovery", must_hold=True, source=promise["injection-fail-closed"]),
        eventually(meshed, within_s=BACK_S, fails_on_control=True, source=back),
        eventually(enforced, within_s=BACK_S, fails_on_control=True, source=back),
    )
    assert verdict.passed, verdict.explain()
