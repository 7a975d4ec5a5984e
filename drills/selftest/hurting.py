"""What tests of injuries to nodes and node agents share."""

from drills.run.faults import Fault
from drills.run.faults.injury import Injury
from drills.run.faults.prepare import prepare
from drills.selftest.cluster_double import mesh
from drills.selftest.cluster_world import NODES
from drills.selftest.node_double import AGENT, NodeCluster


def ready(double: NodeCluster, fault: Fault) -> Injury:
    """Return the fault, prepared and not done."""
    return prepare(double, fault, AGENT if fault.role else None, mesh())


def change(double: NodeCluster, **state: object) -> None:
    """Change the state of the double."""
    world = double.load()
    for name, value in state.items():
        setattr(world, name, value)
    double.save(world)


def glances(injury: Injury) -> list[bool]:
    """Return what one round of glances saw."""
    seen = [injury.glance(turn) for turn in range(len(NODES) + 2)]
    return [receipt.landed for receipt in seen if receipt is not None]
