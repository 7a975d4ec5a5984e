"""The Kubernetes API goes away under the mesh: what was decided before must stay decided."""

from drills.kit import Capability, Experiment, Mesh, checks, claim, drill, faults, lab, suites

AWAY_S = 60  # longer than the 50 s after which a node without a lease counts as lost
BACK_S = 120  # a watch waits up to a minute between two tries; the scheduler must win its lease first


@drill(requires=[Capability.API_SERVER])
def test_apiserver_outage(mesh: Mesh) -> Experiment:
    """Without the Kubernetes API known routes keep working and denied callers stay denied, then and at its return.

    No pod can be added and no policy changed meanwhile; once the API is back, both work again within two minutes.
    """
    return Experiment(
        method=faults.stop_api_server(hold_s=AWAY_S),
        workload=lab.traffic(pace=1.5),  # minutes of calls, and the evidence must stay small enough to keep
        claims={
            **suites.security(),
            "calls-made-in-recovery": claim.reached(
                checks.attempted(*lab.ROUTES, lab.FRONT_DOOR, *lab.DENIED), "recovery"
            ),
            "new-pods-tried-in-recovery": claim.reached(checks.new_pod_tried(), "recovery"),
            "policy-changes-tried-in-recovery": claim.reached(checks.change_tried(), "recovery"),
            "no-policy-change-ignored-in-recovery": claim.never(
                checks.change_ignored(within_s=suites.CHANGE_WITHIN_S, connection=lab.NEW), "recovery", must_hold=True
            ),
            **suites.keeps_working(doors=(lab.FRONT_DOOR_ALLOWED,)),  # policy changes close the other
            "routes-keep-working-in-recovery": claim.always(suites.routes_work(), "recovery"),
            # The same bound for routes would ask less than that no call is lost in the recovery at all.
            **suites.recovers(within_s=BACK_S, new_pods="anywhere", policy_changes=True),
        },
    )
