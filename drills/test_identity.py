"""No identity is issued: workloads that have one go on, and a workload without one gets in nowhere."""

from drills.kit import Capability, Experiment, Mesh, NewPods, Role, checks, claim, drill, faults, lab, suites

BACK_S = 40
LEAF_S = 120  # minutes, so that a drill can outlast it; the default in production is a day
RENEWED_S = 600
AFTERMATH_S = 60  # what an issuer lost while it was away shows only when workloads ask it again
DOWN, UNREADY = "identity-down", "workload-unready"


@drill(requires=[Role.IDENTITY])
def test_identity_outage(mesh: Mesh) -> Experiment:
    """While issued identities are valid, an outage of the issuer drops no call and exposes none.

    Nor does its return. Handshakes are forced all along: a pooled connection would hide an identity that is lost. A new
    pod gets its identity, or an alert says that it cannot.
    """
    return Experiment(
        method=faults.make_unavailable(Role.IDENTITY, hold_s=40),
        new_pods=NewPods(every_s=20),
        recovery_at_least_s=AFTERMATH_S,
        recovery_s=BACK_S + AFTERMATH_S,
        claims={
            **suites.security(),
            "new-pods-tried": claim.reached(checks.new_pod_tried()),
            **suites.keeps_working(),
            # No security claim: peers refuse an expired certificate, so no control has to fail it.
            "certificates-valid": claim.always(checks.certificate_validity(), "run"),
            "new-pods-join": claim.always(
                suites.joins(), alert=(DOWN, "injection-refused"), within_s=20, fails_on_control=True
            ),
            "identity-down-alerts": claim.sometimes(checks.signal_seen(DOWN)),
            **suites.recovers(within_s=BACK_S, new_pods="anywhere"),
        },
    )


@drill(requires=[Role.IDENTITY, Capability.SHORT_LEAVES], leaf_s=LEAF_S)
def test_identity_outage_beyond_life(mesh: Mesh) -> Experiment:
    """With no issuer for two certificate lifetimes, calls go on or an alert fires, and nothing unauthorised gets in.

    Handshakes are forced all along. Once the issuer is back everything works again by itself, within ten minutes.
    """
    expired = {"certificates-expired": claim.reached(checks.leaf_ended())}
    return Experiment(
        method=faults.make_unavailable(Role.IDENTITY, hold_s=2 * LEAF_S),
        workload=lab.traffic(pace=10),  # many minutes of calls, and the evidence must stay small enough to keep
        only_named_signals=True,
        recovery_at_least_s=120,  # few calls at this pace: a recovery must be seen to last
        recovery_s=RENEWED_S + 20,
        claims={
            **suites.security(new_pods=False),
            **(expired if mesh.certificates.leaf_values else {}),  # where no certificate is issued none can expire
            # That no issuer answers says nothing of calls that are lost minutes later: the loss needs its own alert.
            **suites.keeps_working(alert=UNREADY, within_s=20),
            "identity-down-alerts": claim.sometimes(checks.signal_seen(DOWN)),
            "workload-unready-alerts": claim.sometimes(checks.signal_seen(UNREADY)),
            **suites.recovers(within_s=RENEWED_S, outage_s=RENEWED_S),
            "certificates-renewed": claim.eventually(checks.certificate_validity(), RENEWED_S),
        },
    )
