"""From a fault's words to an injury that is ready to be done."""

from collections.abc import Callable

from clusters.errors import HarnessError, UsageError
from clusters.lab import LAB
from clusters.mesh import Component, Mesh, Role
from clusters.place import Place
from drills.run.faults import Fault, FaultKind
from drills.run.faults.admission import CHANGES, Uninjected
from drills.run.faults.apiserver import StopApiserver
from drills.run.faults.declared import Declared, Withdrawn
from drills.run.faults.injuries import Crash, Hang, Kill, Remove, RestartWithout, Stop
from drills.run.faults.injury import Injury
from drills.run.faults.issuer import ReplacedIssuer
from drills.run.faults.keepoff import KeepOff
from drills.run.faults.nodecut import CutApi
from drills.run.faults.packets import Partition
from drills.run.faults.power import Reboot, RebootWithoutApi
from drills.run.faults.rollout import RollingRestart
from drills.run.placement import find_node

_OF_COMPONENT: dict[FaultKind, Callable[[Place, Component, int], Injury]] = {
    FaultKind.STOP: Stop,
    FaultKind.KILL: Kill,
    FaultKind.HANG: Hang,
    FaultKind.ROLLING_RESTART: RollingRestart,
    FaultKind.PARTITION: Partition,
    FaultKind.REMOVE: Remove,
}


_OF_NODE: dict[FaultKind, Callable[[Place, str], Injury]] = {
    FaultKind.CUT_API: CutApi,
    FaultKind.REBOOT: Reboot,
    FaultKind.REBOOT_WITHOUT_API: RebootWithoutApi,
    FaultKind.STOP_APISERVER: lambda place, _node: StopApiserver(place),
}


def prepare(place: Place, fault: Fault, component: Component | None, mesh: Mesh) -> Injury:
    """Look at the healthy victim and return the fault, ready to be done; no component for a fault of no role.

    Raises HarnessError when the victim is not healthy, or when the observer sees the injury already: such a
    receipt would prove nothing.
    """
    node = find_node(place, fault.node) if fault.node else ""
    injury = _make(place, fault, component, mesh, node)
    seen = injury.observe()
    if seen.landed:
        raise HarnessError(
            f"Before {fault.title} its observer ({seen.observer}) already reports it as done: {seen.evidence}. "
            "Its receipt would prove nothing; check the component's process name and port in the mesh's facts."
        )
    return injury


def _make(place: Place, fault: Fault, component: Component | None, mesh: Mesh, node: str) -> Injury:
    if fault.kind is FaultKind.DECLARE:
        return Declared(place, mesh, fault.declared)
    if fault.kind is FaultKind.WITHDRAW:
        return Withdrawn(place, mesh, fault.declared, fault.stands_s)
    if fault.kind in _OF_NODE:
        return _OF_NODE[fault.kind](place, node)
    if fault.kind in CHANGES:
        return _uninjected(place, fault, component, mesh)
    if component is None:
        raise UsageError(f"{fault.title} names no role of the mesh; it needs one.")
    return _hurt(place, fault, component, mesh, node)


def _hurt(place: Place, fault: Fault, component: Component, mesh: Mesh, node: str) -> Injury:
    replicas = _healthy(place, fault, component)
    if fault.kind is FaultKind.ROTATE_ISSUER:
        if mesh.issuance is None:
            raise UsageError(
                f"{mesh.title} makes its own issuer: the drill must say @requires(Capability.GIVEN_ISSUER)."
            )
        return ReplacedIssuer(place, component, replicas, mesh.issuance.secret, fault.issuer, fault.life_s)
    if fault.kind is FaultKind.KEEP_OFF:
        return KeepOff(place, component, replicas, fault.node)
    if fault.kind is FaultKind.CRASH:
        return Crash(place, component, replicas, node)
    if fault.kind is FaultKind.RESTART_WITHOUT:
        enforcer = _enforcer(fault, mesh)
        crash = Crash(place, enforcer, _healthy(place, fault, enforcer), node)
        return RestartWithout(place, component, replicas, crash)
    if fault.kind is FaultKind.STOP and component.kind == "DaemonSet":
        raise UsageError(
            f"{fault.title}: a DaemonSet has no number of replicas to set to zero. Use keep_off, remove, crash or hang."
        )
    return _OF_COMPONENT[fault.kind](place, component, replicas)


def _enforcer(fault: Fault, mesh: Mesh) -> Component:
    """Return who enforces policy at the app's pods: the proxy in each of them, or the agent of their node."""
    if mesh.pod_proxy:
        return Component(Role.POD_PROXY, "Deployment", LAB, fault.app, f"app={fault.app}", mesh.pod_proxy)
    agent = mesh.component(Role.NODE_AGENT)
    if agent is None:
        raise UsageError(f"{fault.title}: {mesh.title} names neither a proxy in each pod nor a node agent.")
    return agent


def _uninjected(place: Place, fault: Fault, component: Component | None, mesh: Mesh) -> Injury:
    change = CHANGES[fault.kind](place, mesh)
    if fault.kind is not FaultKind.IGNORE_WEBHOOK or component is None:
        return Uninjected(place, change)
    return Uninjected(place, change, component, _healthy(place, fault, component))


def _healthy(place: Place, fault: Fault, component: Component) -> int:
    """Return how many replicas there are; HarnessError unless all that are wanted are ready."""
    desired, ready = place.kube.replicas(component)
    if desired < 1 or ready != desired:
        raise HarnessError(
            f"{fault.title} needs a healthy {component.kind} {component.namespace}/{component.name}; it has "
            f"{ready} of {desired} replicas ready. Wait for it, or reinstall the mesh."
        )
    return desired
