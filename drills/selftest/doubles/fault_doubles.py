"""Which double stands for which fault, healthy and whole."""

from pathlib import Path
from typing import get_args

from clusters.model import Mesh, Role
from drills.run import faults
from drills.run.faults import Fault
from drills.run.faults.no_fault import no_fault
from drills.selftest.doubles import declared_double, injection_double, issuer_double, node_double
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.declared_double import DeclaredCluster
from drills.selftest.doubles.injection_double import InjectedCluster, injected_mesh
from drills.selftest.doubles.issuer_double import IssuedCluster, issued_mesh
from drills.selftest.doubles.node_double import AGENT, NodeCluster

KINDS: tuple[str, ...] = tuple(str(made.__struct_config__.tag) for made in get_args(Fault))
"""Every kind of fault that a drill can ask for."""

_ROLE = Role.CONTROL_PLANE
_OF_COMPONENT: dict[str, Fault] = {
    fault.kind: fault
    for fault in (faults.kill(_ROLE), faults.pause(_ROLE), faults.scale_to_zero(_ROLE), faults.make_unavailable(_ROLE))
}


def double_for(root: Path, kind: str) -> tuple[FileCluster, Fault, Mesh]:
    """Return a healthy double, a fault of that kind, and the mesh around it."""
    for module, made, facts in (
        (declared_double, DeclaredCluster, mesh()),
        (injection_double, InjectedCluster, injected_mesh()),
        (issuer_double, IssuedCluster, issued_mesh()),
        (node_double, NodeCluster, mesh(components=(COMPONENT, AGENT))),
    ):
        if kind in module.FAULTS:
            return made(root), module.FAULTS[kind], facts
    if kind == "no-fault":
        return FileCluster(root), no_fault(faults.scale_to_zero(_ROLE)), mesh()
    if kind in _OF_COMPONENT:
        return FileCluster(root), _OF_COMPONENT[kind], mesh()
    raise AssertionError(kind)
