"""`rolling_restart`: the controller replaces every pod, in its own order and at its own pace.

This is an upgrade without a new version: the pod template gets an annotation, as from `kubectl rollout restart`. The
fault lands when the first old process is gone, and is complete when the last one is. The revert waits for the end: it
is verified only when no process of the old pods is left, so a rollout that stops half-way never counts as complete.
"""

from datetime import UTC, datetime

import msgspec

from clusters.cluster import Cluster
from clusters.model import Mesh, Role
from clusters.runtime import UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.process_table import Process
from drills.run.faults.views import unsettled, workload
from drills.run.timing import Timing
from drills.run.undo_entry import Name, ObjectRef, Patch

_STAMP = "kubectl.kubernetes.io/restartedAt"  # the annotation of `kubectl rollout restart`


class RollingRestart(BaseFault, tag="rolling-restart", frozen=True, kw_only=True):
    """Make a role's controller replace every pod, one after the other."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Restarted":
        """Find the running pods; UsageError when the controller replaces none by itself."""
        component = self.component(mesh)
        restarted = Restarted(
            run_id=run_id,
            component=component,
            replicas=healthy(cluster, component, self.title),
            old={},
            stamp=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        if workload(cluster, component)["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
            raise UsageError(f"rolling-restart: {restarted.title} replaces no pod by itself (OnDelete). Use kill.")
        found = restarted.found(cluster)
        restarted.old = {node: _pods(found, node) for node in cluster.nodes}
        restarted.left = dict(restarted.old)
        return restarted


class Restarted(ComponentFault, tag="rolling-restart", kw_only=True):
    """Pods replaced by their controller; observed in the process tables: the old processes disappear."""

    old: dict[Name, frozenset[Name]]  # node -> UIDs of the pods to replace
    stamp: str
    left: dict[Name, frozenset[Name]] = msgspec.field(default_factory=dict)  # old pods in the last observations

    def land_extra_s(self, timing: Timing) -> float:
        """A Deployment starts the new pod first, and the first old pod has its grace period."""
        return timing.rollout_begins_extra_s

    @property
    def subject(self) -> str:
        """Every pod is new and ready."""
        return f"{self.title} with {self.replicas} ready and no old pod"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which old pods ran."""
        return tuple(self.old)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Change the pod template."""
        ref = ObjectRef("apps/v1", self.component.kind, self.component.name, self.component.namespace)
        Patch(ref, {"spec": {"template": {"metadata": {"annotations": {_STAMP: self.stamp}}}}}).apply(cluster)
        return f"{self.title} to replace its {self._count(self.old)} pods one after the other"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: at least one old process is gone. A turn is one node that still had some."""
        if turn is None:
            return self._look(cluster, *cluster.nodes)
        due = [node for node in cluster.nodes if self.left.get(node)]
        return self._look(cluster, due[turn % len(due)]) if due else self._look(cluster)

    def is_over(self) -> bool:
        """Return whether the last observations found no old process."""
        return not self._count(self.left)

    def reverted(self, cluster: Cluster) -> str:
        """Return what the restart still lacks, "" for nothing; a restart that never began lacks nothing."""
        annotations = workload(cluster, self.component)["spec"]["template"].get("metadata", {}).get("annotations") or {}
        old = frozenset().union(*self.old.values())
        left = {process.pod_uid for process in process_table.find(cluster, self.component)} & old
        is_begun = annotations.get(_STAMP) == self.stamp or len(left) < len(old)
        if is_begun and left:
            return f"{len(left)} of {len(old)} old pods of {self.title} still run"
        return unsettled(cluster, self.component) or super().reverted(cluster)

    def _look(self, cluster: Cluster, *nodes: str) -> Receipt:
        fresh = 0
        for node in nodes:
            now = _pods(process_table.find_on(cluster, node, self.component), node)
            fresh += len(now - self.old.get(node, frozenset()))
            self.left[node] = self.left.get(node, frozenset()) & now  # a pod that is gone does not come back
        left, count = self._count(self.left), self._count(self.old)
        words = f"old processes: {left} of {count}; new on {', '.join(nodes) or 'no node'}: {fresh}"
        return Receipt(left < count, TABLES, words, momentary=True)

    @staticmethod
    def _count(pods: dict[str, frozenset[str]]) -> int:
        return sum(map(len, pods.values()))


def rolling_restart(role: Role, *, hold_s: float = 120.0) -> RollingRestart:
    """Make the role's controller replace every pod, one after the other; the hold ends with the last, or after hold_s.

    The undo waits for a restart that is not complete by then, and the fault's phase lasts until it is.
    """
    return RollingRestart(role=role, hold_s=hold_s)


def _pods(found: tuple[Process, ...], node: str) -> frozenset[str]:
    return frozenset(process.pod_uid for process in found if process.node == node)
