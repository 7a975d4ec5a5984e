"""`make_unavailable`: no pod of a component can exist, while Kubernetes still wants all of them.

The API server refuses the pods (see pod_refusal.py), then the existing ones are deleted.
"""

from collections.abc import Callable
from typing import Any

from clusters.cluster import Cluster
from clusters.model import Component, Mesh, Role
from drills.run.faults.base import BaseFault, Receipt, both
from drills.run.faults.pod_refusal import GRACE_S, POLICY, PodRefusal
from drills.run.faults.views import workload
from drills.run.faults.workload import Absent
from drills.run.timing import Timing


class MakeUnavailable(BaseFault, tag="make-unavailable", frozen=True, kw_only=True):
    """Let no pod of a role exist, without a change of its workload."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "MadeUnavailable":
        """Read the selector of the role's workload."""
        return made_unavailable(cluster, self.component(mesh), run_id, self.title)


class MadeUnavailable(Absent, tag="make-unavailable", kw_only=True):
    """Pods refused at creation; observed in the process tables, by TCP, and by the counts that Kubernetes reports."""

    selector: dict[str, Any]  # a LabelSelector

    @property
    def refusal(self) -> PodRefusal:
        """What the API server refuses."""
        return PodRefusal(self.component, self.selector)

    @property
    def subject(self) -> str:
        """The pods can be created, and all are ready."""
        return f"pods of {self.title} admitted again, {self.replicas} ready"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Create the policy, wait until it is enforced, and delete the existing pods."""
        self.refusal.enforce(cluster, timing)
        pods = cluster.kube.pods(self.component.namespace, self.component.selector)
        names = [str(pod["metadata"]["name"]) for pod in pods]
        for name in names:
            answer = cluster.kube.delete_pod(self.component.namespace, name, grace_s=GRACE_S)
            answer.demand(f"Deleting pod {name} of {self.title}")
        return f"{POLICY} {self.refusal.name} refuses the pods of {self.title}; deleted: {', '.join(names)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no process, no reply, and Kubernetes wants as many pods as before and counts none of them ready."""
        seen = super().receipt(cluster, turn)
        return both(seen, self.counted(cluster, 0)) if turn is None else seen

    def looks(self, cluster: Cluster) -> list[Callable[[], Receipt]]:
        """Add the counts to the observations of an absent component."""
        return [*super().looks(cluster), lambda: self.counted(cluster, 0)]

    def revert(self, cluster: Cluster) -> None:
        """Delete the policy, and make the controllers retry once it is out of force; HarnessError until then."""
        self.refusal.lift(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return that the policy exists, or how many replicas are not ready; "" for neither."""
        return self.refusal.left(cluster) or super().reverted(cluster)


def made_unavailable(cluster: Cluster, component: Component, run_id: str, title: str) -> MadeUnavailable:
    """Return the fault for a component; HarnessError when it is not healthy."""
    selector = workload(cluster, component)["spec"]["selector"]
    return MadeUnavailable.of(cluster, component, run_id, title, selector=selector)


def make_unavailable(role: Role, *, hold_s: float = 30.0) -> MakeUnavailable:
    """Let no pod of the role exist until the undo, with the desired count unchanged: Kubernetes reports the loss."""
    return MakeUnavailable(role=role, hold_s=hold_s)
