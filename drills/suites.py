"""Sets of claims that drills share, with the same ids and the same meaning in every drill."""

from collections.abc import Mapping

from drills.judge import checks, claims
from drills.judge.claims import Claim
from drills.judge.measure import Invariant
from drills.judge.records import NEW
from drills.run.lab import DENIED, EACH_CALL_CONNECTS, FRONT_DOOR, ROUTES, Edge

CHANGE_WITHIN_S = 4.0
"""An accepted policy change must have its effect within this time."""


def security(*, new_pods: bool = True, without: Mapping[str, str] | None = None) -> dict[str, Claim]:
    """No readable call, no denied caller served, no unauthenticated peer, no pod outside the mesh, in the whole run.

    Each claim covers the whole run, because a mesh is most likely to admit a denied caller when a component returns.
    new_pods: whether the drill creates pods during the fault; the claim about their membership needs some. without: ids
    of claims that a drill leaves out, each with the reason.
    """
    found = {
        "calls-made": claims.reached(checks.attempted(*ROUTES, FRONT_DOOR, *DENIED)),
        "handshakes-made": claims.reached(checks.handshake(*EACH_CALL_CONNECTS)),
        "no-plaintext": claims.never(checks.plaintext(*ROUTES, FRONT_DOOR), "run", must_hold=True),
        "denied-stay-denied": claims.always(checks.denied(*DENIED), "run", must_hold=True),
        "peers-authenticated": claims.never(checks.unauthenticated(*ROUTES), "run", must_hold=True),
        "membership-unchanged": claims.always(in_mesh(), "run", must_hold=True),
    }
    if new_pods:
        found["no-new-pod-outside-mesh"] = claims.never(checks.outside_mesh(), "run", must_hold=True)
    return {name: claim for name, claim in found.items() if name not in (without or {})}


def recovers(*, within_s: float, new_pods: str = "", policy_changes: bool = False) -> dict[str, Claim]:
    """Within a bound after the fault everything works again, and keeps working until the end of the run.

    new_pods: "" when the drill creates none, "anywhere", or the placed node (VICTIM) on which they must join again.
    """
    found = {"routes-recover": claims.eventually(routes_work(), within_s)}
    if new_pods:
        on = None if new_pods == "anywhere" else new_pods
        name = "new-pods-join-again" if on is None else f"new-pods-join-again-on-{on}"
        found[name] = claims.eventually(joins(on), within_s, fails_on_control=True)
    if policy_changes:
        found["policy-changes-enforced-again"] = claims.eventually(
            checks.change_enforced(within_s=CHANGE_WITHIN_S, connection=NEW), within_s, fails_on_control=True
        )
    return found


def keeps_working(*, alert: str | tuple[str, ...] = (), within_s: float = 0.0) -> dict[str, Claim]:
    """Routes carry their calls and no posting is lost or doubled during the fault.

    alert, within_s: signals, any of which excuses lost calls if it appears within that time.
    """
    return {
        "routes-keep-working": claims.always(routes_work(), alert=alert, within_s=within_s),
        "postings-served-once": claims.always(checks.conservation(("payment", "ledger"))),
    }


def routes_work(*more: Edge) -> Invariant:
    """Return the check that 99.9 % of the calls succeed on the lab's routes and on these edges."""
    return checks.success_rate(*ROUTES, *more, at_least=0.999)


def joins(on: str | None = None) -> Invariant:
    """Return the check that every new pod joins the mesh, and that its calls show it; on: as for new_pod_meshed."""
    return checks.new_pod_meshed(on=on, by_call=True)


def in_mesh() -> Invariant:
    """Return the check that every pod of the lab is in the mesh exactly when it belongs there, shown by its calls."""
    return checks.mesh_membership(by_call=True)
