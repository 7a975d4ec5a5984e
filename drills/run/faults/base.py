"""The bases of every fault: the fault that a drill requests, and the prepared fault, which is its undo-log entry.

A `BaseFault` names a role and a node's part in the placement; it is stored in experiment.json. `resolve` inspects the
healthy cluster and returns a `PreparedFault`, which names workloads, processes and nodes. The prepared fault is written
to the undo log before it is injected, and knows how to inject, observe and revert itself.
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
from drills.run.timing import Timing
from drills.run.undo_entry import UndoEntry

TABLES = "process tables of the nodes"
TCP = "TCP from a node"

_PLAIN = re.compile(r"[ -~]{0,512}")


@dataclass(frozen=True)
class Receipt:
    """One observation of the fault by an independent observer."""

    landed: bool
    observer: str
    evidence: str
    momentary: bool = False  # the fault is an instant (kill), not a state that must last


def both(first: Receipt, second: Receipt) -> Receipt:
    """Combine two receipts: the fault has landed only if both observers say so."""
    return Receipt(
        first.landed and second.landed,
        f"{first.observer}, {second.observer}",
        f"{first.evidence}; {second.evidence}",
    )


class PreparedFault(UndoEntry):
    """A fault resolved to the objects of one cluster: ready to be injected, and its own undo-log entry."""

    is_watched: ClassVar[bool] = True
    """Whether the fault is a lasting state, so that receipts are taken all through the hold."""

    def land_extra_s(self, timing: Timing) -> float:
        """How much longer than `timing.land_within_s` the fault may take to land, in seconds."""
        return 0.0

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Inject the fault and return what was done, in words. The undo-log entry is already on disk.

        timing: for a fault that waits between two changes; it is no part of the entry.
        """
        raise NotImplementedError

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Observe the fault through another channel than `inject` used; HarnessError when that is impossible.

        Without a turn, observe everything: the receipt says whether the fault has landed. With a turn, observe one
        part, a different one each turn: each program run on a node takes processor time from the callers.
        """
        raise NotImplementedError

    @property
    def signer(self) -> str:
        """Key id of the issuer that the fault installs, for the checks; "" for none."""
        return ""

    def is_over(self) -> bool:
        """Return whether the fault is complete by itself, so that nothing is left to hold."""
        return False


class BaseFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """A fault as a drill requests it: what is done, to which role, on which node, and for how long."""

    hold_s: float
    role: Role | None = None  # None for a target outside the mesh
    node: str = ""  # the node's part in the lab's placement; "" for a fault of no single node

    breaks: ClassVar[bool] = True
    """Whether it breaks something. False for the method of a no-fault control."""
    takes_api: ClassVar[bool] = False
    """Whether the Kubernetes API is unreachable during the fault, so that failed requests are expected."""
    ends_pods: ClassVar[bool] = False
    """Whether the fault ends every program on its node, including the lab's, whose logs then break off."""

    @property
    def kind(self) -> str:
        """The tag of the class in an experiment."""
        return str(self.__struct_config__.tag)

    @property
    def variant(self) -> str:
        """A word that distinguishes two faults of one kind, "" where role and node do."""
        return ""

    @property
    def title(self) -> str:
        """The fault's name in events and messages."""
        where = f"on {self.node}" if self.role and self.node else self.node
        words = (self.kind, self.role.value if self.role else "", self.variant, where)
        return " ".join(word for word in words if word)

    def component(self, mesh: Mesh) -> Component:
        """Return the mesh's component of the role; UsageError when the mesh has none."""
        if self.role is None:
            raise UsageError(f"{self.title} names no role of the mesh; it needs one.")
        found = mesh.component(self.role)
        if found is None:
            raise UsageError(f"{mesh.title} has no {self.role.value}: the drill must say @requires({self.role!s}).")
        return found

    def demand(self, mesh: Mesh) -> None:
        """Raise UsageError when the mesh lacks the fault's role."""
        if self.role is not None:
            self.component(mesh)

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> PreparedFault:
        """Inspect the healthy cluster and return the prepared fault; changes nothing.

        Raises UsageError for a fault that this mesh or cluster does not support, HarnessError when the cluster is not
        healthy.
        """
        raise NotImplementedError


def prepare(fault: BaseFault, cluster: Cluster, mesh: Mesh, run_id: str) -> PreparedFault:
    """Return the prepared fault. Raises as `resolve` does.

    Raises HarnessError, too, when the observer already reports the fault: then its receipt would prove nothing.
    """
    prepared = fault.resolve(cluster, mesh, run_id)
    if not fault.breaks:  # then its receipt says that nothing is broken, which is true already
        return prepared
    seen = prepared.receipt(cluster)
    if seen.landed:
        raise HarnessError(
            f"Before {fault.title} its observer ({seen.observer}) already reports it as landed: {seen.evidence}. "
            "Its receipt would prove nothing; check the component's process name and port in the mesh's facts."
        )
    return prepared


class ComponentFault(PreparedFault, kw_only=True):
    """The base of prepared faults of one component. The revert is verified when all replicas are ready again."""

    component: Component
    replicas: int

    def __post_init__(self) -> None:
        """Reject unprintable or overlong fields: they reach commands and terminals."""
        if not all(_PLAIN.fullmatch(text) for text in astuple(self.component) if isinstance(text, str)):
            raise ValueError("the component's fields are printable ASCII of at most 512 characters")

    @property
    def title(self) -> str:
        """The component's workload, for messages."""
        return f"{self.component.kind} {self.component.namespace}/{self.component.name}"

    @property
    def subject(self) -> str:
        """As many replicas are ready as before."""
        return f"{self.title} with {self.replicas} ready"

    def counted(self, cluster: Cluster, ready: int) -> Receipt:
        """Return whether Kubernetes wants as many replicas as before and counts that many ready."""
        wanted, found = cluster.kube.replicas(self.component)
        words = f"Kubernetes wants {wanted} and counts {found} ready; wanted before: {self.replicas}"
        return Receipt((wanted, found) == (self.replicas, ready), "Kubernetes API", words)

    def found(self, cluster: Cluster, node: str = "") -> tuple[Process, ...]:
        """Return the component's processes, on one node if one is named; HarnessError when there is none."""
        nodes = (node,) if node else cluster.nodes
        found = tuple(it for name in nodes for it in process_table.find_on(cluster, name, self.component))
        if not found:
            where = f"Node {node} runs no" if node else "No node runs a"
            raise HarnessError(f"{where} process {self.component.process!r} of {self.title}.")
        return found

    def revert(self, cluster: Cluster) -> None:
        """Do nothing: the component's own controller brings it back."""

    def reverted(self, cluster: Cluster) -> str:
        """Return how many replicas are not ready, or which process is still stopped; "" for neither."""
        desired, ready = cluster.kube.replicas(self.component)
        if not desired == ready == self.replicas:
            return f"{self.title} has {ready} of {desired} replicas ready; expected {self.replicas}"
        # Last because it costs most: a program on every node.
        stopped = [it.pid for it in process_table.find(cluster, self.component) if it.is_stopped]
        return f"processes {stopped} of {self.component.name} are still stopped (state T)" if stopped else ""


def healthy(cluster: Cluster, component: Component, title: str) -> int:
    """Return the number of replicas; HarnessError unless all of them are ready.

    title: of the fault, for the message.
    """
    desired, ready = cluster.kube.replicas(component)
    if desired < 1 or ready != desired:
        raise HarnessError(
            f"{title} needs a healthy {component.kind} {component.namespace}/{component.name}; it has "
            f"{ready} of {desired} replicas ready. Wait for it, or reinstall the mesh."
        )
    return desired
