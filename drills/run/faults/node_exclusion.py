"""`keep_off_node`: a node agent leaves one node and stays away, and its pods on the other nodes are not touched.

How: one change of the DaemonSet says at once "only where this label is" (a node selector, by a label that every other
node carries) and "replace no pod on account of this change" (update strategy OnDelete). Its controller removes the pod
that no longer belongs, and only that one. Other ways touch more. A taint is tolerated by every node agent. A label that
the pods ask for already (kubernetes.io/os) is asked for by every other DaemonSet, too, so the node would lose more than
the agent. A changed template without OnDelete restarts the agents of all nodes one after the other. A deleted pod has a
successor within a second. And a node affinity is read by the agents, too: one of them takes an affinity that leaves its
node out for its own removal, and uninstalls its CNI plugin as it goes, which is the fault `delete_workload`.

Reverting puts both fields back in one change. The template is then, byte for byte, the old one, so the pods on the
other nodes count as up to date and stay. The receipts look for exactly that: the same process in the same pod.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from clusters.cluster import Cluster, elsewhere
from clusters.kube import Json
from clusters.model import VICTIM, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.views import unsettled, workload
from drills.run.placement import find_node
from drills.run.undo_entry import Name, ObjectRef, Patch

Leaders = dict[str, int]
"""Pod UID -> the lowest process id in it: while both stay, neither the pod nor its program started anew."""


class KeepOffNode(BaseFault, tag="keep-off-node", frozen=True, kw_only=True):
    """Keep a role's pod off one node."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "KeptOffNode":
        """Find the processes on every node, and the two changes of the DaemonSet."""
        component = self.component(mesh)
        replicas = healthy(cluster, component, self.title)
        if component.kind != "DaemonSet":
            raise UsageError(
                f"{self.title} needs one pod on each node, and {component.kind} {component.namespace}/{component.name} "
                "is no DaemonSet. Use make_unavailable."
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
    """An agent kept off one node by its own controller; seen in the process tables of that node and of all others."""

    node: Name
    leaders: dict[Name, Leaders]  # node -> its processes before
    away: dict[str, Any]  # what is merged into the specification
    back: dict[str, Any]

    @property
    def subject(self) -> str:
        """The agent is on the node."""
        return f"{self.title} back on node {self.node}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are looked at."""
        return (self.node, *self.leaders)

    def inject(self, cluster: Cluster) -> str:
        """Change both fields at once."""
        self._patch(cluster, self.away)
        return f"{self.title} kept off node {self.node}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no process of the agent on the node, and the same one as before on every other. A turn is a node."""
        order = sorted(cluster.nodes, key=lambda other: other != self.node)
        return self._look(cluster, order if turn is None else (order[turn % len(order)],))

    def revert(self, cluster: Cluster) -> None:
        """Put node selector and update strategy back."""
        self._patch(cluster, self.back)

    def reverted(self, cluster: Cluster) -> str:
        """Say what its controller has not done yet."""
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
        return found if leaders == self.leaders[node] or not leaders else f"{found}, another one than before"


def without(spec: Json, part: str) -> Json:
    """Return a DaemonSet's spec that leaves that part's node out and does not replace the pods on the others."""
    found = deepcopy(spec)
    found["updateStrategy"] = {"type": "OnDelete"}
    pod = found["template"]["spec"]
    pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), elsewhere(part): ""}
    return found


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> Json:
    """Return the merge patch (RFC 7386) that makes `after` of `before`; harmless to what is as `after` already."""
    found: Json = dict.fromkeys(key for key in before if key not in after)
    for key, value in after.items():
        old = before.get(key)
        if old != value:
            found[key] = changes(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def keep_off_node(role: Role, node: str = VICTIM, *, hold_s: float = 30.0) -> KeepOffNode:
    """Take the role's pod off one node and keep it away until the undo; its pods on other nodes are not touched."""
    return KeepOffNode(role=role, node=node, hold_s=hold_s)


def _demand_labels(cluster: Cluster, part: str, node: str) -> None:
    label = elsewhere(part)
    found = {str(other["metadata"]["name"]) for other in cluster.kube.find("v1", "Node", selector=label)}
    if found != set(cluster.nodes) - {node}:
        raise HarnessError(
            f"Label {label} is on {', '.join(sorted(found)) or 'no node'} of {cluster.name}; expected on every node "
            f"but {node}. Make the cluster anew, or label its nodes."
        )
