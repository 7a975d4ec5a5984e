"""The mesh's agent on one node fails: what that node still carries and denies, and how far the loss reaches."""

from drills.kit import Claim, Experiment, Fault, Mesh, NewPods, Role, checks, claim, drill, faults, lab, suites

PROBED = ("outsider", "ledger")
START_S = 75  # a CNI plugin may wait a minute for its agent before an Event reports it
BACK_S = 60
HERE, THERE = lab.VICTIM, lab.BYSTANDER


@drill(requires=[Role.NODE_AGENT])
def test_node_agent_outage(mesh: Mesh) -> Experiment:
    """Without its agent a node still carries the calls that it carried and denies those that it denied.

    Only its own new pods must wait, with an Event that says why; the other nodes see no change, and an alert fires.
    """
    return lost(Role.NODE_AGENT, faults.keep_off_node(Role.NODE_AGENT, hold_s=80))


@drill(requires=[Role.NODE_AGENT])
def test_node_agent_crash(mesh: Mesh) -> Experiment:
    """An agent that is killed and restarts at once drops no call and admits no caller that was denied."""
    return lost(Role.NODE_AGENT, faults.kill(Role.NODE_AGENT, HERE, hold_s=30))


@drill(requires=[Role.CNI])
def test_cni_outage(mesh: Mesh) -> Experiment:
    """Where the mesh's part of the pod network is gone, a new pod waits for it: none starts outside the mesh."""
    return lost(Role.CNI, faults.keep_off_node(Role.CNI, hold_s=80))


@drill(requires=[Role.CNI])
def test_cni_removal(mesh: Mesh) -> Experiment:
    """When the mesh's part of the pod network is uninstalled under a running mesh, no new pod starts outside of it.

    Pods that are in the mesh stay in it. No alert is asked for: those on missing pods have nothing to count any more.
    """
    return Experiment(
        method=faults.delete_workload(Role.CNI, hold_s=40),
        new_pods=NewPods(every_s=120, within_s=START_S),
        claims={
            **suites.security(),
            **pods_tried(),
            **suites.keeps_working(),
            **suites.recovers(within_s=BACK_S, new_pods="anywhere"),
        },
    )


@drill(requires=[Role.CNI])
def test_cni_without_api(mesh: Mesh) -> Experiment:
    """Where the CNI plugin cannot reach the API while a pod starts, that pod waits: none starts outside the mesh.

    The plugin runs anew for each pod, so it needs a new connection; what has an open connection goes on.
    """
    return Experiment(
        method=faults.block_api(HERE, hold_s=40),
        new_pods=NewPods(every_s=120, within_s=START_S),
        claims={
            **suites.security(),
            **pods_tried(),
            **suites.keeps_working(),
            **new_pods_wait(),
            **suites.recovers(within_s=BACK_S, new_pods=HERE),
        },
    )


@drill(requires=[Role.NODE_AGENT])
def test_node_agent_rolling_restart(mesh: Mesh) -> Experiment:
    """While each agent is replaced, no packet of a denied flow gets through, tried every 10 ms (CVE-2023-27595).

    No call is lost, on a new connection or on an open one.
    """
    # A short timeout, so that a pause of the machine leaves calls in flight to spare: a server that serves one
    # nevertheless records it.
    fast = lab.calls(*PROBED, every_ms=10, connections=(lab.NEW,), timeout_ms=150)
    return Experiment(
        method=faults.rolling_restart(Role.NODE_AGENT, hold_s=60),
        workload=(*lab.traffic(PROBED), fast),
        claims={
            **suites.security(new_pods=False),
            "probe-calls-made": claim.reached(checks.attempted(PROBED, min_samples=2000)),
            **suites.keeps_working(),
            "new-connections-keep-working": claim.always(
                checks.success_rate(*lab.ROUTES, connection=lab.NEW, at_least=0.999)
            ),
            **suites.recovers(within_s=20, outage_s=20),
        },
    )


def lost(role: Role, fault: Fault) -> Experiment:
    """Ask the same of each failure of a part on one node; an alert about the part excuses what the part has to do."""
    down = f"{role}-down"
    here, there = (checks.drops_witnessed(*lab.DENIED, on=node) for node in (HERE, THERE))
    reach = checks.blast_radius(*lab.ROUTES, within=(HERE,))
    return Experiment(
        method=fault,
        new_pods=NewPods(every_s=120, within_s=START_S),
        claims={
            **suites.security(),
            **pods_tried(),
            **suites.keeps_working(alert=down, within_s=10),
            "loss-stays-on-node": claim.always(reach, alert=down, within_s=10),
            **new_pods_wait(),
            "refusals-recorded-on-victim": claim.always(here, alert=down, within_s=15),
            "refusals-recorded-on-bystander": claim.always(there),
            f"{down}-alerts": claim.sometimes(checks.signal_seen(down)),
            **suites.recovers(within_s=BACK_S, outage_s=BACK_S, new_pods=HERE),
            "refusals-recorded-again-on-victim": claim.eventually(here, BACK_S),
        },
    )


def pods_tried() -> dict[str, Claim]:
    """Return that a new pod was tried on each of the two nodes."""
    return {f"new-pods-tried-on-{node}": claim.reached(checks.new_pod_tried(on=node)) for node in (HERE, THERE)}


def new_pods_wait() -> dict[str, Claim]:
    """Return that new pods join, but on the victim, where an Event may say what they wait for."""
    here, there = (suites.joins(node) for node in (HERE, THERE))
    return {
        "new-pods-join-on-victim": claim.always(
            here, alert="new-pod-blocked", within_s=START_S + 5, fails_on_control=True
        ),
        "new-pods-join-on-bystander": claim.always(there, fails_on_control=True),
    }
