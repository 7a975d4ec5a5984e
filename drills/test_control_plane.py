"""The control plane fails, in each way in which a process can: what gets in, what is lost, and which alert fires."""

from drills.kit import (
    Capability,
    Claim,
    Experiment,
    Invariant,
    Mesh,
    NewPods,
    Occurrence,
    Role,
    checks,
    claim,
    drill,
    faults,
    lab,
    suites,
)

BACK_S = 40
AWAY_S = 50  # the canary's share is then decided in 98 of 100 runs; in 30 s, in 86
CALLED_S = 40  # the cluster's DNS caches for up to 30 s that a name does not exist


@drill(requires=[Role.CONTROL_PLANE])
def test_control_plane_outage(mesh: Mesh) -> Experiment:
    """With no control plane, known routes keep working, nothing unauthorised gets in, and an alert fires.

    A new pod and a policy change are refused with a message; once it is back, both work again within 40 s.
    """
    method = faults.make_unavailable(Role.CONTROL_PLANE, hold_s=AWAY_S)
    return Experiment(method=method, claims={**always_asked(), **refused(), **back()})


@drill(requires=[Role.CONTROL_PLANE])
def test_control_plane_crash(mesh: Mesh) -> Experiment:
    """A control plane that is killed and restarts at once drops no call and lets nothing in.

    Within 40 s of its death pods and policies work again. Until its agents are back, a policy may lack its effect.
    """
    restarted = {
        "no-policy-change-ignored-in-recovery": claim.never(ignored(), "recovery", must_hold=True),
        "new-pods-join-again-in-fault": claim.eventually(suites.joins(), BACK_S, "fault", fails_on_control=True),
        "policy-changes-enforced-again-in-fault": claim.eventually(enforced(), BACK_S, "fault", fails_on_control=True),
    }
    method = faults.kill(Role.CONTROL_PLANE, hold_s=BACK_S + 20)
    return Experiment(method=method, claims={**always_asked(), **restarted, **back()})


@drill(requires=[Role.CONTROL_PLANE])
def test_control_plane_hang(mesh: Mesh) -> Experiment:
    """A control plane that is paused is no worse than one that is gone.

    Its webhooks time out rather than admit a pod or a policy unseen, and once it resumes all of it recovers.
    """
    method = faults.pause(Role.CONTROL_PLANE, hold_s=AWAY_S)
    return Experiment(method=method, claims={**always_asked(), **refused(), **back()})


@drill(requires=[Role.CONTROL_PLANE, Capability.CONTROL_PLANE_NETWORK])
def test_control_plane_partition(mesh: Mesh) -> Experiment:
    """A control plane that runs and is Ready, and that nothing reaches, is no worse than one that is gone.

    Its own readiness may not show it: then the drill finds that no alert fires.
    """
    method = faults.partition(Role.CONTROL_PLANE, hold_s=AWAY_S)
    return Experiment(method=method, claims={**always_asked(), **refused(), **back()})


@drill(requires=[Role.CONTROL_PLANE, Capability.MTLS, Capability.NEW_PODS_ALONE])
def test_new_destination(mesh: Mesh) -> Experiment:
    """No meshed caller sends a readable byte to a pod that the mesh does not know yet, with or without a control plane.

    The pod is called at its own address from the moment it has one; whether it answers is not asked.
    """
    readable = checks.plaintext_tried(lab.NEW_SERVICE)
    resolved = checks.addressed(lab.NEW_SERVICE)
    return Experiment(
        # Some minutes of calls, and the evidence must stay small enough to keep.
        workload=(*lab.traffic(pace=2), lab.calls(*lab.NEW_SERVICE, every_ms=250, connections=(lab.NEW,))),
        new_pods=NewPods(every_s=60, serves_s=CALLED_S, own_service=True),
        method=faults.make_unavailable(Role.CONTROL_PLANE, hold_s=CALLED_S),
        recovery_s=CALLED_S + BACK_S + 20,  # a pod that is made in the recovery is called for CALLED_S
        claims={
            **suites.security(),
            "new-service-resolved-in-baseline": claim.reached(resolved, "baseline"),
            "new-service-resolved": claim.reached(resolved),
            "new-service-resolved-in-recovery": claim.reached(resolved, "recovery"),
            "new-pods-tried": claim.reached(checks.new_pod_tried()),
            "no-plaintext-attempts": claim.never(readable, "run", must_hold=True),
            **suites.keeps_working(),
            "control-plane-down-alerts": claim.sometimes(checks.signal_seen("control-plane-down")),
            **suites.recovers(within_s=BACK_S),
        },
    )


def always_asked() -> dict[str, Claim]:
    """Return what is asked of a control plane whatever fails it.

    How a policy change affects open connections is up to the data plane alone, and asked of the baseline.
    """
    on_open = checks.change_enforced(within_s=suites.CHANGE_WITHIN_S, connection=lab.REUSED)
    return {
        **suites.security(),
        "new-pods-tried": claim.reached(checks.new_pod_tried()),
        "policy-changes-tried": claim.reached(checks.change_tried()),
        "policy-changes-enforced-in-baseline": claim.always(enforced(), "baseline", fails_on_control=True),
        "policy-changes-end-connections-in-baseline": claim.always(on_open, "baseline", fails_on_control=True),
        **suites.keeps_working(doors=(lab.FRONT_DOOR_ALLOWED,)),  # policy changes close the other
        "no-request-served-twice": claim.always(checks.attempts_per_request(*lab.ROUTES, lab.FRONT_DOOR), "run"),
        "canary-weight-kept": claim.always(
            checks.split_ratio(("checkout", "payment"), version="v2", weight=0.1), fails_on_control=True
        ),
        "control-plane-down-alerts": claim.sometimes(checks.signal_seen("control-plane-down")),
    }


def refused() -> dict[str, Claim]:
    """Return what is asked while no control plane answers: a pod and a policy change work, or the API refuses them."""
    return {
        "no-policy-change-ignored": claim.never(ignored(), must_hold=True),
        "no-policy-change-ignored-in-recovery": claim.never(ignored(), "recovery", must_hold=True),
        "new-pods-join": claim.always(suites.joins(), alert="injection-refused", within_s=5, fails_on_control=True),
        "policy-changes-enforced": claim.always(enforced(), alert="policy-refused", within_s=5, fails_on_control=True),
    }


def back() -> dict[str, Claim]:
    """Return what is asked of the recovery."""
    return suites.recovers(within_s=BACK_S, new_pods="anywhere", policy_changes=True)


def enforced() -> Invariant:
    """Return the check that policy changes are enforced on new connections."""
    return checks.change_enforced(within_s=suites.CHANGE_WITHIN_S, connection=lab.NEW)


def ignored() -> Occurrence:
    """Return the check that a policy change is accepted and has no effect on new connections."""
    return checks.change_ignored(within_s=suites.CHANGE_WITHIN_S, connection=lab.NEW)
