"""The mesh's agent on one node dies: what that node still carries and refuses, and how far the loss reaches."""

from drills.kit import (
    BYSTANDER,
    DENIED,
    FRESH,
    ROUTES,
    SENTINEL,
    VICTIM,
    Claim,
    Drill,
    Fault,
    Mesh,
    Role,
    Verdict,
    always,
    calls,
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

PROBED = ("outsider", "ledger")
START_S = 75  # a CNI plugin may wait a minute for its agent before anybody hears of it
BACK_S = 60


@requires(Role.NODE_AGENT)
def test_node_agent_outage(drill: Drill) -> None:
    """Without its agent a node still carries what it carried and still refuses what it refused.

    Only its own new pods must wait, and say why; the other nodes notice nothing, and on-call is told.
    """
    verdict = ask(drill, faults.keep_off(Role.NODE_AGENT, hold_s=80))
    assert verdict.passed, verdict.explain()


@requires(Role.NODE_AGENT)
def test_node_agent_crash(drill: Drill) -> None:
    """An agent that dies without goodbye and restarts at once drops no call, and lets none through that was refused."""
    verdict = ask(drill, faults.crash(Role.NODE_AGENT, VICTIM, hold_s=30))
    assert verdict.passed, verdict.explain()


@requires(Role.CNI)
def test_cni_outage(drill: Drill) -> None:
    """Where the pod network's own part is gone, a new pod waits for it: none starts outside the mesh."""
    verdict = ask(drill, faults.keep_off(Role.CNI, hold_s=80))
    assert verdict.passed, verdict.explain()


@requires(Role.CNI)
def test_cni_removal(drill: Drill) -> None:
    """When the pod network's own part is uninstalled under a running mesh, no new pod starts outside of it.

    Those that are in the mesh stay in it, and on-call is told of the loss.
    """
    promise, routes, both = drill.mesh.sources, (*ROUTES, SENTINEL), ("fault", "recovery")
    goes_on, refused, inside = (promise[f"cni-{it}"] for it in ("traffic-continues", "policy-continues", "removal"))
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=120, on=(VICTIM, BYSTANDER), within_s=START_S), signals()],
        method=faults.remove(Role.CNI, hold_s=40),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    verdict = drill.judge(
        history,
        reached(checks.attempted(*routes, *DENIED)),
        reached(checks.new_pod_tried(on=VICTIM)),
        reached(checks.new_pod_tried(on=BYSTANDER)),
        *(never(checks.plaintext(*routes), w, must_hold=True, source=promise["no-plaintext"]) for w in both),
        *(always(checks.denied(*DENIED), w, must_hold=True, source=refused) for w in both),
        *(never(checks.outside_mesh(), w, must_hold=True, source=inside) for w in both),
        always(checks.mesh_membership(), during="run", must_hold=True, source=inside),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=goes_on),
        always(checks.conservation(("payment", "ledger")), source=goes_on),
        sometimes(checks.signal_seen("cni-down"), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(checks.new_pod_meshed(), within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    )
    assert verdict.passed, verdict.explain()


@requires(Role.CNI)
def test_cni_without_api(drill: Drill) -> None:
    """Where the CNI plugin cannot ask the API while a pod starts, that pod waits: none starts outside the mesh.

    The plugin begins anew with each pod, so it needs a new connection; whatever has one goes on.
    """
    promise, routes, pods = drill.mesh.sources, (*ROUTES, SENTINEL), (VICTIM, BYSTANDER)
    inside, starts, goes_on = (
        promise[it] for it in ("node-agent-bypass", "node-agent-new-pods", "cni-traffic-continues")
    )
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=120, on=pods, within_s=START_S), signals()],
        method=faults.cut_api(VICTIM, hold_s=40),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    here, there = checks.new_pod_meshed(on=VICTIM), checks.new_pod_meshed(on=BYSTANDER)
    verdict = drill.judge(
        history,
        reached(checks.attempted(*routes, *DENIED)),
        *(reached(checks.new_pod_tried(on=part)) for part in pods),
        never(checks.plaintext(*routes), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=promise["cni-policy-continues"]),
        never(checks.outside_mesh(), must_hold=True, source=inside),
        always(checks.mesh_membership(), during="run", must_hold=True, source=inside),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=goes_on),
        always(here, observable_by="new-pod-blocked", within_s=START_S + 5, fails_on_control=True, source=starts),
        always(there, fails_on_control=True, source=starts),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(here, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    )
    assert verdict.passed, verdict.explain()


@requires(Role.NODE_AGENT)
def test_node_agent_rolling_restart(drill: Drill) -> None:
    """While each agent is replaced, no packet of a refused flow is let through, tried every 10 ms (CVE-2023-27595)."""
    routes, promise = (*ROUTES, SENTINEL), drill.mesh.sources
    goes_on, refused = promise["node-agent-traffic-continues"], promise["node-agent-policy-continues"]
    # Soon given up, so that a pause of the machine leaves room for more: who serves one all the same tells of it.
    fast = calls(*PROBED, every_ms=10, connections=("new",), timeout_ms=150)
    history = drill.run(
        workload=[*traffic(PROBED), fast],
        probes=[wire(), signals()],
        method=faults.rolling_restart(Role.NODE_AGENT, hold_s=60),
    )
    verdict = drill.judge(
        history,
        reached(checks.attempted(*routes, *DENIED)),
        reached(checks.attempted(PROBED, min_samples=2000)),
        always(checks.denied(*DENIED), must_hold=True, source=refused),
        always(checks.denied(*DENIED), during="recovery", must_hold=True, source=refused),
        never(checks.plaintext(*routes), must_hold=True, source=promise["no-plaintext"]),
        always(
            checks.success_rate(*ROUTES, at_least=0.999),
            observable_by="authentication-lost",
            within_s=10,
            source=goes_on,
        ),
        always(checks.conservation(("payment", "ledger")), source=goes_on),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=20, source=promise["recovers"]),
    )
    assert verdict.passed, verdict.explain()


def ask(drill: Drill, fault: Fault) -> Verdict:
    """Ask the same questions of each kind of death, by what is promised for the loss of that part."""
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=120, on=(VICTIM, BYSTANDER), within_s=START_S), signals()],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    return drill.judge(history, *safe(drill.mesh, f"{fault.role}"), *alive(drill.mesh, f"{fault.role}"))


def safe(mesh: Mesh, lost: str) -> list[Claim]:
    """Whatever dies on the node: nobody is let in, nothing is readable, nothing runs outside the mesh."""
    promise = mesh.sources
    refused, inside = promise[f"{lost}-policy-continues"], promise[f"{lost}-bypass"]
    return [
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.handshake(*FRESH)),
        never(checks.plaintext(*ROUTES, SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        never(checks.unauthenticated(*ROUTES), must_hold=True, source=promise["identity"]),
        always(checks.denied(*DENIED), must_hold=True, source=refused),
        never(checks.outside_mesh(), must_hold=True, source=inside),
        always(checks.mesh_membership(), during="run", must_hold=True, source=inside),
    ]


def alive(mesh: Mesh, lost: str) -> list[Claim]:
    """What goes on without the part, what waits for it on its own node only, and what nobody can see meanwhile."""
    promise, down = mesh.sources, f"{lost}-down"
    told = ("authentication-lost", down)  # who needs the agent to be authenticated again has to wait for it
    goes_on, starts, seen = (
        promise[f"{lost}-traffic-continues"],
        promise[f"{lost}-new-pods"],
        promise["drops-witnessed"],
    )
    here, there = checks.drops_witnessed(*DENIED, on=VICTIM), checks.drops_witnessed(*DENIED, on=BYSTANDER)
    pod_here, pod_there = checks.new_pod_meshed(on=VICTIM), checks.new_pod_meshed(on=BYSTANDER)
    return [
        reached(checks.new_pod_tried(on=VICTIM)),
        reached(checks.new_pod_tried(on=BYSTANDER)),
        always(checks.success_rate(*ROUTES, at_least=0.999), observable_by=told, within_s=10, source=goes_on),
        always(checks.blast_radius(*ROUTES, within=(VICTIM,)), observable_by=told, within_s=10, source=goes_on),
        always(checks.conservation(("payment", "ledger")), source=goes_on),
        always(pod_here, observable_by="new-pod-blocked", within_s=START_S + 5, fails_on_control=True, source=starts),
        always(pod_there, fails_on_control=True, source=starts),
        always(here, observable_by=down, within_s=15, source=seen),
        always(there, source=seen),
        sometimes(checks.signal_seen(down), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(pod_here, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
        eventually(here, within_s=BACK_S, source=seen),
    ]
