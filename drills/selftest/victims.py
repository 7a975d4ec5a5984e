"""Which double is the victim of which fault, healthy and whole."""

from pathlib import Path

from clusters.model import Component, Mesh, Role
from drills.run import faults
from drills.run.faults import Fault, FaultKind
from drills.selftest import declared_double, injection_double, issuer_double, node_double
from drills.selftest.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.declared_double import DeclaredCluster
from drills.selftest.injection_double import InjectedCluster, injected_mesh
from drills.selftest.issuer_double import IssuedCluster, issued_mesh
from drills.selftest.node_double import AGENT, NodeCluster


def victim_of(root: Path, kind: str) -> tuple[FileCluster, Fault, Component | None, Mesh]:
    """Return a healthy double, a fault of that kind, the component that it hurts, and the mesh around it."""
    wanted = FaultKind(kind)
    if wanted in declared_double.FAULTS:
        return DeclaredCluster(root), declared_double.FAULTS[wanted], None, mesh()
    if wanted in injection_double.FAULTS:
        fault = injection_double.FAULTS[wanted]
        return InjectedCluster(root), fault, COMPONENT if fault.role else None, injected_mesh()
    if wanted in issuer_double.FAULTS:
        return IssuedCluster(root), issuer_double.FAULTS[wanted], COMPONENT, issued_mesh()
    if wanted in node_double.FAULTS:
        fault = node_double.FAULTS[wanted]
        return NodeCluster(root), fault, AGENT if fault.role else None, mesh()
    if wanted is FaultKind.RESTART_WITHOUT:
        fault = faults.restart_without(Role.CONTROL_PLANE, "ledger")
        return NodeCluster(root), fault, COMPONENT, mesh(components=(COMPONENT, AGENT))
    return FileCluster(root), Fault(wanted, Role.CONTROL_PLANE, 1.0), COMPONENT, mesh()
