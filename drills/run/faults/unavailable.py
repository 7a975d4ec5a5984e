"""`make_unavailable`: no pod of a component can exist, while Kubernetes still wants all of them.

How: a ValidatingAdmissionPolicy (stable since Kubernetes 1.30) with the expression `false` refuses the creation of each
pod that the workload's own selector matches, in its namespace. Once a dry run shows that the API server enforces it,
after some tenths of a second, the existing pods are deleted with a grace period of 1 s. That is the shortest that a
kubelet obeys: when such a pod is gone from the API, its processes are gone too (with 0 s they might still run). The
workload itself is unchanged. So its desired count (`spec.replicas`, or `desiredNumberScheduled` of a DaemonSet) stays,
no pod is available, and every alert that compares the two may fire, as after a real loss.

Why not otherwise: a desired count of 0 silences exactly those alerts. A changed pod template is a rollout with a new
ReplicaSet. A ResourceQuota affects every other workload of the namespace. A webhook needs a server that the API server
reaches. Node agents tolerate every taint. The policy works for Deployments, DaemonSets and StatefulSets alike; it runs
in the API server, so it needs no pod, no network and no node, and works for a CNI plugin or the mesh's own webhook.
Injection and revert need the API: while it is away, the entry stays in the undo log.

The harness's own footprint, which is no alert of the mesh: Events with reason FailedCreate, and the condition
ReplicaFailure (reason FailedCreate) of the Deployment and its ReplicaSet. Both name the policy,
`meshdrill-unavailable-NAMESPACE-NAME`. After a real loss the pods would exist and be Pending, or crash.

The revert deletes the policy, waits until the API server admits such a pod again (dry run), and then changes an
annotation of the ReplicaSet (or of the DaemonSet or StatefulSet itself). Without the annotation the pods return late: a
controller doubles its wait after each failed creation, up to 1000 s. After an outage of 40 s a ReplicaSet took 29 s
more to retry; an update of the object makes it retry at once. On kind, a Deployment and a DaemonSet were ready again
2 s to 4 s after the revert began, whether they had been unavailable for 30 s or for 240 s.
"""

import time
from collections.abc import Callable
from typing import Any

from clusters.cluster import Cluster
from clusters.kube import Json
from clusters.model import Component, Mesh, Role
from clusters.runtime import HarnessError, wait_until
from drills.run.faults.base import BaseFault, Receipt, both
from drills.run.faults.views import workload
from drills.run.faults.workload import Absent
from drills.run.timing import Timing
from drills.run.undo_entry import ObjectRef, Patch

POLICY = "ValidatingAdmissionPolicy"
BINDING = f"{POLICY}Binding"
NUDGE = "meshdrill/nudge"
_API = "admissionregistration.k8s.io/v1"
_GRACE_S = 1
_TRIED = "meshdrill-asked"


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
    def subject(self) -> str:
        """The pods can be created, and all are ready."""
        return f"pods of {self.title} admitted again, {self.replicas} ready"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Create the policy, wait until it is enforced, and delete the existing pods."""
        for manifest in self._manifests():
            cluster.kube.apply(manifest).demand(f"Creating {manifest['kind']} {self._name}")
        wait_until(
            lambda: self._is_refused(cluster),
            lambda refused: refused,
            what=f"{POLICY} {self._name} in force",
            within_s=timing.policy_in_force_within_s,
            every_s=timing.poll_every_s,
            next_step="Is the API server older than Kubernetes 1.30?",
        )
        names = [str(pod["metadata"]["name"]) for pod in cluster.kube.pods(self.component.namespace, self._labels)]
        for name in names:
            answer = cluster.kube.delete_pod(self.component.namespace, name, grace_s=_GRACE_S)
            answer.demand(f"Deleting pod {name} of {self.title}")
        return f"{POLICY} {self._name} refuses the pods of {self.title}; deleted: {', '.join(names)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: no process, no reply, and Kubernetes wants as many pods as before and counts none of them ready."""
        seen = super().receipt(cluster, turn)
        return both(seen, self._counted(cluster)) if turn is None else seen

    def looks(self, cluster: Cluster) -> list[Callable[[], Receipt]]:
        """Add the counts to the observations of an absent component."""
        return [*super().looks(cluster), lambda: self._counted(cluster)]

    def revert(self, cluster: Cluster) -> None:
        """Delete the policy, and make the controllers retry once it is out of force; HarnessError until then."""
        for ref in self._refs:
            ref.delete(cluster)
        if self._is_refused(cluster):
            raise HarnessError(f"{POLICY} {self._name} is deleted but still in force.")
        for patch in self._nudges(cluster):
            patch.apply(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return that the policy exists, or how many replicas are not ready; "" for neither."""
        left = [ref.title for ref in self._refs if ref.find(cluster) is not None]
        return f"{', '.join(left)} still exist" if left else super().reverted(cluster)

    @property
    def _name(self) -> str:
        return f"meshdrill-unavailable-{self.component.namespace}-{self.component.name}"

    @property
    def _labels(self) -> str:
        return self.component.selector

    @property
    def _refs(self) -> tuple[ObjectRef, ObjectRef]:
        return ObjectRef(_API, BINDING, self._name), ObjectRef(_API, POLICY, self._name)

    def _manifests(self) -> tuple[Json, Json]:
        """Return the policy and its binding."""
        matched = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.component.namespace}},
            "objectSelector": self.selector,
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        }
        never = {"expression": "false", "message": f"meshdrill makes {self.title} unavailable", "reason": "Forbidden"}
        binding, policy = (ref.manifest for ref in self._refs)
        return (
            {**policy, "spec": {"failurePolicy": "Fail", "matchConstraints": matched, "validations": [never]}},
            {**binding, "spec": {"policyName": self._name, "validationActions": ["Deny"]}},
        )

    def _is_refused(self, cluster: Cluster) -> bool:
        """Return whether the policy refuses a pod of the workload in a dry run; HarnessError when the API fails."""
        answer = cluster.kube.try_pod(_pod(workload(cluster, self.component)))
        if answer.outcome == "failed":
            raise HarnessError(f"The dry run of a pod of {self.title} failed: {answer.message}")
        return answer.outcome == "refused" and self._name in answer.message

    def _counted(self, cluster: Cluster) -> Receipt:
        wanted, ready = cluster.kube.replicas(self.component)
        words = f"Kubernetes wants {wanted} and counts {ready} ready; wanted before: {self.replicas}"
        return Receipt(wanted == self.replicas and not ready, "Kubernetes API", words)

    def _nudges(self, cluster: Cluster) -> list[Patch]:
        """Return two patches for each object that creates the pods; the second reverts the first."""
        owner = self.component
        makers = [ObjectRef("apps/v1", owner.kind, owner.name, owner.namespace)]
        if owner.kind == "Deployment":
            sets = cluster.kube.find("apps/v1", "ReplicaSet", owner.namespace)
            names = [it["metadata"]["name"] for it in sets if _is_owned(it, owner) and it["spec"].get("replicas")]
            makers = [ObjectRef("apps/v1", "ReplicaSet", name, owner.namespace) for name in names]
        values = (str(time.time_ns()), None)
        return [Patch(it, {"metadata": {"annotations": {NUDGE: value}}}) for it in makers for value in values]


def made_unavailable(cluster: Cluster, component: Component, run_id: str, title: str) -> MadeUnavailable:
    """Return the fault for a component; HarnessError when it is not healthy."""
    selector = workload(cluster, component)["spec"]["selector"]
    return MadeUnavailable.of(cluster, component, run_id, title, selector=selector)


def make_unavailable(role: Role, *, hold_s: float = 30.0) -> MakeUnavailable:
    """Let no pod of the role exist until the undo, with the desired count unchanged: Kubernetes reports the loss."""
    return MakeUnavailable(role=role, hold_s=hold_s)


def _pod(found: Json) -> Json:
    """Return a pod as the workload's controller would create it, with volumes in place of claims."""
    template, claims = found["spec"]["template"], found["spec"].get("volumeClaimTemplates") or ()
    metadata = {key: template["metadata"][key] for key in ("labels", "annotations") if key in template["metadata"]}
    volumes = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
    spec = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *volumes]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": _TRIED, "namespace": found["metadata"]["namespace"]},
        "spec": spec,
    }


def _is_owned(found: Json, owner: Component) -> bool:
    owners = found["metadata"].get("ownerReferences") or ()
    return any((it["kind"], it["name"]) == (owner.kind, owner.name) for it in owners)
