"""`keep_off_node`: removes a node agent from one node and keeps it away; its pods on other nodes are unchanged.

How: one patch of the DaemonSet sets a node selector, with a label that every other node has, and the update strategy
OnDelete, which replaces no pod because of the patch. The controller then removes the pod on the excluded node, and only
that one. Alternatives do more harm or nothing. Node agents tolerate every taint. Other DaemonSets select by the labels
that the pods select by already (kubernetes.io/os), so the node would lose more than the agent. A changed template
without OnDelete restarts the agents of all nodes one after the other. A deleted pod is replaced within a second. And
agents read a node affinity: one of them takes an affinity that excludes its node for its own removal, and uninstalls
its CNI plugin when it ends, which is the fault `delete_workload`.

The revert restores both fields in one patch. The template is then byte for byte the old one, so the pods on the other
nodes count as up to date and stay. The receipts check exactly that: the same process in the same pod.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from clusters.cluster import Cluster, elsewhere, find_node
from clusters.kube import Json
from clusters.model import VICTIM, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.views import unsettled, workload
from drills.run.timing import Timing
from drills.run.undo_entry import Name, ObjectRef, Patch

Leaders = dict[str, int]
"""Pod UID -> its lowest process id: while both are the same, neither the pod nor its program has restarted."""


class KeepOffNode(BaseFault, tag="keep-off-node", frozen=True, kw_only=True):
    """Keep a role's pod off one node."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "KeptOffNode":
        """Find the processes on every node, and compute the two patches of the DaemonSet."""
        component = self.component(mesh)
        replicas = healthy(cluster, component, self.title)
        if component.kind != "DaemonSet":
            raise UsageError(
                f"{self.title} needs one pod on each node, and {component.kind} {component.namespace}/{component.name} "
                "is not a DaemonSet. Use make_unavailable."
            )
        node = find_node(cluster, self.node)
        _demand_labels(cluster, self.node, node)
        spec: Json = workload(cluster, component)["spec"]
        kept = KeptOffNode(
            run_id=run_id,
            component=component,
            replicas=replicas,
            node=node,
            leaders={},
            away=changes(spec, without(spec, self.node)),
            back=changes(without(spec, self.node), spec),
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
    """An agent kept off one node by its own controller; observed in the process tables of all nodes."""

    node: Name
    leaders: dict[Name, Leaders]  # node -> its processes before the fault
    away: dict[str, Any]  # merge patch of the specification
    back: dict[str, Any]

    @property
    def subject(self) -> str:
        """The agent runs on the node."""
        return f"{self.title} back on node {self.node}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The observed nodes."""
        return (self.node, *self.leaders)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Set both fields in one patch."""
        self._patch(cluster, self.away)
        return f"{self.title} kept off node {self.node}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no process of the agent on the node, and the same one as before on every other. A turn is a node."""
        order = sorted(cluster.nodes, key=lambda other: other != self.node)
        return self._look(cluster, order if turn is None else (order[turn % len(order)],))

    def revert(self, cluster: Cluster) -> None:
        """Restore node selector and update strategy."""
        self._patch(cluster, self.back)

    def reverted(self, cluster: Cluster) -> str:
        """Return what the controller has not done yet, "" for nothing."""
        return unsettled(cluster, self.component) or super().reverted(cluster)

    def found_on(self, cluster: Cluster, node: str) -> Leaders:
        """Return the agent's processes on a node."""
        found: Leaders = {}
        for process in process_table.find_on(cluster, node, self.component):
            found[process.pod_uid] = min(process.pid, found.get(process.pod_uid, process.pid))
        return found

    def _patch(self, cluster: Cluster, spec: Json) -> None:
        ref = ObjectRef("apps/v1", self.component.kind, self.component.name, self.component.namespace)
        Patch(ref, {"spec": spec}).apply(cluster)

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


def without(spec: Json, part: str) -> Json:
    """Return a DaemonSet's spec that excludes the part's node and does not replace the pods on the others."""
    found = deepcopy(spec)
    found["updateStrategy"] = {"type": "OnDelete"}
    pod = found["template"]["spec"]
    pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), elsewhere(part): ""}
    return found


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> Json:
    """Return the merge patch (RFC 7386) that turns `before` into `after`; harmless if applied twice."""
    found: Json = dict.fromkeys(key for key in before if key not in after)
    for key, value in after.items():
        old = before.get(key)
        if old != value:
            found[key] = changes(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def keep_off_node(role: Role, node: str = VICTIM, *, hold_s: float = 30.0) -> KeepOffNode:
    """Remove the role's pod from one node and keep it away until the undo; its pods on other nodes are unchanged."""
    return KeepOffNode(role=role, node=node, hold_s=hold_s)


def _demand_labels(cluster: Cluster, part: str, node: str) -> None:
    label = elsewhere(part)
    found = {str(other["metadata"]["name"]) for other in cluster.kube.find("v1", "Node", selector=label)}
    if found != set(cluster.nodes) - {node}:
        raise HarnessError(
            f"Label {label} is on {', '.join(sorted(found)) or 'no node'} of {cluster.name}; expected on every node "
            f"but {node}. Create the cluster again, or label its nodes."
        )
