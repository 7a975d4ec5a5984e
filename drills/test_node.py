"""A node loses its power and comes back: who was on it, who called it, and what the mesh forgets on the way."""

from drills.kit import (
    BYSTANDER,
    DENIED,
    FRESH,
    ROUTES,
    SENTINEL,
    VICTIM,
    Capability,
    Claim,
    Drill,
    Mesh,
    always,
    checks,
    eventually,
    faults,
    never,
    new_pods,
    reached,
    requires,
    signals,
    traffic,
    wire,
)

START_S = 75  # a node that boots starts its own pods first
BACK_S = 90
TAKEN_OUT_S = 60  # 50 s until a node that nobody heard of counts as lost, and some for the taint


@requires(Capability.NODE_POWER)
def test_node_reboot(drill: Drill) -> None:
    """While a node reboots nobody is let in whom the mesh refused, on it or elsewhere, nor when it is back.

    Its own pods are lost for a while, and calls to them until Kubernetes takes them out; then all of it recovers.
    """
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=120, on=(VICTIM, BYSTANDER), within_s=START_S), signals()],
        method=faults.reboot(VICTIM, hold_s=30),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
        recovery_at_least_s=60,  # what the node starts late can take calls away again late
    )
    verdict = drill.judge(history, *safe(drill.mesh), *alive(drill.mesh))
    assert verdict.passed, verdict.explain()


@requires(Capability.NODE_POWER, Capability.API_SERVER)
def test_node_reboot_without_api(drill: Drill) -> None:
    """A node that reboots while the API is away, and starts all its pods at once when it is back, lets nobody in.

    What its pods were told before is forgotten, and nobody can tell them until then; afterwards all of it recovers.
    """
    history = drill.run(
        workload=traffic(pace=2),  # some minutes of it, and what it leaves must stay small enough to keep
        # Nobody gives a new pod its node before the scheduler has won its lease again.
        probes=[wire(), new_pods(every_s=120, on=(VICTIM, BYSTANDER), within_s=START_S + 45), signals()],
        method=faults.reboot_without_api(VICTIM, hold_s=30),
        recovery_s=BACK_S + 70,  # beyond the bound as above
        recovery_at_least_s=BACK_S + 40,  # few calls a lane at this pace: what came back late must be seen to last
    )
    reach, back = drill.mesh.sources["reboot-traffic"], drill.mesh.sources["reboot-recovers"]
    pod_here, flow = checks.new_pod_meshed(on=VICTIM), checks.success_rate(*ROUTES, at_least=0.999)
    verdict = drill.judge(
        history,
        *safe(drill.mesh, asked=("recovery",)),  # before that nobody answers for a new pod
        reached(checks.new_pod_tried(on=VICTIM), "recovery"),
        always(checks.blast_radius(*ROUTES, within=(VICTIM,)), source=reach),
        always(checks.conservation(("payment", "ledger")), source=back),
        eventually(flow, within_s=BACK_S + 50, source=back),
        eventually(pod_here, within_s=BACK_S + 50, fails_on_control=True, source=back),
    )
    assert verdict.passed, verdict.explain()


def safe(mesh: Mesh, asked: tuple[str, ...] = ("fault", "recovery")) -> list[Claim]:
    """Nobody is let in, nothing is readable, nothing runs outside the mesh: not while the node is away, nor after."""
    promise, both = mesh.sources, ("fault", "recovery")
    return [
        *(reached(checks.attempted(*ROUTES, SENTINEL, *DENIED), during) for during in both),
        reached(checks.handshake(*FRESH), "recovery"),
        *(never(checks.plaintext(*ROUTES, SENTINEL), w, must_hold=True, source=promise["no-plaintext"]) for w in both),
        *(never(checks.unauthenticated(*ROUTES), w, must_hold=True, source=promise["identity"]) for w in both),
        *(always(checks.denied(*DENIED), w, must_hold=True, source=promise["reboot-policy"]) for w in both),
        *(never(checks.outside_mesh(), w, must_hold=True, source=promise["reboot-bypass"]) for w in asked),
        always(checks.mesh_membership(), "recovery", must_hold=True, source=promise["reboot-bypass"]),
    ]


def alive(mesh: Mesh) -> list[Claim]:
    """How far the loss reaches, whether anybody is told, and that the node takes its part again."""
    reach, back = mesh.sources["reboot-traffic"], mesh.sources["reboot-recovers"]
    pod_here, pod_there = checks.new_pod_meshed(on=VICTIM), checks.new_pod_meshed(on=BYSTANDER)
    down = ("node-not-ready", "node-unreachable")
    # The control plane, or a part of it, may have been on that node: then on-call is told of that.
    refused = ("injection-refused", "control-plane-down", "identity-down", *down)
    return [
        reached(checks.new_pod_tried(on=VICTIM)),
        reached(checks.new_pod_tried(on=BYSTANDER)),
        always(checks.blast_radius(*ROUTES, within=(VICTIM,)), observable_by=down, within_s=TAKEN_OUT_S, source=reach),
        always(checks.conservation(("payment", "ledger")), source=back),
        always(pod_there, observable_by=refused, within_s=TAKEN_OUT_S, fails_on_control=True, source=back),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=back),
        eventually(pod_here, within_s=BACK_S, fails_on_control=True, source=back),
    ]
