"""A node loses its power and comes back: its pods, their callers, and what the mesh forgets on the way."""

from drills.kit import Capability, Claim, Experiment, Mesh, NewPods, checks, claim, drill, faults, lab, suites

START_S = 75  # a node that boots starts its own pods first
BACK_S = 90
TAKEN_OUT_S = 60  # 50 s until a node without a lease counts as lost, and some for the taint
LOST = ("node-not-ready", "node-unreachable")


@drill(requires=[Capability.NODE_POWER])
def test_node_reboot(mesh: Mesh) -> Experiment:
    """While a node reboots and after its return, the mesh admits no caller that it denied, on any node.

    The node's own pods are lost for a while, and calls to them until Kubernetes removes them from their Services; then
    all of it recovers.
    """
    # The control plane, or a part of it, may have been on that node: then an alert about that part fires.
    refused = ("injection-refused", "control-plane-down", "identity-down")
    return Experiment(
        method=faults.reboot(lab.VICTIM, hold_s=30),
        new_pods=NewPods(every_s=120, within_s=START_S),
        recovery_at_least_s=60,  # pods that the node starts late can lose calls late
        claims={
            **secure(),
            "new-pods-tried-on-victim": claim.reached(checks.new_pod_tried(on=lab.VICTIM)),
            "new-pods-tried-on-bystander": claim.reached(checks.new_pod_tried(on=lab.BYSTANDER)),
            **loss_stays_on_node(alert=LOST),
            "new-pods-join-on-bystander": claim.always(
                suites.joins(lab.BYSTANDER), alert=refused, within_s=TAKEN_OUT_S, fails_on_control=True
            ),
            **suites.recovers(within_s=BACK_S, outage_s=BACK_S, new_pods=lab.VICTIM),
        },
    )


@drill(requires=[Capability.NODE_POWER, Capability.API_SERVER])
def test_node_reboot_without_api(mesh: Mesh) -> Experiment:
    """A node that reboots while the API is away, and starts all its pods when it is back, lets nothing unauthorised in.

    Its pods' configuration is lost, and nothing can send it again until then; afterwards all of it recovers.
    """
    return Experiment(
        method=faults.reboot_without_api(lab.VICTIM, hold_s=30),
        workload=lab.traffic(pace=2),  # some minutes of calls, and the evidence must stay small enough to keep
        # No new pod gets its node before the scheduler has won its lease again.
        new_pods=NewPods(every_s=120, within_s=START_S + 45),
        recovery_at_least_s=BACK_S + 40,  # few calls at this pace: a late recovery must be seen to last
        claims={
            **secure(),
            "new-pods-tried-on-victim-in-recovery": claim.reached(checks.new_pod_tried(on=lab.VICTIM), "recovery"),
            **loss_stays_on_node(),
            **suites.recovers(within_s=BACK_S + 50, outage_s=BACK_S + 50, new_pods=lab.VICTIM),
        },
    )


def secure() -> dict[str, Claim]:
    """Return what is asked of security; handshakes and membership can be seen only when the node is back."""
    later = {
        "handshakes-made": "callers on the node are away in the fault: asked in the recovery",
        "membership-unchanged": "pods of the node are between two starts in the fault: asked in the recovery",
    }
    return {
        **suites.security(without=later),
        "calls-made-in-recovery": claim.reached(checks.attempted(*lab.ROUTES, lab.FRONT_DOOR, *lab.DENIED), "recovery"),
        "handshakes-made-in-recovery": claim.reached(checks.handshake(*lab.EACH_CALL_CONNECTS), "recovery"),
        "membership-unchanged-in-baseline": claim.always(suites.in_mesh(), "baseline", must_hold=True),
        "membership-unchanged-in-recovery": claim.always(suites.in_mesh(), "recovery", must_hold=True),
    }


def loss_stays_on_node(alert: tuple[str, ...] = ()) -> dict[str, Claim]:
    """Return what is asked of calls: only those of the node's own pods are lost, and no posting twice."""
    reach = checks.blast_radius(*lab.ROUTES, within=(lab.VICTIM,))
    return {
        "loss-stays-on-node": claim.always(reach, alert=alert, within_s=TAKEN_OUT_S if alert else 0.0),
        **suites.intact(),
    }
