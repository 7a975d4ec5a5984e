"""New pods are not put into the mesh: a new pod is refused, or it runs outside."""

from drills.kit import Capability, Claim, Experiment, Fault, Mesh, Role, checks, claim, drill, faults, suites

BACK_S = 40
DOWN = {"injector-down-alerts": claim.sometimes(checks.signal_seen("injector-down"))}


@drill(requires=[Role.INJECTOR])
def test_injection_outage(mesh: Mesh) -> Experiment:
    """Without its injector the mesh lets no pod run outside of it: a new pod is refused with a message."""
    return closed(faults.make_unavailable(Role.INJECTOR, hold_s=30), DOWN)


@drill(requires=[Role.INJECTOR])
def test_injection_hang(mesh: Mesh) -> Experiment:
    """An injector that accepts requests and never answers is no worse than one that is gone."""
    # Shorter than the others: after 50 s a kubelet may have killed the injector, and a try under way is waited for.
    return closed(faults.pause(Role.INJECTOR, hold_s=25), DOWN)


@drill(requires=[Role.INJECTOR, Capability.INJECTION])
def test_injection_wrong_ca(mesh: Mesh) -> Experiment:
    """A healthy injector that the API server no longer trusts is no worse than one that is gone."""
    return closed(faults.replace_webhook_ca(hold_s=30))


@drill(requires=[Role.INJECTOR, Capability.INJECTION])
def test_injection_ignore_outage(mesh: Mesh) -> Experiment:
    """Where the API server may ignore the injector, its outage admits pods outside the mesh, and each is found.

    Such pods gain nothing: the mesh denies them and sends them nothing readable. A pod that is created afterwards is in
    the mesh again.
    """
    return bypassed(faults.ignore_webhook(hold_s=30))


@drill(requires=[Role.INJECTOR, Capability.INJECTION])
def test_injection_label_removed(mesh: Mesh) -> Experiment:
    """A namespace that loses its enrolment label loses no pod of the mesh; new pods run outside, and are found.

    Such pods gain nothing: the mesh denies them and sends them nothing readable. A pod that is created afterwards is in
    the mesh again.
    """
    return bypassed(faults.remove_enrolment(hold_s=30))


def closed(fault: Fault, alerts: dict[str, Claim] | None = None) -> Experiment:
    """Ask of a fault of the injector: no pod starts outside the mesh, and at the end every workload is in it."""
    return Experiment(
        method=fault,
        claims={
            **suites.security(),
            "new-pods-tried": claim.reached(checks.new_pod_tried()),
            **suites.keeps_working(),
            "new-pods-join": claim.always(
                suites.joins(), alert="injection-refused", within_s=12, fails_on_control=True
            ),
            **(alerts or {}),
            **suites.recovers(within_s=BACK_S, new_pods="anywhere"),
            "membership-restored": claim.eventually(suites.in_mesh(), BACK_S, hold_s=0, fails_on_control=True),
        },
    )


def bypassed(fault: Fault) -> Experiment:
    """Ask of a fault that lets new pods run outside the mesh: others stay in it, each new one is found and denied."""
    outside = {"no-new-pod-outside-mesh": "the fault lets new pods start outside the mesh: each must be found"}
    return Experiment(
        method=fault,
        claims={
            **suites.security(without=outside),
            "new-pods-outside-mesh-seen": claim.reached(checks.outside_mesh()),
            "pods-outside-mesh-found": claim.always(checks.drift_found(), must_hold=True),
            # Their control is denied-stay-denied and no-plaintext: the control of these drills has no webhook.
            "pods-outside-mesh-refused": claim.always(checks.unmeshed_pods_refused(), must_hold=True),
            "no-plaintext-to-pods-outside-mesh": claim.never(checks.plaintext_to_unmeshed_pods(), must_hold=True),
            **suites.keeps_working(),
            **suites.recovers(within_s=BACK_S),
            # No security claim: the placebo of the control injects nothing, so its pods are never outside a mesh.
            "new-pods-join-again": claim.eventually(suites.joins(), BACK_S),
            "membership-restored": claim.eventually(suites.in_mesh(), BACK_S, hold_s=0),
        },
    )
