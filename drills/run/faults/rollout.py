"""Every pod of a component replaced by a new one, in the order and at the pace that its own controller keeps.

It is what an upgrade does, without the new version: the pod template gets an annotation, as by `kubectl rollout
restart`. The fault lands with the first process that is gone, and has run its course when the last one is. The undo
is to await the end: it is verified only when no process of before is left, so a rollout that stops half-way is never
taken for one that went well.
"""

from datetime import UTC, datetime

from clusters.cluster import Cluster
from clusters.model import Component
from clusters.runtime import UsageError
from drills.run.faults import processes
from drills.run.faults.injury import TABLES, Hurt, Receipt
from drills.run.faults.views import unsettled, workload
from drills.run.undo_entry import Undo

_STAMP = "kubectl.kubernetes.io/restartedAt"  # the one that people's own restarts leave


class RollingRestart(Hurt):
    """Restarted by its controller; seen in the process tables: the processes of before go, others come."""

    land_extra_s = 90.0  # a Deployment starts the successor first, and the first pod to go has its grace period

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        if workload(cluster, component)["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
            raise UsageError(f"rolling-restart: {self._title} replaces no pod by itself (OnDelete). Use kill.")
        found = self._found()
        self._old = {node: _pods(found, node) for node in cluster.nodes}  # pods whose process was last seen there
        self._count = len({process.pod_uid for process in found})
        self._stamp = datetime.now(UTC).isoformat(timespec="microseconds")

    def undo(self, run_id: str) -> Undo:
        """Wait until the restart is complete."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="await-rollout",
            subject=f"{self._title} with {self._replicas} ready and no pod of before",
            component=self._component,
            replicas=self._replicas,
            pods=tuple(sorted(frozenset().union(*self._old.values()))),
            stamp=self._stamp,
        )

    def inject(self) -> str:
        """Change the pod template."""
        self._cluster.kube.patch(
            {
                "apiVersion": "apps/v1",
                "kind": self._component.kind,
                "metadata": {"name": self._component.name, "namespace": self._component.namespace},
                "spec": {"template": {"metadata": {"annotations": {_STAMP: self._stamp}}}},
            }
        )
        return f"{self._title} told to replace its {self._count} pods one after the other"

    def observe(self) -> Receipt:
        """Landed: at least one process of before is gone."""
        return self._look(*self._cluster.nodes)

    def glance(self, turn: int) -> Receipt | None:
        """Look at one node for pods of before; nothing to look for once all are gone."""
        due = [node for node in self._cluster.nodes if self._old[node]]
        return self._look(due[turn % len(due)]) if due else None

    def is_over(self) -> bool:
        """Tell whether no process of before was seen at the last look."""
        return not any(self._old.values())

    def _look(self, *nodes: str) -> Receipt:
        fresh = 0
        for node in nodes:
            now = _pods(processes.find_on(self._cluster, node, self._component), node)
            fresh += len(now - self._old[node])
            self._old[node] &= now  # a pod that went does not come back
        left = sum(map(len, self._old.values()))
        words = f"old processes: {left} of {self._count}; new on {', '.join(nodes)}: {fresh}"
        return Receipt(left < self._count, TABLES, words, momentary=True)


def incomplete(cluster: Cluster, undo: Undo) -> str:
    """Say what a restart still lacks, "" when every pod is a new one and ready.

    An entry whose restart was never asked for lacks nothing: no pod of before is gone.
    """
    component = undo.target
    annotations = workload(cluster, component)["spec"]["template"].get("metadata", {}).get("annotations") or {}
    left = {process.pod_uid for process in processes.find(cluster, component)} & set(undo.pods)
    is_begun = annotations.get(_STAMP) == undo.stamp or len(left) < len(undo.pods)
    if is_begun and left:
        return (
            f"{len(left)} of {len(undo.pods)} pods of {component.namespace}/{component.name} are still those of before"
        )
    return unsettled(cluster, component)


def _pods(found: tuple[processes.Process, ...], node: str) -> frozenset[str]:
    return frozenset(process.pod_uid for process in found if process.node == node)
