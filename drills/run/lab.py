"""The lab as a drill sees it: the edges between its services, and the load on them."""

from collections.abc import Iterable

import msgspec

from clusters.model import BYSTANDER, VICTIM
from drills.judge.records import NEW, REUSED

__all__ = [
    "BYSTANDER",
    "DENIED",
    "EACH_CALL_CONNECTS",
    "FRONT_DOOR",
    "FRONT_DOOR_ALLOWED",
    "FRONT_DOOR_UNMESHED",
    "MESHED_DENIED",
    "NEW",
    "NEW_POD",
    "NEW_SERVICE",
    "REUSED",
    "ROUTES",
    "UNMESHED_PAIR",
    "VICTIM",
    "Calls",
    "Edge",
    "calls",
    "new_pod_calls",
    "outsider_calls",
    "traffic",
]

Edge = tuple[str, str]
"""(source, target): the calling service and the called service."""

ROUTES: tuple[Edge, ...] = (
    ("frontend", "checkout"),
    ("checkout", "payment"),
    ("checkout", "fraud"),
    ("payment", "ledger"),
    ("payment", "bank-adapter"),
)
"""Calls that the lab's policies allow: they must succeed."""

FRONT_DOOR: Edge = ("intruder", "frontend")
"""Any meshed identity may call `frontend`. A policy change may close this one edge, to see whether it is enforced."""

FRONT_DOOR_ALLOWED: Edge = ("checkout", "frontend")
"""A second allowed caller of `frontend`, which no drill denies: its success proves that the service is up while another
caller is denied."""

FRONT_DOOR_UNMESHED: Edge = ("outsider", "frontend")
"""An unmeshed caller of `frontend`. It bypasses any L7 proxy, so policy must also be enforced at the pod."""

DENIED: tuple[Edge, ...] = (
    ("frontend", "ledger"),
    ("intruder", "ledger"),
    ("intruder", "payment"),
    ("outsider", "ledger"),
    ("outsider", "payment"),
)
"""Calls that the lab's policies deny: a wrong route, a wrong identity, no identity at all."""

EACH_CALL_CONNECTS: tuple[Edge, ...] = (("checkout", "fraud"),)
"""Each call opens its own connection, and so makes its own handshake: every mesh's traffic policy must say so."""

MESHED_DENIED: tuple[Edge, ...] = tuple(edge for edge in DENIED if edge[0] != "outsider")
"""Those of them whose caller is in the mesh: a refused call of theirs must not be readable either."""
NEW_POD, NEW_POD_ADDRESS = "new-pod", "new-pod-address"
"""The service of the pods that the new-pods probe creates, and the same by the pod's own address."""

NEW_SERVICE: Edge = ("checkout", "new-destination")
"""Calls to a Service that does not exist before the new-pods probe creates it together with a pod."""

UNMESHED_PAIR: Edge = ("outsider", "outsider")
"""Outside the mesh at both ends, and never denied. If a mesh denies calls by dropping packets, only this edge shows
that the outsider can call at all. Its plaintext proves that the observers of the wire see plaintext."""

TIMEOUT_MS = 2000
_ROUTE_MS, _CONNECTING_MS, _BESIDE_MS, _DENIED_MS, _UNMESHED_MS = 140, 200, 200, 500, 500
_LONGEST_MS = 1500
_NEW_POD_MS, _TO_NEW_POD_MS = 200, 500
_OUTSIDER = "outsider"
_FROM_OUTSIDE_MS = {**dict.fromkeys(DENIED, _DENIED_MS), UNMESHED_PAIR: _UNMESHED_MS}
"""Edges that the steady state counts: it must have enough calls of each soon."""


class Calls(msgspec.Struct, frozen=True):
    """An open loop on one edge: every pod of the source makes one call per `every_ms` on each kind of connection.

    knows_address: the callers keep the last address of the target, so that a loss of DNS does not stop them.
    """

    source: str
    target: str
    every_ms: float
    connections: tuple[str, ...] = (NEW, REUSED)
    timeout_ms: int = TIMEOUT_MS
    knows_address: bool = False


def calls(
    source: str,
    target: str,
    *,
    every_ms: float,
    connections: tuple[str, ...] = (NEW, REUSED),
    timeout_ms: int = TIMEOUT_MS,
    knows_address: bool = False,
) -> Calls:
    """Let every pod of the source call the target at a fixed rate, on new connections, a reused one, or both.

    A caller has at most 64 calls in flight: if calls may be dropped silently, timeout_ms must be below 64 * every_ms.
    knows_address: for callers that no server should serve: an attacker does not depend on DNS.
    """
    return Calls(source, target, every_ms, connections, timeout_ms, knows_address)


def traffic(*left_out: Edge, pace: float = 1.0) -> tuple[Calls, ...]:
    """Load every edge except those left out, about 270 calls a second in total.

    Both pods of a service call each of their targets every 140 ms on new and on reused connections: so a gap of that
    length is visible on one node, and of half that length on a route. Twice the rate kept two cores 95 % busy with a
    proxy in every pod, and half of those runs were short of processor time.

    pace: multiplies every interval between two calls; use it to keep the evidence of a long drill small. No interval
    grows beyond 1.5 s: above 2 s every check takes the caller for silent (max_gap_s).
    """
    plain = [edge for edge in (*ROUTES, FRONT_DOOR) if edge not in EACH_CALL_CONNECTS]
    rates = {
        **dict.fromkeys(plain, _ROUTE_MS),
        **dict.fromkeys(EACH_CALL_CONNECTS, _CONNECTING_MS),
        FRONT_DOOR_ALLOWED: _BESIDE_MS,
        **dict.fromkeys(DENIED, _DENIED_MS),
        UNMESHED_PAIR: _UNMESHED_MS,
    }
    paced = {edge: min(every_ms * pace, _LONGEST_MS) for edge, every_ms in rates.items()}
    return tuple(
        calls(*edge, every_ms=every_ms, knows_address=edge in DENIED)
        for edge, every_ms in paced.items()
        if edge not in left_out
    )


def new_pod_calls() -> tuple[Calls, ...]:
    """Let each new pod call an allowed and a denied service, and let the mesh and an outsider call it.

    They call it at its Service and at its own address, on new connections, whether such a pod exists or not.
    """
    made = ((NEW_POD, "frontend", _NEW_POD_MS), (NEW_POD, "ledger", _TO_NEW_POD_MS))
    served = (
        (source, target, _TO_NEW_POD_MS) for source in ("checkout", _OUTSIDER) for target in (NEW_POD, NEW_POD_ADDRESS)
    )
    return tuple(
        calls(source, target, every_ms=every_ms, connections=(NEW,)) for source, target, every_ms in (*made, *served)
    )


def outsider_calls(workload: Iterable[Calls]) -> tuple[Calls, ...]:
    """Let the outsider call each service that a workload calls, and another outsider, unless it does already.

    A server that refuses them shows that it is in the mesh, where the mesh shows servers no identity of the caller.
    """
    called = {(spec.source, spec.target) for spec in workload}
    wanted = sorted({target for _, target in called} | {_OUTSIDER})
    return tuple(
        calls(
            _OUTSIDER,
            target,
            every_ms=_FROM_OUTSIDE_MS.get((_OUTSIDER, target), _LONGEST_MS),
            connections=(NEW,),
            knows_address=target != _OUTSIDER,
        )
        for target in wanted
        if (_OUTSIDER, target) not in called
    )
