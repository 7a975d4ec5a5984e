"""The control plane dies, in each way in which a process can: what is let in, what is lost, and who is told."""

from drills.kit import (
    DENIED,
    FRESH,
    NEW,
    REUSED,
    ROUTES,
    SENTINEL,
    UNKNOWN,
    Capability,
    Drill,
    Fault,
    Role,
    Verdict,
    always,
    calls,
    checks,
    eventually,
    faults,
    never,
    new_pods,
    policy_change,
    reached,
    requires,
    signals,
    sometimes,
    traffic,
    wire,
)

BACK_S = 40
CALLED_S = 40  # the cluster's DNS remembers for up to 30 s that a name led nowhere


@requires(Role.CONTROL_PLANE)
def test_control_plane_outage(drill: Drill) -> None:
    """With no control plane at all, known routes keep working, nobody new gets in, and on-call is told.

    A new pod and a policy change are refused in so many words; once it is back, both work again within a minute.
    """
    verdict = ask(drill, faults.stop(Role.CONTROL_PLANE, hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.CONTROL_PLANE)
def test_control_plane_crash(drill: Drill) -> None:
    """A control plane that dies without goodbye and restarts at once drops no call and lets nobody in.

    Within 40 s of its death pods and policies work again. Until its agents are back, a policy may lack its effect.
    """
    verdict = ask(drill, faults.crash(Role.CONTROL_PLANE, hold_s=BACK_S + 20), restarts=True)
    assert verdict.passed, verdict.explain()


@requires(Role.CONTROL_PLANE)
def test_control_plane_hang(drill: Drill) -> None:
    """A control plane that is alive and silent is no worse than one that is gone.

    Its webhooks time out rather than wave a pod or a policy through, and once it speaks again all of it recovers.
    """
    verdict = ask(drill, faults.hang(Role.CONTROL_PLANE, hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.CONTROL_PLANE, Capability.CONTROL_PLANE_NETWORK)
def test_control_plane_partition(drill: Drill) -> None:
    """A control plane that lives, is Ready, and is reached by nobody is no worse than one that is gone.

    Its own readiness may say nothing: that nobody is told of the loss is then what the drill finds.
    """
    verdict = ask(drill, faults.partition(Role.CONTROL_PLANE, hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.CONTROL_PLANE, Capability.MTLS, Capability.NEW_PODS_ALONE)
def test_new_destination(drill: Drill) -> None:
    """Nobody in the mesh sends a readable byte to a pod that the mesh never heard of, with a control plane or without.

    The pod is called at its own address from the moment it has one; whether it answers is not asked.
    """
    promise, told = drill.mesh.sources, "control-plane-down"
    history = drill.run(
        # Some minutes of it, and what it leaves must stay small enough to keep.
        workload=[*traffic(pace=2), calls(*UNKNOWN, every_ms=250, connections=("new",))],
        probes=[wire(), new_pods(every_s=60, serves_s=CALLED_S), signals()],
        method=faults.stop(Role.CONTROL_PLANE, hold_s=CALLED_S),
        recovery_s=CALLED_S + BACK_S + 20,  # beyond the bound: a late recovery is told from one that never came
    )
    readable, windows = checks.plaintext_tried(UNKNOWN), ("baseline", "fault", "recovery")
    verdict = drill.judge(
        history,
        *(reached(checks.addressed(UNKNOWN), during) for during in windows),
        reached(checks.new_pod_tried()),
        never(readable, during="run", must_hold=True, source=promise["no-plaintext"]),
        never(checks.plaintext(*ROUTES, SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=promise["strict-refused"]),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=promise["traffic-continues"]),
        sometimes(checks.signal_seen(told), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
    )
    assert verdict.passed, verdict.explain()


def ask(drill: Drill, fault: Fault, *, restarts: bool = False) -> Verdict:
    """Ask the same questions of each kind of death; of one that ends at once, when all is well again.

    What a policy change does to connections that stand is the agents' matter alone, and asked of the baseline.
    """
    routes, promise = (*ROUTES, SENTINEL), drill.mesh.sources
    meshed, enforced = checks.new_pod_meshed(), checks.change_enforced(within_s=4, connection=NEW)
    ignored = checks.change_ignored(within_s=4, connection=NEW)
    on_standing = checks.change_enforced(within_s=4, connection=REUSED)
    canary = checks.split_ratio(("checkout", "payment"), version="v2", weight=0.1)
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=10), policy_change(*SENTINEL, every_s=10, hold_s=8), signals()],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    injection, config, traffic_goes_on = (
        promise[claim] for claim in ("injection-fail-closed", "config-refused", "traffic-continues")
    )
    again = (
        eventually(meshed, during="fault", within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
        eventually(enforced, during="fault", within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    )
    refused = (
        always(meshed, observable_by="injection-refused", within_s=5, fails_on_control=True, source=injection),
        always(enforced, observable_by="policy-refused", within_s=5, fails_on_control=True, source=config),
    )
    return drill.judge(
        history,
        reached(checks.attempted(*routes, *DENIED)),
        reached(checks.handshake(*FRESH)),
        reached(checks.new_pod_tried()),
        reached(checks.change_tried()),
        never(checks.plaintext(*routes), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=promise["strict-refused"]),
        always(enforced, during="baseline", fails_on_control=True, source=promise["strict-refused"]),
        always(on_standing, during="baseline", fails_on_control=True, source=promise["change-on-connections"]),
        never(checks.unauthenticated(*ROUTES), must_hold=True, source=promise["identity"]),
        never(checks.outside_mesh(), must_hold=True, source=injection),
        never(ignored, "recovery" if restarts else "fault", must_hold=True, source=config),
        always(checks.mesh_membership(), during="run", must_hold=True, source=injection),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=traffic_goes_on),
        always(checks.attempts_per_request(*routes), source=traffic_goes_on),
        always(checks.conservation(("payment", "ledger")), source=traffic_goes_on),
        always(canary, fails_on_control=True, source=promise["weighted-routing"]),
        *(again if restarts else refused),
        sometimes(checks.signal_seen("control-plane-down"), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(meshed, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
        eventually(enforced, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    )
