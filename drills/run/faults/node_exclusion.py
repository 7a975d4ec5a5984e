"""`keep_off_node`: removes a node agent from one node and keeps it away; its pods on other nodes are unchanged.

The API server refuses the agent's pod for that node (see pod_refusal.py), then the existing one is deleted. At once: an
agent that drains for its grace period is still counted as ready, although it serves nothing new. The DaemonSet is
unchanged: Kubernetes wants the agent on as many nodes as before, and an alert that counts the ready ones may fire, as
after a real loss. The receipts check that, and that the same process runs in the same pod on every other node.
"""

from collections.abc import Sequence
from typing import Any

from clusters.cluster import Cluster, find_node
from clusters.model import VICTIM, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, BaseFault, ComponentFault, Receipt, both, healthy
from drills.run.faults.pod_refusal import GRACE_S, POLICY, PodRefusal
from drills.run.faults.views import workload
from drills.run.timing import Timing
from drills.run.undo_entry import Name

Leaders = dict[str, int]
"""Pod UID -> its lowest process id: while both are the same, neither the pod nor its program has restarted."""


class KeepOffNode(BaseFault, tag="keep-off-node", frozen=True, kw_only=True):
    """Keep a role's pod off one node."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "KeptOffNode":
        """Find the processes on every node, and read the selector of the DaemonSet."""
        component = self.component(mesh)
        replicas = healthy(cluster, component, self.title)
        if component.kind != "DaemonSet":
            raise UsageError(
                f"{self.title} needs one pod on each node, and {component.kind} {component.namespace}/{component.name} "
                "is not a DaemonSet. Use make_unavailable."
            )
        node = find_node(cluster, self.node)
        kept = KeptOffNode(
            run_id=run_id,
            component=component,
            replicas=replicas,
            node=node,
            leaders={},
            selector=workload(cluster, component)["spec"]["selector"],
        )
        kept.leaders = {other: kept.found_on(cluster, other) for other in cluster.nodes}
        homes = {other for other, leaders in kept.leaders.items() if leaders}
        if node not in homes or len(homes) == 1:
            raise HarnessError(
                f"{self.title} needs {kept.title} on node {node} and on another one; its process "
                f"{component.process!r} runs on {', '.join(sorted(homes)) or 'no node'}."
            )
        return kept


class KeptOffNode(ComponentFault, tag="keep-off-node", kw_only=True):
    """An agent refused on one node; observed in the process tables of all nodes, and by the counts of Kubernetes."""

    node: Name
    leaders: dict[Name, Leaders]  # node -> its processes before the fault
    selector: dict[str, Any]  # of the DaemonSet, a LabelSelector

    @property
    def refusal(self) -> PodRefusal:
        """What the API server refuses."""
        return PodRefusal(self.component, self.selector, self.node)

    @property
    def subject(self) -> str:
        """The agent runs on the node."""
        return f"{self.title} back on node {self.node}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The observed nodes."""
        return (self.node, *self.leaders)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Create the policy, wait until it is enforced, and delete the agent's pod on the node."""
        self.refusal.enforce(cluster, timing)
        for pod in cluster.kube.pods(self.component.namespace, self.component.selector):
            if pod["spec"]["nodeName"] == self.node:
                name = str(pod["metadata"]["name"])
                answer = cluster.kube.delete_pod(self.component.namespace, name, grace_s=GRACE_S)
                answer.demand(f"Deleting pod {name} of {self.title}")
        return f"{POLICY} {self.refusal.name} keeps {self.title} off node {self.node}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no process of the agent on the node, the same one as before on every other, and one pod is missing.

        A turn is a node, or the counts.
        """
        order = sorted(cluster.nodes, key=lambda other: other != self.node)
        if turn is None:
            return both(self._look(cluster, order), self.counted(cluster, self.replicas - 1))
        at = turn % (len(order) + 1)
        return self.counted(cluster, self.replicas - 1) if at == len(order) else self._look(cluster, (order[at],))

    def revert(self, cluster: Cluster) -> None:
        """Delete the policy, and make the controller retry once it is out of force; HarnessError until then."""
        self.refusal.lift(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return that the policy exists, or how many agents are not ready; "" for neither."""
        return self.refusal.left(cluster) or super().reverted(cluster)

    def found_on(self, cluster: Cluster, node: str) -> Leaders:
        """Return the agent's processes on a node."""
        found: Leaders = {}
        for process in process_table.find_on(cluster, node, self.component):
            found[process.pod_uid] = min(process.pid, found.get(process.pod_uid, process.pid))
        return found

    def _look(self, cluster: Cluster, nodes: Sequence[str]) -> Receipt:
        seen = {node: self.found_on(cluster, node) for node in nodes}
        landed = all(leaders == self._meant(node) for node, leaders in seen.items())
        words = [f"{node}: {self._words(node, leaders)}" for node, leaders in seen.items()]
        return Receipt(landed, TABLES, f"process {self.component.process!r}: {'; '.join(words)}")

    def _meant(self, node: str) -> Leaders:
        return {} if node == self.node else self.leaders[node]

    def _words(self, node: str, leaders: Leaders) -> str:
        found = f"pid {', '.join(map(str, leaders.values()))}" if leaders else "none"
        return found if leaders == self.leaders[node] or not leaders else f"{found}, not the one before the fault"


def keep_off_node(role: Role, node: str = VICTIM, *, hold_s: float = 30.0) -> KeepOffNode:
    """Remove the role's pod from one node and keep it away until the undo; its pods on other nodes are unchanged."""
    return KeepOffNode(role=role, node=node, hold_s=hold_s)
