"""`scale_to_zero` and `delete_workload`: the component is no longer wanted, so none of its processes run."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

from clusters.cluster import Cluster
from clusters.model import Component, Mesh, Role
from clusters.runtime import UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, TCP, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.process_table import Process
from drills.run.faults.tcp import Answer, ask
from drills.run.faults.views import service_address, unsettled, workload
from drills.run.timing import Timing
from drills.run.undo_entry import Name, ObjectRef


class Absent(ComponentFault, kw_only=True):
    """A component without a running process; observed in the nodes' process tables, and by TCP from a node."""

    address: Name  # of its Service, "" for none
    order: tuple[Name, ...]  # all nodes, those with a process first

    @classmethod
    def of(cls, cluster: Cluster, component: Component, run_id: str, title: str, **more: Any) -> Self:  # noqa: ANN401 - the fields of the subclass
        """Return the fault; HarnessError when the component is not healthy."""
        replicas = healthy(cluster, component, title)
        homes = {process.node for process in process_table.find(cluster, component)}
        return cls(
            run_id=run_id,
            component=component,
            replicas=replicas,
            address=service_address(cluster, component),
            order=tuple(sorted(cluster.nodes, key=lambda node: node not in homes)),
            **more,
        )

    @property
    def nodes(self) -> tuple[str, ...]:
        """The observed nodes."""
        return self.order

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no node runs the process, and nothing replies at its Service. A turn is one node, or the Service."""
        if turn is None:
            return self._everywhere(cluster)
        looks = self.looks(cluster)
        return looks[turn % len(looks)]()

    def looks(self, cluster: Cluster) -> list[Callable[[], Receipt]]:
        """Return the single observations of a receipt."""
        looks: list[Callable[[], Receipt]] = [partial(self._on, cluster, node) for node in self.order]
        return [*looks, lambda: self._words((), (), self._ask(cluster))] if self.address else looks

    def _everywhere(self, cluster: Cluster) -> Receipt:
        for node in self.order:
            seen = self._on(cluster, node)
            if not seen.landed:
                return seen
        return self._words(self.order, (), self._ask(cluster))

    def _on(self, cluster: Cluster, node: str) -> Receipt:
        return self._words((node,), process_table.find_on(cluster, node, self.component), ())

    def _ask(self, cluster: Cluster) -> tuple[Answer, ...]:
        return (ask(cluster, cluster.nodes[0], self.address, self.component.port),) if self.address else ()

    def _words(self, nodes: Sequence[str], alive: Sequence[Process], answers: Sequence[Answer]) -> Receipt:
        landed = not alive and not any(answer.replied for answer in answers)
        found = ", ".join(f"{process.pod} on {process.node} ({process.state})" for process in alive)
        none = f"none on {', '.join(nodes)}"
        words = [f"process {self.component.process!r}: {found or none}"] if nodes else []
        words += [answer.words for answer in answers]
        return Receipt(landed, f"{TABLES}, {TCP}", "; ".join(words))


class ScaleToZero(BaseFault, tag="scale-to-zero", frozen=True, kw_only=True):
    """Set the desired count of a role's workload to 0."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "ScaledToZero":
        """Count the replicas; UsageError for a DaemonSet, which has no desired count of its own."""
        component = self.component(mesh)
        if component.kind == "DaemonSet":
            raise UsageError(
                f"{self.title}: a DaemonSet has no number of replicas to set to zero. Use make_unavailable, "
                "keep_off_node, delete_workload, kill or pause."
            )
        return ScaledToZero.of(cluster, component, run_id, self.title)


class ScaledToZero(Absent, tag="scale-to-zero", kw_only=True):
    """A Deployment or StatefulSet with a desired count of 0."""

    @property
    def subject(self) -> str:
        """The desired count is as before."""
        return f"{self.title} back to {self.replicas}"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Scale to zero."""
        cluster.kube.scale(self.component, 0)
        return f"{self.title} scaled from {self.replicas} to 0"

    def revert(self, cluster: Cluster) -> None:
        """Restore the desired count."""
        cluster.kube.scale(self.component, self.replicas)


class DeleteWorkload(BaseFault, tag="delete-workload", frozen=True, kw_only=True):
    """Delete a role's Deployment, StatefulSet or DaemonSet, and its pods with it."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "DeletedWorkload":
        """Read the workload as it is, so that it can be created again."""
        component = self.component(mesh)
        found = workload(cluster, component)
        kept = {key: found["metadata"].get(key) for key in ("labels", "annotations")}
        metadata = {key: value for key, value in kept.items() if value}
        return DeletedWorkload.of(cluster, component, run_id, self.title, metadata=metadata, spec=found["spec"])


class DeletedWorkload(Absent, tag="delete-workload", kw_only=True):
    """A deleted workload; observed like one that was scaled to zero.

    An agent whose DaemonSet is gone may clean up its node, which it does not do when only its pod is deleted.
    """

    metadata: dict[str, dict[str, str]]
    spec: dict[str, Any]

    @property
    def subject(self) -> str:
        """The workload exists."""
        return f"{self.title} created again"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Delete the workload."""
        self._ref.delete(cluster)
        return f"{self.title} deleted"

    def revert(self, cluster: Cluster) -> None:
        """Create the workload as it was, unless it exists."""
        if self._ref.find(cluster) is None:
            address = self._ref.manifest
            manifest = {**address, "metadata": {**self.metadata, **address["metadata"]}, "spec": self.spec}
            cluster.kube.create(manifest).demand(f"Creating {self.title}")

    def reverted(self, cluster: Cluster) -> str:
        """Return what the controller has not done yet, "" for nothing."""
        return unsettled(cluster, self.component) or super().reverted(cluster)

    @property
    def _ref(self) -> ObjectRef:
        return ObjectRef("apps/v1", self.component.kind, self.component.name, self.component.namespace)


def scale_to_zero(role: Role, *, hold_s: float = 30.0) -> ScaleToZero:
    """Set the desired count to 0 until the undo. Meanwhile no alert on missing replicas can fire."""
    return ScaleToZero(role=role, hold_s=hold_s)


def delete_workload(role: Role, *, hold_s: float = 30.0) -> DeleteWorkload:
    """Delete the role's workload until the undo; its pods may take that for an uninstallation."""
    return DeleteWorkload(role=role, hold_s=hold_s)
