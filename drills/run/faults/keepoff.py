"""A node agent that leaves one node and stays away, while its fellows on the other nodes are not touched.

How: one change of the DaemonSet says at once "only where this label is" (a node selector, by a label that every node
but that one carries) and "replace no pod on account of this change" (update strategy OnDelete). Its controller
removes the pod that no longer belongs, and only that one. Other ways touch more. A taint is tolerated by every agent
worth the name. A label that the pods ask for already (kubernetes.io/os) is asked for by every other DaemonSet, too,
so the node would lose more than the agent. A changed template without OnDelete restarts the agents of all nodes one
after the other. Deleting the pod brings a successor within a second. And a node affinity is read by the agents, too:
one of them takes an affinity that leaves its node out for its own removal, and uninstalls its CNI plugin as it goes,
which is the fault `remove` and not this one.

The undo puts both fields back in one change. The template is then, byte for byte, the one of before, so that the pods
on the other nodes count as up to date and stay. The receipts look for exactly that: the same process in the same pod.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

from clusters.cluster import Cluster, elsewhere
from clusters.kube import Json
from clusters.model import Component
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import processes
from drills.run.faults.injury import TABLES, Hurt, Receipt
from drills.run.faults.views import workload
from drills.run.placement import find_node
from drills.run.undo_entry import Undo

Leaders = dict[str, int]
"""Pod UID -> the lowest process id in it: while both stay, neither the pod nor its program started anew."""


class KeepOff(Hurt):
    """Kept off one node by its own controller; seen in the process tables of that node and of all others."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int, part: str) -> None:
        super().__init__(cluster, component, replicas)
        if component.kind != "DaemonSet":
            raise UsageError(f"keep-off needs one pod per node, and {self._title} is no DaemonSet. Use stop.")
        self._node = node = find_node(cluster, part)
        _demand_labels(cluster, part, node)
        self._order = sorted(cluster.nodes, key=lambda other: other != node)  # the victim first
        self._before = {other: self._leaders(other) for other in cluster.nodes}
        homes = {other for other, leaders in self._before.items() if leaders}
        if node not in homes or len(homes) == 1:
            raise HarnessError(
                f"keep-off needs {self._title} on node {node} and on another one; its process {component.process!r} "
                f"runs on {', '.join(sorted(homes)) or 'no node'}."
            )
        spec: Json = workload(cluster, component)["spec"]
        self._there = changes(spec, without(spec, part))
        self._back = changes(without(spec, part), spec)

    def undo(self, run_id: str) -> Undo:
        """Put node selector and update strategy back."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="patch",
            subject=f"{self._title} back on node {self._node}",
            component=self._component,
            replicas=self._replicas,
            manifest=self._manifest(self._back),
        )

    def inject(self) -> str:
        """Change both fields at once."""
        self._cluster.kube.patch(self._manifest(self._there))
        return f"{self._title} kept off node {self._node}"

    def observe(self) -> Receipt:
        """Landed: no process of the agent on the node, and on every other node the same one as before."""
        return self._look(self._order)

    def glance(self, turn: int) -> Receipt | None:
        """Look at one node."""
        return self._look((self._order[turn % len(self._order)],))

    def _look(self, nodes: Sequence[str]) -> Receipt:
        seen = {node: self._leaders(node) for node in nodes}
        landed = all(leaders == self._meant(node) for node, leaders in seen.items())
        words = [f"{node}: {self._words(node, leaders)}" for node, leaders in seen.items()]
        return Receipt(landed, TABLES, f"process {self._component.process!r}: {'; '.join(words)}")

    def _meant(self, node: str) -> Leaders:
        return {} if node == self._node else self._before[node]

    def _words(self, node: str, leaders: Leaders) -> str:
        found = f"pid {', '.join(map(str, leaders.values()))}" if leaders else "none"
        return found if leaders == self._before[node] or not leaders else f"{found}, another one than before"

    def _leaders(self, node: str) -> Leaders:
        found: Leaders = {}
        for process in processes.find_on(self._cluster, node, self._component):
            found[process.pod_uid] = min(process.pid, found.get(process.pod_uid, process.pid))
        return found

    def _manifest(self, spec: Json) -> Json:
        metadata = {"name": self._component.name, "namespace": self._component.namespace}
        return {"apiVersion": "apps/v1", "kind": self._component.kind, "metadata": metadata, "spec": spec}


def without(spec: Json, part: str) -> Json:
    """Return a DaemonSet's spec that leaves that part's node out and does not replace the pods on the others."""
    found = deepcopy(spec)
    found["updateStrategy"] = {"type": "OnDelete"}
    pod = found["template"]["spec"]
    pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), elsewhere(part): ""}
    return found


def _demand_labels(cluster: Cluster, part: str, node: str) -> None:
    label = elsewhere(part)
    found = {str(other["metadata"]["name"]) for other in cluster.kube.find("v1", "Node", selector=label)}
    if found != set(cluster.nodes) - {node}:
        raise HarnessError(
            f"Label {label} is on {', '.join(sorted(found)) or 'no node'} of {cluster.name}; expected on every node "
            f"but {node}. Make the cluster anew, or label its nodes."
        )


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> Json:
    """Return the merge patch (RFC 7386) that makes `after` of `before`; harmless to what is as `after` already."""
    found: Json = dict.fromkeys(key for key in before if key not in after)
    for key, value in after.items():
        old = before.get(key)
        if old != value:
            found[key] = changes(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found
