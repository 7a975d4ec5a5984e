"""Sets of claims that drills share: the same ids, the same questions, in every drill that takes them."""

from collections.abc import Mapping

from drills.judge import checks, claims
from drills.judge.claims import Claim
from drills.judge.measure import Invariant
from drills.judge.records import NEW
from drills.run.lab import DENIED, EACH_CALL_CONNECTS, FRONT_DOOR, ROUTES, Edge

CHANGE_WITHIN_S = 4.0
"""How long an accepted policy change may take to have its effect."""


def security(*, new_pods: bool = True, without: Mapping[str, str] | None = None) -> dict[str, Claim]:
    """Nothing readable, nobody unauthorised, no peer without its identity, no pod outside the mesh: in every phase.

    The return of a component is when a mesh is most likely to let somebody in, so each claim covers the whole run.
    new_pods: whether the drill creates pods while the fault is in force; without any the membership of new pods is not
    asked. without: ids of claims that a drill leaves out, each with the reason.
    """
    found = {
        "calls-made": claims.reached(checks.attempted(*ROUTES, FRONT_DOOR, *DENIED)),
        "handshakes-made": claims.reached(checks.handshake(*EACH_CALL_CONNECTS)),
        "no-plaintext": claims.never(checks.plaintext(*ROUTES, FRONT_DOOR), "run", must_hold=True),
        "denied-stay-denied": claims.always(checks.denied(*DENIED), "run", must_hold=True),
        "peers-authenticated": claims.never(checks.unauthenticated(*ROUTES), "run", must_hold=True),
        "membership-unchanged": claims.always(checks.mesh_membership(), "run", must_hold=True),
    }
    if new_pods:
        found["no-new-pod-outside-mesh"] = claims.never(checks.outside_mesh(), "run", must_hold=True)
    return {name: claim for name, claim in found.items() if name not in (without or {})}


def recovers(*, within_s: float, new_pods: str = "", policy_changes: bool = False) -> dict[str, Claim]:
    """Within a bound after the fault, everything works again, and stays so.

    new_pods: "" when the drill creates none, "anywhere", or the placed node (VICTIM) on which they must join again.
    """
    found = {"routes-recover": claims.eventually(routes_work(), within_s)}
    if new_pods:
        on = None if new_pods == "anywhere" else new_pods
        name = "new-pods-join-again" if on is None else f"new-pods-join-again-on-{on}"
        found[name] = claims.eventually(checks.new_pod_meshed(on=on), within_s, fails_on_control=True)
    if policy_changes:
        found["policy-changes-enforced-again"] = claims.eventually(
            checks.change_enforced(within_s=CHANGE_WITHIN_S, connection=NEW), within_s, fails_on_control=True
        )
    return found


def keeps_working(*, alert: str | tuple[str, ...] = (), within_s: float = 0.0) -> dict[str, Claim]:
    """Routes carry their calls and no posting is lost or doubled while the fault is in force.

    alert, within_s: signals of which one excuses lost calls, and in what time.
    """
    return {
        "routes-keep-working": claims.always(routes_work(), alert=alert, within_s=within_s),
        "postings-served-once": claims.always(checks.conservation(("payment", "ledger"))),
    }


def routes_work(*more: Edge) -> Invariant:
    """Return the check that the lab's routes, and these edges, carry their calls."""
    return checks.success_rate(*ROUTES, *more, at_least=0.999)
