"""What the judge must know of a run besides its tables."""

import msgspec

from clusters.lab import LAB
from clusters.mesh import Mesh
from clusters.mesh import Source as Promise
from clusters.place import Place
from drills.judge.history import Caller, RunFacts, SignalFact, Source
from drills.judge.records import Deviates
from drills.run.edges import FRESH
from drills.run.faults import Fault
from drills.run.inventory import Inventory
from drills.run.request import Request, signals_of

_UPLINK = "eth0"  # the interface by which a kind node reaches the other nodes


def facts_of(
    request: Request, mesh: Mesh, place: Place, inventory: Inventory | None, callers: tuple[Caller, ...]
) -> RunFacts:
    """Return the facts of a run; without an inventory (it could not be taken) nobody is expected to have recorded."""
    pods = inventory.services if inventory else ()
    return RunFacts(
        drill=request.drill,
        mesh=mesh.name,
        run_id=request.run_id,
        is_control=mesh.is_control,
        fresh_edges=FRESH,
        hold_s=request.fault.hold_s,
        callers=callers,
        servers=tuple(sorted(pod.name for pod in pods)),
        wire_nodes=place.nodes if request.probes.wire else (),
        drop_nodes=place.nodes if mesh.drop_log else (),
        placed=dict(inventory.placed) if inventory else {},
        nameless_edges=mesh.nameless,
        wire_interfaces=() if mesh.wire_scope == "any" else (_UPLINK,),
        identities={
            pod.service: mesh.identity(LAB, pod.service) if pod.namespace == LAB else ""
            for pod in sorted(pods, key=lambda pod: pod.service)
        },
        signals={
            signal.name: SignalFact(signal.name, signal.kind.value, signal.subject, signal.threshold)
            for signal in signals_of(request, mesh)
        },
        casualties=casualties_of(request.fault, inventory) if inventory else (),
        sources={name: _copy(found) for name, found in mesh.sources.items()},
        deviates=deviates_of(mesh, request.drill),
    )


def deviates_of(mesh: Mesh, drill: str) -> tuple[Deviates, ...]:
    """Return the silent failures that are known of a mesh in one drill."""
    return tuple(Deviates(known.claim, _copy(known.issue)) for known in mesh.deviates if known.drill == drill)


def casualties_of(fault: Fault, pods: Inventory) -> tuple[str, ...]:
    """Return the pods, observers among them, that the fault itself ends."""
    if not fault.ends_pods:
        return ()
    node = pods.placed.get(fault.node)
    return tuple(sorted(pod.name for pod in (*pods.services, *pods.observers) if pod.node == node))


def _copy(source: Promise) -> Source:
    return msgspec.convert(msgspec.to_builtins(source), Source)
