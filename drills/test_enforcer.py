"""What enforces policy restarts while nothing hands policy out."""

from drills.kit import Experiment, Mesh, Role, checks, claim, drill, faults, lab, suites

GUARDED = "ledger"  # only one service of the lab may call it
BACK_S = 60
DOWN = "control-plane-down"


@drill(requires=[Role.POLICY])
def test_enforcer_restart_without_policy(mesh: Mesh) -> Experiment:
    """A policy enforcer that restarts while the control plane is down never admits a caller that it denied before.

    It may refuse every caller until it has its policy again, provided that an alert fires.
    """
    return Experiment(
        method=faults.restart_enforcer_without(Role.POLICY, GUARDED, hold_s=30),
        recovery_at_least_s=BACK_S + 10,  # a proxy that gets its policy late may admit denied callers until then
        claims={
            **suites.security(new_pods=False),
            "calls-made-in-recovery": claim.reached(
                checks.attempted(*lab.ROUTES, lab.FRONT_DOOR, *lab.DENIED), "recovery"
            ),
            # That the control plane is down says nothing of calls that are lost: the loss needs its own alert.
            **suites.keeps_working(alert="workload-unready", within_s=20),
            "control-plane-down-alerts": claim.sometimes(checks.signal_seen(DOWN)),
            **suites.recovers(within_s=BACK_S, outage_s=BACK_S),
            "denied-again": claim.eventually(checks.denied(*lab.DENIED), BACK_S, fails_on_control=True),
        },
    )
