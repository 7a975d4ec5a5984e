"""Nobody issues identities: who has one goes on, and who has none gets in nowhere."""

from drills.kit import (
    DENIED,
    FRESH,
    ROUTES,
    SENTINEL,
    Capability,
    Claim,
    Drill,
    Mesh,
    Role,
    always,
    checks,
    eventually,
    faults,
    install,
    never,
    new_pods,
    reached,
    requires,
    signals,
    sometimes,
    traffic,
    wire,
)

BACK_S = 40
LEAF_S = 120  # minutes, so that a drill can outlive it; production has a day
RENEWED_S = 600
AFTERMATH_S = 60  # what an issuer forgot while it was away shows only when others ask it again


@requires(Role.IDENTITY)
def test_identity_outage(drill: Drill) -> None:
    """Within the life of the identities that were issued, the issuer's absence drops no call and exposes none.

    Nor does its return, watched for a while. Handshakes are forced all along: a pooled connection would hide an
    identity that is lost. A new pod gets its identity, or on-call is told that it cannot.
    """
    history = drill.run(
        workload=traffic(),
        probes=[wire(), new_pods(every_s=20), signals()],
        method=faults.stop(Role.IDENTITY, hold_s=40),
        recovery_s=BACK_S + AFTERMATH_S,
        recovery_at_least_s=AFTERMATH_S,
    )
    verdict = drill.judge(history, *safe(drill.mesh), *alive(drill.mesh))
    assert verdict.passed, verdict.explain()


@install(leaf_s=LEAF_S)
@requires(Role.IDENTITY, Capability.SHORT_LEAVES)
def test_identity_outage_beyond_life(drill: Drill) -> None:
    """Without an issuer for two lives of a certificate, calls go on or are refused observably, and nobody gets in.

    Handshakes are forced all along. Once the issuer is back everything works again by itself, within ten minutes.
    """
    flow, told, readiness = checks.success_rate(*ROUTES, at_least=0.999), "identity-down", "workload-unready"
    history = drill.run(
        workload=traffic(pace=10),  # many minutes of it, and what it leaves must stay small enough to keep
        probes=[wire(), signals(told, readiness)],
        method=faults.stop(Role.IDENTITY, hold_s=2 * LEAF_S),
        recovery_s=RENEWED_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
        recovery_at_least_s=60,  # certificates are looked at every so often
    )
    promise = drill.mesh.sources
    verdict = drill.judge(
        history,
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.handshake(*FRESH)),
        *(
            [reached(checks.leaf_ended())] if drill.mesh.certificates.leaf_values else []
        ),  # where none is issued none can end
        never(checks.plaintext(*ROUTES, SENTINEL), during="run", must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), during="run", must_hold=True, source=promise["strict-refused"]),
        never(checks.unauthenticated(*ROUTES), during="run", must_hold=True, source=promise["identity"]),
        always(flow, observable_by=told, within_s=20, source=promise["identity-expires"]),
        sometimes(checks.signal_seen(told), source=promise["loss-visible"]),
        sometimes(checks.signal_seen(readiness), source=promise["readiness-tells"]),
        eventually(flow, within_s=RENEWED_S, source=promise["recovers"]),
        eventually(checks.certificate_validity(), within_s=RENEWED_S, source=promise["certificates"]),
    )
    assert verdict.passed, verdict.explain()


def safe(mesh: Mesh) -> list[Claim]:
    """Whatever the issuer does: nothing is readable, nobody is let in, nobody goes by another's name."""
    promise = mesh.sources
    return [
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.handshake(*FRESH)),
        reached(checks.new_pod_tried()),
        never(checks.plaintext(*ROUTES, SENTINEL), must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), must_hold=True, source=promise["strict-refused"]),
        never(checks.unauthenticated(*ROUTES), must_hold=True, source=promise["identity"]),
        never(checks.outside_mesh(), must_hold=True, source=promise["injection-fail-closed"]),
        always(checks.mesh_membership(), during="run", must_hold=True, source=promise["injection-fail-closed"]),
    ]


def alive(mesh: Mesh) -> list[Claim]:
    """What goes on with the identities of before, and what waits for the issuer."""
    promise, meshed = mesh.sources, checks.new_pod_meshed()
    told = ("identity-down", "injection-refused")
    return [
        always(checks.success_rate(*ROUTES, at_least=0.999), source=promise["identity-lives"]),
        always(checks.conservation(("payment", "ledger")), source=promise["identity-lives"]),
        # No security claim: peers refuse who shows one that ran out, so no control has to fail it.
        always(checks.certificate_validity(), during="run", source=promise["certificates"]),
        always(checks.denied(*DENIED), "recovery", must_hold=True, source=promise["strict-refused"]),
        always(meshed, observable_by=told, within_s=20, fails_on_control=True, source=promise["identity-new-pods"]),
        sometimes(checks.signal_seen("identity-down"), source=promise["loss-visible"]),
        eventually(checks.success_rate(*ROUTES, at_least=0.999), within_s=BACK_S, source=promise["recovers"]),
        eventually(meshed, within_s=BACK_S, fails_on_control=True, source=promise["recovers"]),
    ]
