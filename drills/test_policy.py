"""Policy that is declared and stored: whether it is enforced, and whether anything says so where it is not."""

from drills.kit import (
    BYPASS,
    DENIED,
    ROUTES,
    SENTINEL,
    WELCOME,
    Capability,
    Drill,
    Fault,
    Verdict,
    always,
    calls,
    checks,
    eventually,
    faults,
    never,
    reached,
    requires,
    signals,
    traffic,
    wire,
)

ENFORCED_S, BACK_S = 10, 20
STANDS_S = 12  # until whoever acts on the declaration of a proxy has done so: a pod is made, and found not to start
SETTLED_S = 15
UNBOUND = "l7-proxy-unbound"


@requires(Capability.POLICY_API)
def test_request_rule(drill: Drill) -> None:
    """A rule on requests that a mesh accepts is enforced, or its status says that it is not.

    It forbids one caller one kind of request, and touches nobody else; withdrawn, it leaves no trace.
    """
    verdict = ask(drill, "request-rule", "rule-unenforced")
    assert verdict.passed, verdict.explain()


@requires(Capability.POLICY_API, Capability.BOUND_L7_PROXY)
def test_l7_proxy_missing(drill: Drill) -> None:
    """A Service bound to an L7 proxy that does not exist is closed to whom its rules forbid, or says that it is not.

    Callers without an identity, who would pass such a proxy by, are refused as before.
    """
    verdict = ask(drill, "l7-proxy-missing", "l7-proxy-unbound")
    assert verdict.passed, verdict.explain()


@requires(Capability.POLICY_API, Capability.BOUND_L7_PROXY)
def test_l7_proxy_unready(drill: Drill) -> None:
    """A Service bound to an L7 proxy that never gets ready is closed to whom its rules forbid, or says that it is not.

    Whom they allow is served, or on-call is told. A caller without an identity, who goes past such a proxy, is refused
    at that Service, too. New connections are asked about: one that stands was never led through the proxy.
    """
    fault, settled_s = faults.declare("l7-proxy-unready", hold_s=40), STANDS_S + SETTLED_S
    verdict = bind(drill, "l7-proxy-unready", fault, settled_s, told=(UNBOUND, "workload-unready"))
    assert verdict.passed, verdict.explain()


@requires(Capability.POLICY_API, Capability.BOUND_L7_PROXY)
def test_l7_proxy_deleted(drill: Drill) -> None:
    """A Service still bound to an L7 proxy that was deleted is closed to whom its rules forbid, or says that it is not.

    The same is asked as of a proxy that never gets ready, which this one is while it is there.
    """
    fault, settled_s = faults.withdraw("l7-proxy-unready", stands_s=STANDS_S, hold_s=40), 2 * STANDS_S + SETTLED_S
    verdict = bind(drill, "l7-proxy-deleted", fault, settled_s, told=(UNBOUND,), seen=("l7-proxy-bound",))
    assert verdict.passed, verdict.explain()


def bind(
    drill: Drill, name: str, fault: Fault, settled_s: float, *, told: tuple[str, ...], seen: tuple[str, ...] = ()
) -> Verdict:
    """Bind the front door to a proxy that is no help, and ask who is served in the end, and who is told.

    told: signals of a front door that is shut. seen: those by which a mesh shows that the situation was reached.
    """
    promise, served = drill.mesh.sources, checks.success_rate(WELCOME, at_least=0.999)
    new = [calls(*edge, every_ms=every_ms, connections=("new",)) for edge, every_ms in ((SENTINEL, 140), (BYPASS, 500))]
    history = drill.run(
        # Who has a connection that stands shows that the front door's pods are up, where nobody gets a new one.
        workload=[*traffic(SENTINEL), *new, calls(*WELCOME, every_ms=200)],
        probes=[wire(), signals()],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    rule, serves, refused = promise[name], promise["l7-proxy-serves"], promise["strict-refused"]
    open_, shut = checks.success_rate(SENTINEL, WELCOME, at_least=0.999), checks.denied(SENTINEL)
    return drill.judge(
        history,
        reached(checks.attempted(*ROUTES, SENTINEL, WELCOME, BYPASS, *DENIED)),
        *(reached(checks.signal_seen(signal)) for signal in seen if signal in drill.mesh.signals),
        always(open_, during="baseline", source=rule),
        eventually(shut, settled_s, "hold", observable_by=UNBOUND, fails_on_control=True, source=rule),
        *(always(checks.denied(BYPASS), w, must_hold=True, source=refused) for w in ("baseline", "fault", "recovery")),
        always(checks.denied(*DENIED), must_hold=True, source=refused),
        never(checks.plaintext(*ROUTES), must_hold=True, source=promise["no-plaintext"]),
        never(checks.plaintext_tried(SENTINEL, WELCOME), must_hold=True, source=promise["no-plaintext"]),
        never(checks.unauthenticated(*ROUTES), must_hold=True, source=promise["identity"]),
        always(checks.success_rate(*ROUTES, at_least=0.999), source=rule),
        eventually(served, settled_s, "hold", observable_by=told, source=serves),
        eventually(open_, within_s=BACK_S, source=promise["recovers"]),
    )


def ask(drill: Drill, name: str, signal: str) -> Verdict:
    """Declare a rule that closes the front door to one caller, and ask who is served, and who is told."""
    promise = drill.mesh.sources
    rule, open_ = promise[name], checks.success_rate(SENTINEL, WELCOME, at_least=0.999)
    history = drill.run(
        workload=[*traffic(), calls(*WELCOME, every_ms=200)],
        probes=[wire(), signals()],
        method=faults.declare(name, hold_s=30),
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )
    closed = eventually(
        checks.denied(SENTINEL), ENFORCED_S, "hold", observable_by=signal, fails_on_control=True, source=rule
    )
    return drill.judge(
        history,
        reached(checks.attempted(*ROUTES, SENTINEL, WELCOME, *DENIED)),
        always(open_, during="baseline", source=rule),
        closed,
        always(checks.denied(*DENIED), must_hold=True, source=promise["strict-refused"]),
        never(checks.plaintext(*ROUTES, WELCOME), must_hold=True, source=promise["no-plaintext"]),
        never(checks.plaintext_tried(SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        never(checks.unauthenticated(*ROUTES, WELCOME), must_hold=True, source=promise["identity"]),
        always(checks.success_rate(*ROUTES, WELCOME, at_least=0.999), source=rule),
        eventually(open_, within_s=BACK_S, source=promise["recovers"]),
    )
