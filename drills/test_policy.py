"""Policy that is declared and stored: whether it is enforced, and whether anything says so where it is not."""

from drills.kit import (
    DENIED,
    ROUTES,
    SENTINEL,
    WELCOME,
    Capability,
    Drill,
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
        checks.denied(SENTINEL), ENFORCED_S, "fault", observable_by=signal, fails_on_control=True, source=rule
    )
    return drill.judge(
        history,
        reached(checks.attempted(*ROUTES, SENTINEL, WELCOME, *DENIED)),
        always(open_, during="baseline", source=rule),
        closed,
        always(checks.denied(*DENIED), must_hold=True, source=promise["strict-refused"]),
        never(checks.plaintext(*ROUTES, SENTINEL, WELCOME), must_hold=True, source=promise["no-plaintext"]),
        never(checks.unauthenticated(*ROUTES, WELCOME), must_hold=True, source=promise["identity"]),
        always(checks.success_rate(*ROUTES, WELCOME, at_least=0.999), source=rule),
        eventually(open_, within_s=BACK_S, source=promise["recovers"]),
    )
