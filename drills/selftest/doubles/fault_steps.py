"""What tests of faults share: a fault that is prepared on a double, with its cluster at hand."""

import msgspec

from clusters.model import Mesh
from drills.run.faults import Fault
from drills.run.faults.base import PreparedFault, Receipt, prepare
from drills.run.undo import Entry
from drills.run.undo_entry import UndoEntry
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.cluster_world import NODES
from drills.selftest.doubles.node_double import AGENT
from drills.selftest.doubles.short_timing import SHORT


class Ready:
    """A prepared fault and its cluster. It is reverted from what the undo log would have of it, never from memory."""

    def __init__(self, double: FileCluster, prepared: PreparedFault) -> None:
        self.prepared = prepared
        self.entry: UndoEntry = msgspec.json.decode(msgspec.json.encode(prepared), type=Entry)
        self._cluster = double

    def inject(self) -> str:
        """Do it."""
        return self.prepared.inject(self._cluster, SHORT)

    def receipt(self, turn: int | None = None) -> Receipt:
        """Look at all of it, or at a part."""
        return self.prepared.receipt(self._cluster, turn)

    def revert(self) -> None:
        """Revert the entry of the log."""
        self.entry.revert(self._cluster)

    def reverted(self) -> str:
        """Ask the entry of the log what still differs."""
        return self.entry.reverted(self._cluster)

    def turns(self) -> list[bool]:
        """Return what one round of partial looks saw."""
        return [self.receipt(turn).landed for turn in range(len(NODES) + 2)]


def ready(double: FileCluster, fault: Fault, facts: Mesh | None = None) -> Ready:
    """Return the fault, prepared and not injected, on a mesh with the component and the agent of the doubles."""
    return Ready(double, prepare(fault, double, facts or mesh(components=(COMPONENT, AGENT)), "r1"))


def change(double: FileCluster, **state: object) -> None:
    """Change the state of the double."""
    world = double.load()
    for name, value in state.items():
        setattr(world, name, value)
    double.save(world)
