"""The facts of a run: what the judge needs besides calls and events."""

import msgspec

from clusters.cluster import Cluster
from clusters.lab import LAB
from clusters.model import Capability, KnownIssue, Mesh, by_name
from drills.judge.history import Caller, RunFacts
from drills.run.experiment import Request, signals_of
from drills.run.faults import Fault
from drills.run.inventory import Inventory
from drills.run.lab import EACH_CALL_CONNECTS, NEW_POD


def facts_of(
    request: Request, mesh: Mesh, cluster: Cluster, inventory: Inventory | None, callers: tuple[Caller, ...]
) -> RunFacts:
    """Return the facts of a run; without an inventory (it could not be taken) no pod is expected to have a log."""
    pods = inventory.services if inventory else ()
    return RunFacts(
        drill=request.drill,
        mesh=mesh.name,
        run_id=request.run_id,
        is_control=mesh.is_control,
        fresh_edges=EACH_CALL_CONNECTS,
        hold_s=request.fault.hold_s,
        callers=callers,
        servers=tuple(sorted(pod.name for pod in pods)),
        wire_nodes=cluster.nodes if request.probes.wire else (),
        drop_nodes=cluster.nodes if mesh.drop_log else (),
        placed=dict(inventory.placed) if inventory else {},
        nameless_edges=mesh.identity.edges_without_identity,
        encrypts=bool(mesh.capabilities & {Capability.MTLS, Capability.ENCRYPTION}),
        wire_interfaces=() if mesh.wire_scope == "any" else (cluster.uplink,),
        identities={
            pod.service: mesh.identity.of(LAB, pod.service) if pod.namespace == LAB else ""
            for pod in sorted(pods, key=lambda pod: pod.service)
        }
        | {NEW_POD: mesh.identity.of(LAB, NEW_POD)},
        signals=by_name(*signals_of(request, mesh)),
        lost_pods=pods_ended_by(request.fault, inventory) if inventory else (),
        # Known issues say what a fault breaks: a control in which the claim is false shows something else.
        known_issues=known_issues_of(mesh, request.drill) if request.fault.breaks else (),
        claims=request.claims,
        fires_without_fault=request.control.fired if request.control else (),
        no_fault_control=request.control.run_id if request.control else "",
        without_fault=not request.fault.breaks,
    )


def known_issues_of(mesh: Mesh, drill: str) -> tuple[KnownIssue, ...]:
    """Return the mesh's known issues for one drill, without the drill's name, which the facts have already."""
    return tuple(msgspec.structs.replace(known, drill="") for known in mesh.known_issues if known.drill == drill)


def pods_ended_by(fault: Fault, pods: Inventory) -> tuple[str, ...]:
    """Return the names of the pods, including observers, that the fault itself ends."""
    if not fault.ends_pods:
        return ()
    node = pods.placed.get(fault.node)
    return tuple(sorted(pod.name for pod in (*pods.services, *pods.observers) if pod.node == node))
