"""What every fault is: first what a drill asks for, then what that is in one cluster, which is its undo-log entry.

A `BaseFault` names a role and the part that a node plays; it is stored in experiment.json. `resolve` looks at the
healthy cluster and returns a `PreparedFault`, which names workloads, processes and nodes. That one is written to the
undo log before it is injected, and it alone knows how to inject, observe and revert itself.
"""

import re
from dataclasses import astuple, dataclass
from typing import ClassVar

import msgspec

from clusters.cluster import Cluster
from clusters.model import Component, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.process_table import Process
from drills.run.undo_entry import UndoEntry

TABLES = "process tables of the nodes"
TCP = "TCP from a node"

_PLAIN = re.compile(r"[ -~]{0,512}")


@dataclass(frozen=True)
class Receipt:
    """What an independent observer saw of the fault in one look."""

    landed: bool
    observer: str
    evidence: str
    momentary: bool = False  # the fault is an instant (kill), not a state that must last


def both(first: Receipt, second: Receipt) -> Receipt:
    """Return one receipt for a fault that has landed only if two observers say so, each in its own words."""
    return Receipt(
        first.landed and second.landed,
        f"{first.observer}, {second.observer}",
        f"{first.evidence}; {second.evidence}",
    )


class PreparedFault(UndoEntry):
    """A fault resolved to the objects of one cluster: ready to be injected, and its own entry of the undo log."""

    is_watched: ClassVar[bool] = True
    """Whether it is a state that must last, so that receipts are taken all through the hold."""

    @property
    def land_extra_s(self) -> float:
        """How much longer than most faults it may take until the first receipt, in seconds."""
        return 0.0

    def inject(self, cluster: Cluster) -> str:
        """Do it, and return what was done in words. The entry is on disk by then."""
        raise NotImplementedError

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Look through another channel than `inject` used; HarnessError when the observer cannot look.

        Without a turn it looks at everything, and the receipt says whether the fault has landed. With one it looks at
        a part, another in each turn: each program that is run on a node takes processor time from the calls.
        """
        raise NotImplementedError

    @property
    def signer(self) -> str:
        """Key id of the issuer that the fault puts in, for the checks; "" where it puts in none."""
        return ""

    def is_over(self) -> bool:
        """Whether the fault has run its course, so that there is nothing more to hold."""
        return False


class BaseFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What a drill asks for: what is done, to which role, on which node, and how long it is held."""

    hold_s: float
    role: Role | None = None  # None: it is done to something that is no part of the mesh
    node: str = ""  # the part that the node plays in the lab's placement; "" for a fault of no single node

    takes_api: ClassVar[bool] = False
    """Whether the Kubernetes API is gone while the fault lasts, so that not to reach it is expected."""
    ends_pods: ClassVar[bool] = False
    """Whether it ends every program of its node, the lab's among them: their records then break off."""

    @property
    def kind(self) -> str:
        """The tag by which an experiment knows the class."""
        return str(self.__struct_config__.tag)

    @property
    def variant(self) -> str:
        """The word that tells two faults of one kind apart, "" where role and node are enough."""
        return ""

    @property
    def title(self) -> str:
        """The words by which events and people call this fault."""
        where = f"on {self.node}" if self.role and self.node else self.node
        words = (self.kind, self.role.value if self.role else "", self.variant, where)
        return " ".join(word for word in words if word)

    def component(self, mesh: Mesh) -> Component:
        """Return the part of the mesh that plays the role; UsageError when the mesh has none."""
        if self.role is None:
            raise UsageError(f"{self.title} names no role of the mesh; it needs one.")
        found = mesh.component(self.role)
        if found is None:
            raise UsageError(f"{mesh.title} has no {self.role.value}: the drill must say @requires({self.role!s}).")
        return found

    def demand(self, mesh: Mesh) -> None:
        """Raise UsageError when the mesh lacks the role that this fault is done to."""
        if self.role is not None:
            self.component(mesh)

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> PreparedFault:
        """Look at the healthy cluster and return the fault as it is to be done there; nothing is changed by that.

        Raises UsageError for a fault that this mesh or cluster cannot have, HarnessError when something is not healthy.
        """
        raise NotImplementedError


def prepare(fault: BaseFault, cluster: Cluster, mesh: Mesh, run_id: str) -> PreparedFault:
    """Return the fault, ready to be injected. Raises as `resolve` does.

    HarnessError, too, when the observer reports the fault already: such a receipt would prove nothing.
    """
    prepared = fault.resolve(cluster, mesh, run_id)
    seen = prepared.receipt(cluster)
    if seen.landed:
        raise HarnessError(
            f"Before {fault.title} its observer ({seen.observer}) already reports it as done: {seen.evidence}. "
            "Its receipt would prove nothing; check the component's process name and port in the mesh's facts."
        )
    return prepared


class ComponentFault(PreparedFault, kw_only=True):
    """What prepared faults of one component share. Reverting waits until all replicas are ready again."""

    component: Component
    replicas: int

    def __post_init__(self) -> None:
        """Refuse a component that no fact of a mesh holds: its words reach commands and terminals."""
        if not all(_PLAIN.fullmatch(text) for text in astuple(self.component) if isinstance(text, str)):
            raise ValueError("the component's fields are printable ASCII of at most 512 characters")

    @property
    def title(self) -> str:
        """The component's workload, for people."""
        return f"{self.component.kind} {self.component.namespace}/{self.component.name}"

    @property
    def subject(self) -> str:
        """As many replicas are ready as before."""
        return f"{self.title} with {self.replicas} ready"

    def found(self, cluster: Cluster, node: str = "") -> tuple[Process, ...]:
        """Return the component's processes, those of one node if one is named; HarnessError when there is none."""
        nodes = (node,) if node else cluster.nodes
        found = tuple(it for name in nodes for it in process_table.find_on(cluster, name, self.component))
        if not found:
            where = f"Node {node} runs no" if node else "No node runs a"
            raise HarnessError(f"{where} process {self.component.process!r} of {self.title}.")
        return found

    def revert(self, cluster: Cluster) -> None:
        """Do nothing: the component's own controller brings it back."""

    def reverted(self, cluster: Cluster) -> str:
        """Say how many replicas are not ready, or which process is still stopped."""
        desired, ready = cluster.kube.replicas(self.component)
        if not desired == ready == self.replicas:
            return f"{self.title} has {ready} of {desired} replicas ready; expected {self.replicas}"
        # Asked last because it costs most: a program run on every node.
        stopped = [it.pid for it in process_table.find(cluster, self.component) if it.is_stopped]
        return f"processes {stopped} of {self.component.name} are still stopped (state T)" if stopped else ""


def healthy(cluster: Cluster, component: Component, title: str) -> int:
    """Return how many replicas the component has; HarnessError unless all that are wanted are ready.

    title: the fault's, for the message.
    """
    desired, ready = cluster.kube.replicas(component)
    if desired < 1 or ready != desired:
        raise HarnessError(
            f"{title} needs a healthy {component.kind} {component.namespace}/{component.name}; it has "
            f"{ready} of {desired} replicas ready. Wait for it, or reinstall the mesh."
        )
    return desired
