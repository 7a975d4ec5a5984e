"""Sets of claims that drills share, with the same ids and the same meaning in every drill."""

from collections.abc import Mapping

from drills.judge import checks, claims
from drills.judge.claims import Claim
from drills.judge.measure import Invariant
from drills.judge.records import NEW
from drills.run.lab import (
    DENIED,
    EACH_CALL_CONNECTS,
    FRONT_DOOR,
    FRONT_DOOR_ALLOWED,
    MESHED_DENIED,
    ROUTES,
    Edge,
)

CHANGE_WITHIN_S = 4.0
"""An accepted policy change must have its effect within this time."""

MOST_OUTAGE_S = 2.0
"""A caller of a route that works may wait so long for its next success: on two cores it may pause for a second."""


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
        "refused-calls-unreadable": claims.never(checks.plaintext_tried(*MESHED_DENIED), "run", must_hold=True),
        "denied-stay-denied": claims.always(checks.denied(*DENIED), "run", must_hold=True),
        "peers-authenticated": claims.never(checks.unauthenticated(*ROUTES), "run", must_hold=True),
        "membership-unchanged": claims.always(in_mesh(), "run", must_hold=True),
    }
    if new_pods:
        found["no-new-pod-outside-mesh"] = claims.never(checks.outside_mesh(), "run", must_hold=True)
    return {name: claim for name, claim in found.items() if name not in (without or {})}


def recovers(
    *, within_s: float, outage_s: float = MOST_OUTAGE_S, new_pods: str = "", policy_changes: bool = False
) -> dict[str, Claim]:
    """Within a bound after the fault everything works again, and keeps working until the end of the run.

    The return itself may cost no caller more than outage_s without a success, however long within_s is: where the fault
    breaks no route, the return of the component may break none either. A fault that breaks routes gives a longer one.

    new_pods: "" when the drill creates none, "anywhere", or the placed node (VICTIM) on which they must join again.
    """
    fast = checks.calls_fast(*ROUTES, FRONT_DOOR_ALLOWED)
    found = {
        "routes-recover": claims.eventually(routes_work(FRONT_DOOR_ALLOWED), within_s),
        "recovery-outage-bounded": claims.always(
            checks.availability(*ROUTES, FRONT_DOOR_ALLOWED, max_outage_s=outage_s), "recovery"
        ),
        "calls-fast-again": claims.eventually(fast, within_s),
    }
    if new_pods:
        on = None if new_pods == "anywhere" else new_pods
        name = "new-pods-join-again" if on is None else f"new-pods-join-again-on-{on}"
        found[name] = claims.eventually(joins(on), within_s, fails_on_control=True)
    if policy_changes:
        found["policy-changes-enforced-again"] = claims.eventually(
            checks.change_enforced(within_s=CHANGE_WITHIN_S, connection=NEW), within_s, fails_on_control=True
        )
    return found


def keeps_working(
    *,
    alert: str | tuple[str, ...] = (),
    within_s: float = 0.0,
    doors: tuple[Edge, ...] = (FRONT_DOOR, FRONT_DOOR_ALLOWED),
) -> dict[str, Claim]:
    """Routes and the front door carry their calls during the fault, none of them slowly, and what `intact` asks.

    alert, within_s: signals, any of which excuses lost calls if it covers them within that time. doors: the callers of
    the front door that the drill never denies.
    """
    door, fast = checks.success_rate(*doors, at_least=0.999), checks.calls_fast(*ROUTES, *doors)
    return {
        "routes-keep-working": claims.always(routes_work(), alert=alert, within_s=within_s),
        "front-door-works": claims.always(door, alert=alert, within_s=within_s),
        "calls-stay-fast": claims.always(fast, alert=alert, within_s=within_s),
        **intact(),
    }


def intact() -> dict[str, Claim]:
    """Routes work before the fault, so that their loss is its doing; no posting is lost or doubled in the whole run."""
    return {
        "routes-work-in-baseline": claims.always(routes_work(), "baseline"),
        "postings-served-once": claims.always(checks.conservation(("payment", "ledger")), "run"),
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
