"""Policy that is declared and stored: whether it is enforced, and whether a status says so where it is not."""

from drills.kit import Capability, Experiment, Fault, Mesh, checks, claim, drill, faults, lab, suites

ENFORCED_S, BACK_S = 10, 20
STANDS_S = 12  # until the declaration of a proxy has been acted on: a pod is created, and found not to start
SETTLED_S = 15
UNBOUND = "l7-proxy-unbound"
CALLERS = (lab.FRONT_DOOR, lab.FRONT_DOOR_ALLOWED)
REACHED = {
    "calls-made": claim.reached(checks.attempted(*lab.ROUTES, *CALLERS, *lab.DENIED)),
    "front-door-open-in-baseline": claim.always(checks.success_rate(*CALLERS, at_least=0.999), "baseline"),
}
REOPENS = {"front-door-reopens": claim.eventually(checks.success_rate(*CALLERS, at_least=0.999), BACK_S)}


@drill(requires=[Capability.POLICY_API])
def test_request_rule(mesh: Mesh) -> Experiment:
    """A rule on requests that a mesh accepts is enforced, or its status says that it is not.

    It denies one caller one kind of request, and affects no other; withdrawn, it leaves no trace.
    """
    return declared("request-rule", "rule-unenforced")


@drill(requires=[Capability.POLICY_API, Capability.BOUND_L7_PROXY])
def test_l7_proxy_missing(mesh: Mesh) -> Experiment:
    """If a Service's L7 proxy is missing, callers that its rules deny are denied, or its status says otherwise.

    Callers without an identity, which would bypass such a proxy, are denied as before.
    """
    return declared("l7-proxy-missing", UNBOUND)


@drill(requires=[Capability.POLICY_API, Capability.BOUND_L7_PROXY])
def test_l7_proxy_unready(mesh: Mesh) -> Experiment:
    """If a Service's L7 proxy never gets ready, callers that its rules deny are denied, or its status says otherwise.

    Callers that they allow are served, or an alert fires. A caller without an identity, which bypasses such a proxy, is
    denied at that Service, too. New connections are asked about: an open one never passed the proxy.
    """
    fault = faults.apply_objects("l7-proxy-unready", hold_s=40)
    return bound(mesh, fault, STANDS_S + SETTLED_S, alerts=(UNBOUND, "workload-unready"))


@drill(requires=[Capability.POLICY_API, Capability.BOUND_L7_PROXY])
def test_l7_proxy_deleted(mesh: Mesh) -> Experiment:
    """If a Service's L7 proxy was deleted, callers that its rules deny are denied, or its status says otherwise.

    The same is asked as of a proxy that never gets ready, which this one is until it is deleted.
    """
    fault = faults.apply_then_delete("l7-proxy-unready", stands_s=STANDS_S, hold_s=40)
    return bound(mesh, fault, 2 * STANDS_S + SETTLED_S, alerts=(UNBOUND,), seen="l7-proxy-bound")


def declared(name: str, alert: str) -> Experiment:
    """Declare a rule that closes the front door to one caller, and ask which callers are served."""
    closes = claim.eventually(checks.denied(lab.FRONT_DOOR), ENFORCED_S, "hold", alert=alert, fails_on_control=True)
    return Experiment(
        method=faults.apply_objects(name, hold_s=30),
        workload=lab.traffic(),
        claims={
            **suites.security(new_pods=False),
            **REACHED,
            "closed-route-refused": closes.needing_fault(),
            "no-plaintext-attempts": claim.never(checks.plaintext_tried(lab.FRONT_DOOR), must_hold=True),
            "routes-keep-working": claim.always(suites.routes_work(lab.FRONT_DOOR_ALLOWED)),
            **suites.intact(),
            **suites.recovers(within_s=BACK_S),
            **REOPENS,
        },
    )


def bound(mesh: Mesh, fault: Fault, settled_s: float, *, alerts: tuple[str, ...], seen: str = "") -> Experiment:
    """Bind the front door to a proxy that does not work, and ask which callers are served in the end.

    alerts: those of a front door that is closed. seen: the signal that shows that the situation was reached, where the
    mesh has it.
    """
    new = (
        lab.calls(*edge, every_ms=every_ms, connections=(lab.NEW,))
        for edge, every_ms in ((lab.FRONT_DOOR, 140), (lab.FRONT_DOOR_UNMESHED, 500))
    )
    denied, served = checks.denied(lab.FRONT_DOOR), checks.success_rate(lab.FRONT_DOOR_ALLOWED, at_least=0.999)
    closes = claim.eventually(denied, settled_s, "hold", alert=UNBOUND, fails_on_control=True)
    return Experiment(
        method=fault,
        # A caller with an open connection shows that the front door's pods are up, where no new connection succeeds.
        workload=(*lab.traffic(lab.FRONT_DOOR), *new),
        claims={
            **suites.security(new_pods=False),
            **REACHED,
            **({f"{seen}-seen": claim.reached(checks.signal_seen(seen))} if seen in mesh.signals else {}),
            "closed-route-refused": closes.needing_fault(),
            "unmeshed-caller-denied": claim.always(checks.denied(lab.FRONT_DOOR_UNMESHED), "run", must_hold=True),
            "no-plaintext-attempts": claim.never(checks.plaintext_tried(*CALLERS), must_hold=True),
            "routes-keep-working": claim.always(suites.routes_work()),
            "allowed-caller-served": claim.eventually(served, settled_s, "hold", alert=alerts),
            **suites.intact(),
            **suites.recovers(within_s=BACK_S),
            **REOPENS,
        },
    )
