"""From a fault's words to an injury that is ready to be done."""

from collections.abc import Callable

from clusters.cluster import Cluster
from clusters.lab import LAB
from clusters.model import Component, Mesh, Role
from clusters.runtime import HarnessError, UsageError
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

_OF_COMPONENT: dict[FaultKind, Callable[[Cluster, Component, int], Injury]] = {
    FaultKind.STOP: Stop,
    FaultKind.KILL: Kill,
    FaultKind.HANG: Hang,
    FaultKind.ROLLING_RESTART: RollingRestart,
    FaultKind.PARTITION: Partition,
    FaultKind.REMOVE: Remove,
}


_OF_NODE: dict[FaultKind, Callable[[Cluster, str], Injury]] = {
    FaultKind.CUT_API: CutApi,
    FaultKind.REBOOT: Reboot,
    FaultKind.REBOOT_WITHOUT_API: RebootWithoutApi,
    FaultKind.STOP_APISERVER: lambda cluster, _node: StopApiserver(cluster),
}


def prepare(cluster: Cluster, fault: Fault, component: Component | None, mesh: Mesh) -> Injury:
    """Look at the healthy victim and return the fault, ready to be done; no component for a fault of no role.

    Raises HarnessError when the victim is not healthy, or when the observer sees the injury already: such a
    receipt would prove nothing.
    """
    node = find_node(cluster, fault.node) if fault.node else ""
    injury = _make(cluster, fault, component, mesh, node)
    seen = injury.observe()
    if seen.landed:
        raise HarnessError(
            f"Before {fault.title} its observer ({seen.observer}) already reports it as done: {seen.evidence}. "
            "Its receipt would prove nothing; check the component's process name and port in the mesh's facts."
        )
    return injury


def _make(cluster: Cluster, fault: Fault, component: Component | None, mesh: Mesh, node: str) -> Injury:
    if fault.kind is FaultKind.DECLARE:
        return Declared(cluster, mesh, fault.declared)
    if fault.kind is FaultKind.WITHDRAW:
        return Withdrawn(cluster, mesh, fault.declared, fault.stands_s)
    if fault.kind in _OF_NODE:
        return _OF_NODE[fault.kind](cluster, node)
    if fault.kind in CHANGES:
        return _uninjected(cluster, fault, component, mesh)
    if component is None:
        raise UsageError(f"{fault.title} names no role of the mesh; it needs one.")
    return _hurt(cluster, fault, component, mesh, node)


def _hurt(cluster: Cluster, fault: Fault, component: Component, mesh: Mesh, node: str) -> Injury:
    replicas = _healthy(cluster, fault, component)
    if fault.kind is FaultKind.ROTATE_ISSUER:
        if mesh.certificates.issuance is None:
            raise UsageError(
                f"{mesh.title} makes its own issuer: the drill must say @requires(Capability.GIVEN_ISSUER)."
            )
        return ReplacedIssuer(
            cluster, component, replicas, mesh.certificates.issuance.secret, fault.issuer, fault.life_s
        )
    if fault.kind is FaultKind.KEEP_OFF:
        return KeepOff(cluster, component, replicas, fault.node)
    if fault.kind is FaultKind.CRASH:
        return Crash(cluster, component, replicas, node)
    if fault.kind is FaultKind.RESTART_WITHOUT:
        enforcer = _enforcer(fault, mesh)
        crash = Crash(cluster, enforcer, _healthy(cluster, fault, enforcer), node)
        return RestartWithout(cluster, component, replicas, crash)
    if fault.kind is FaultKind.STOP and component.kind == "DaemonSet":
        raise UsageError(
            f"{fault.title}: a DaemonSet has no number of replicas to set to zero. Use keep_off, remove, crash or hang."
        )
    return _OF_COMPONENT[fault.kind](cluster, component, replicas)


def _enforcer(fault: Fault, mesh: Mesh) -> Component:
    """Return who enforces policy at the app's pods: the proxy in each of them, or the agent of their node."""
    if mesh.pod_proxy:
        return Component(Role.POD_PROXY, "Deployment", LAB, fault.app, f"app={fault.app}", mesh.pod_proxy)
    agent = mesh.component(Role.NODE_AGENT)
    if agent is None:
        raise UsageError(f"{fault.title}: {mesh.title} names neither a proxy in each pod nor a node agent.")
    return agent


def _uninjected(cluster: Cluster, fault: Fault, component: Component | None, mesh: Mesh) -> Injury:
    change = CHANGES[fault.kind](cluster, mesh)
    if fault.kind is not FaultKind.IGNORE_WEBHOOK or component is None:
        return Uninjected(cluster, change)
    return Uninjected(cluster, change, component, _healthy(cluster, fault, component))


def _healthy(cluster: Cluster, fault: Fault, component: Component) -> int:
    """Return how many replicas there are; HarnessError unless all that are wanted are ready."""
    desired, ready = cluster.kube.replicas(component)
    if desired < 1 or ready != desired:
        raise HarnessError(
            f"{fault.title} needs a healthy {component.kind} {component.namespace}/{component.name}; it has "
            f"{ready} of {desired} replicas ready. Wait for it, or reinstall the mesh."
        )
    return desired
