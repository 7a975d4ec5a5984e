"""The issuer is replaced: by a good one, by one that expires in service, and by one that no anchor vouches for."""

from drills.kit import (
    Capability,
    Claim,
    Experiment,
    Fault,
    Mesh,
    NewPods,
    Role,
    checks,
    claim,
    drill,
    faults,
    lab,
    suites,
)

BACK_S = 40
LEAF_S = 120  # so that each pod renews its certificate within the drill; the default in production is a day
PROJECTED_S = 110  # kubelets bring a changed Secret to its pods within 90 s
RENEWED_S = 220  # that, the longest time until a renewal (70 % of a life and its tolerance), and a look every 10 s
REJECTED = ("issuer-refused", "issuer-invalid", "injection-refused", "new-pod-blocked")
"""Alerts about the issuer itself or about its consequences; no mesh has all of them."""


@drill(requires=[Role.IDENTITY, Capability.GIVEN_ISSUER, Capability.SHORT_LEAVES], leaf_s=LEAF_S)
def test_issuer_rotation(mesh: Mesh) -> Experiment:
    """A new issuer under the same trust anchor is used without a restart, and no call is lost.

    New pods join all the while, an alert shows that the issuer changed, and after the next renewal each pod shows a
    certificate that the new issuer signed.
    """
    method = faults.rotate_issuer(faults.ROTATED, hold_s=RENEWED_S)
    claims = {
        "new-issuer-used": claim.sometimes(checks.issuer_taken_up(within_s=RENEWED_S)),
        **alerts(mesh, "issuer-updated", within_s=PROJECTED_S),
        "new-pods-join": claim.always(suites.joins()),
    }
    return replaced(method, claims)


@drill(requires=[Role.IDENTITY, Capability.GIVEN_ISSUER])
def test_issuer_wrong_anchor(mesh: Mesh) -> Experiment:
    """An issuer that no trust anchor vouches for is rejected with an alert; nothing breaks and nothing gets in.

    New pods get their identity from the issuer before it, or an alert says that they cannot. Where a mesh has no alert
    about the rejection itself, that alert is not asked for.
    """
    claims = {**alerts(mesh, "issuer-refused"), **joins_or_alerts(mesh)}
    return replaced(faults.rotate_issuer(faults.UNTRUSTED, hold_s=40), claims)


@drill(requires=[Role.IDENTITY, Capability.GIVEN_ISSUER])
def test_issuer_expired(mesh: Mesh) -> Experiment:
    """An issuer that expires in service takes nothing from workloads that have an identity, and an alert fires.

    A new pod gets no identity, and gains nothing from having none. With a good issuer it gets one again.
    """
    claims = {**alerts(mesh, "issuer-invalid"), **joins_or_alerts(mesh)}
    return replaced(faults.rotate_issuer(faults.EXPIRED, life_s=150, hold_s=60), claims)


def replaced(fault: Fault, claims: dict[str, Claim]) -> Experiment:
    """Ask of a fault of the issuer: nothing unauthorised gets in, identities go on, new pods get one in the end."""
    return Experiment(
        method=fault,
        workload=lab.traffic(pace=3),  # some minutes of calls, and the evidence must stay small enough to keep
        only_named_signals=True,
        new_pods=NewPods(every_s=20),
        recovery_at_least_s=30,  # few calls at this pace: a recovery must be seen to last
        claims={
            **suites.security(),
            "new-pods-tried": claim.reached(checks.new_pod_tried()),
            **suites.keeps_working(),
            "certificates-valid": claim.always(checks.certificate_validity(), "run"),
            **suites.recovers(within_s=BACK_S),
            # No security claim, as in the whole drill: no mesh without identities can be asked.
            "new-pods-join-again": claim.eventually(suites.joins(), BACK_S),
            **claims,
        },
    )


def alerts(mesh: Mesh, name: str, within_s: float | None = None) -> dict[str, Claim]:
    """Ask whether the alert fires, where the mesh has it."""
    seen = claim.sometimes(checks.signal_seen(name, within_s=within_s))
    return {f"{name}-alerts": seen} if name in mesh.signals else {}


def joins_or_alerts(mesh: Mesh) -> dict[str, Claim]:
    """Ask whether new pods join the mesh, or an alert that the mesh has says why not."""
    known = tuple(name for name in REJECTED if name in mesh.signals)
    return {"new-pods-join": claim.always(suites.joins(), alert=known, within_s=30)}
