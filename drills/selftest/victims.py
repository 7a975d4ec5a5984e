"""Which double is the victim of which fault, healthy and whole."""

from pathlib import Path

from clusters.mesh import Component, Mesh, Role
from drills.run import faults
from drills.run.faults import Fault, FaultKind
from drills.selftest import declared_double, injection_double, issuer_double, node_double
from drills.selftest.declared_double import DeclaredPlace
from drills.selftest.injection_double import InjectedPlace, injected_mesh
from drills.selftest.issuer_double import IssuedPlace, issued_mesh
from drills.selftest.node_double import AGENT, NodePlace
from drills.selftest.place_double import COMPONENT, FilePlace, mesh


def victim_of(root: Path, kind: str) -> tuple[FilePlace, Fault, Component | None, Mesh]:
    """Return a healthy double, a fault of that kind, the component that it hurts, and the mesh around it."""
    wanted = FaultKind(kind)
    if wanted in declared_double.FAULTS:
        return DeclaredPlace(root), declared_double.FAULTS[wanted], None, mesh()
    if wanted in injection_double.FAULTS:
        fault = injection_double.FAULTS[wanted]
        return InjectedPlace(root), fault, COMPONENT if fault.role else None, injected_mesh()
    if wanted in issuer_double.FAULTS:
        return IssuedPlace(root), issuer_double.FAULTS[wanted], COMPONENT, issued_mesh()
    if wanted in node_double.FAULTS:
        fault = node_double.FAULTS[wanted]
        return NodePlace(root), fault, AGENT if fault.role else None, mesh()
    if wanted is FaultKind.RESTART_WITHOUT:
        fault = faults.restart_without(Role.CONTROL_PLANE, "ledger")
        return NodePlace(root), fault, COMPONENT, mesh(components=(COMPONENT, AGENT))
    return FilePlace(root), Fault(wanted, Role.CONTROL_PLANE, 1.0), COMPONENT, mesh()
