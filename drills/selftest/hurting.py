"""What tests of injuries to nodes and node agents share."""

from drills.run.faults import Fault
from drills.run.faults.injury import Injury
from drills.run.faults.prepare import prepare
from drills.selftest.node_double import AGENT, NodePlace
from drills.selftest.place_double import as_place, mesh
from drills.selftest.place_world import NODES


def ready(double: NodePlace, fault: Fault) -> Injury:
    """Return the fault, prepared and not done."""
    return prepare(as_place(double), fault, AGENT if fault.role else None, mesh())


def change(double: NodePlace, **state: object) -> None:
    """Change the state of the double."""
    world = double.load()
    for name, value in state.items():
        setattr(world, name, value)
    double.save(world)


def glances(injury: Injury) -> list[bool]:
    """Return what one round of glances saw."""
    seen = [injury.glance(turn) for turn in range(len(NODES) + 2)]
    return [receipt.landed for receipt in seen if receipt is not None]
