"""The issuer is replaced: by a good one, by one whose life ends in service, and by one whom nobody trusts."""

from drills.kit import (
    DENIED,
    FRESH,
    ROUTES,
    SENTINEL,
    Capability,
    Claim,
    Drill,
    Fault,
    History,
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
LEAF_S = 120  # so that each pod renews its certificate within the drill: production has a day
PROJECTED_S = 110  # kubelets bring a Secret to its pods within 90 s
RENEWED_S = 220  # that, the longest until a renewal (70 % of a life and its allowance), and a look every 10 s
UNTAKEN = ("issuer-refused", "issuer-invalid", "injection-refused", "new-pod-blocked")
"""What tells on-call, of the issuer itself or of what comes of it; no mesh has all of them."""
READINESS = ("workload-unready",)
"""Every mesh has it, so it is recorded where nothing tells: to name none is to record all, too much in minutes."""


@install(leaf_s=LEAF_S)
@requires(Role.IDENTITY, Capability.GIVEN_ISSUER, Capability.SHORT_LEAVES)
def test_issuer_rotation(drill: Drill) -> None:
    """A new issuer under the same trust anchor is taken up by itself, and no call is lost over it.

    A new pod joins all the while, on-call sees that the issuer changed, and after the next renewal each pod shows a
    certificate that the new one signed.
    """
    rotates = drill.mesh.sources["issuer-rotation"]
    verdict = drill.judge(
        run(drill, faults.rotate_issuer(faults.ROTATED, hold_s=RENEWED_S), "issuer-updated"),
        *safe(drill.mesh),
        *alive(drill.mesh),
        sometimes(checks.issuer_taken_up(within_s=RENEWED_S), source=rotates),
        *(
            sometimes(checks.signal_seen(it, within_s=PROJECTED_S), source=rotates)
            for it in heard(drill.mesh, "issuer-updated")
        ),
        always(checks.new_pod_meshed(), source=rotates),
    )
    assert verdict.passed, verdict.explain()


@requires(Role.IDENTITY, Capability.GIVEN_ISSUER)
def test_issuer_wrong_anchor(drill: Drill) -> None:
    """An issuer for whom no trust anchor vouches is refused out loud; nobody loses by it, and nobody is let in.

    New pods get their identity from the issuer of before, or on-call is told that they cannot. Where no signal is
    promised of the refusal itself, it is not asked whether somebody is told of that.
    """
    refused = drill.mesh.sources["issuer-refused"]
    verdict = drill.judge(
        run(drill, faults.rotate_issuer(faults.STRANGER, hold_s=40), *UNTAKEN),
        *safe(drill.mesh),
        *alive(drill.mesh),
        *(sometimes(checks.signal_seen(it), source=refused) for it in heard(drill.mesh, "issuer-refused")),
        always(checks.new_pod_meshed(), observable_by=heard(drill.mesh, *UNTAKEN), within_s=30, source=refused),
    )
    assert verdict.passed, verdict.explain()


@requires(Role.IDENTITY, Capability.GIVEN_ISSUER)
def test_issuer_expired(drill: Drill) -> None:
    """An issuer whose life ends in service takes nothing from whoever has an identity, and on-call is told.

    A new pod gets none, and nothing by having none. With a good issuer it gets one again.
    """
    expires = drill.mesh.sources["issuer-expires"]
    verdict = drill.judge(
        run(drill, faults.rotate_issuer(faults.EXPIRED, life_s=150, hold_s=60), *UNTAKEN),
        *safe(drill.mesh),
        *alive(drill.mesh),
        *(sometimes(checks.signal_seen(it), source=expires) for it in heard(drill.mesh, "issuer-invalid")),
        always(checks.new_pod_meshed(), observable_by=heard(drill.mesh, *UNTAKEN), within_s=30, source=expires),
    )
    assert verdict.passed, verdict.explain()


def run(drill: Drill, fault: Fault, *told: str) -> History:
    """Load the lab lightly and record what is asked about alone: these drills last minutes. Try new pods all along."""
    return drill.run(
        workload=traffic(pace=3),
        probes=[wire(), new_pods(every_s=20), signals(*(heard(drill.mesh, *told) or READINESS))],
        method=fault,
        recovery_s=BACK_S + 20,  # beyond the bound, so that a recovery after it is told from one that never came
    )


def heard(mesh: Mesh, *names: str) -> tuple[str, ...]:
    """Return those of the signals that the mesh has."""
    return tuple(name for name in names if name in mesh.signals)


def safe(mesh: Mesh) -> list[Claim]:
    """Whatever signs: nothing is readable, nobody is let in, nobody goes by another's name."""
    promise = mesh.sources
    return [
        reached(checks.attempted(*ROUTES, SENTINEL, *DENIED)),
        reached(checks.handshake(*FRESH)),
        reached(checks.new_pod_tried()),
        never(checks.plaintext(*ROUTES, SENTINEL), during="run", must_hold=True, source=promise["no-plaintext"]),
        always(checks.denied(*DENIED), during="run", must_hold=True, source=promise["strict-refused"]),
        never(checks.unauthenticated(*ROUTES), during="run", must_hold=True, source=promise["identity"]),
        never(checks.outside_mesh(), must_hold=True, source=promise["injection-fail-closed"]),
        always(checks.mesh_membership(), during="run", must_hold=True, source=promise["injection-fail-closed"]),
    ]


def alive(mesh: Mesh) -> list[Claim]:
    """Who has an identity goes on, and in the end a new pod gets one."""
    promise, flow = mesh.sources, checks.success_rate(*ROUTES, at_least=0.999)
    return [
        always(flow, source=promise["identity-lives"]),
        always(checks.conservation(("payment", "ledger")), source=promise["identity-lives"]),
        always(checks.certificate_validity(), during="run", source=promise["certificates"]),
        eventually(flow, within_s=BACK_S, source=promise["recovers"]),
        eventually(checks.new_pod_meshed(), within_s=BACK_S, source=promise["recovers"]),
    ]
