"""The means of `make_unavailable` and `keep_off_node`: a ValidatingAdmissionPolicy that refuses the pods of a workload.

How: the policy (stable since Kubernetes 1.30) refuses the creation of each pod that the workload's own selector
matches, in its namespace; if a node is given, only the pod that the DaemonSet controller makes for that node, which it
names in the pod's affinity. Once a dry run shows that the API server enforces it, after some tenths of a second, the
existing pods can be deleted. The workload itself is unchanged. So its desired count (`spec.replicas`, or
`desiredNumberScheduled` of a DaemonSet) stays, the pods are missing, and every alert that compares the two may fire, as
after a real loss.

Why not otherwise: a desired count of 0, or a node selector that leaves a node out, silences exactly those alerts. A
changed pod template is a rollout. A ResourceQuota affects every other workload of the namespace. A webhook needs a
server that the API server reaches. Node agents tolerate every taint, and one takes an affinity of its DaemonSet that
excludes its node for its own removal. The policy works for Deployments, DaemonSets and StatefulSets alike; it runs in
the API server, so it needs no pod, no network and no node, and works for a CNI plugin or the mesh's own webhook.
Injection and revert need the API: while it is away, the entry stays in the undo log.

The harness's own footprint, which is no alert of the mesh: Events with reason FailedCreate, and the condition
ReplicaFailure (reason FailedCreate) of a Deployment and its ReplicaSet. Both name the policy,
`meshdrill-unavailable-NAMESPACE-NAME`. After a real loss the pods would exist and be Pending, or crash.

The revert deletes the policy, waits until the API server admits such a pod again (dry run), and then changes an
annotation of the ReplicaSet (or of the DaemonSet or StatefulSet itself). Without the annotation the pods return late: a
controller doubles its wait after each failed creation, up to 1000 s. After an outage of 40 s a ReplicaSet took 29 s
more to retry; an update of the object makes it retry at once. On kind, a Deployment and a DaemonSet were ready again
2 s to 4 s after the revert began, whether they had been unavailable for 30 s or for 240 s.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clusters.cluster import Cluster
from clusters.kube import Json
from clusters.model import Component
from clusters.runtime import HarnessError, wait_until
from drills.run.faults.views import workload
from drills.run.timing import Timing
from drills.run.undo_entry import ObjectRef, Patch

POLICY: Final = "ValidatingAdmissionPolicy"
BINDING: Final = f"{POLICY}Binding"
NUDGE: Final = "meshdrill/nudge"
GRACE_S: Final = 1
"""The shortest that a kubelet obeys: when such a pod is gone from the API, its processes are gone too (with 0 s they
might still run)."""
_API = "admissionregistration.k8s.io/v1"
_TRIED = "meshdrill-asked"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class PodRefusal:
    """The pods of a component that the API server refuses.

    selector: of the workload, a LabelSelector. node: only the pod of that node; "" is all of them.
    """

    component: Component
    selector: Mapping[str, object]
    node: str = ""

    @property
    def name(self) -> str:
        """The name of the policy and of its binding."""
        return f"meshdrill-unavailable-{self.component.namespace}-{self.component.name}"

    def enforce(self, cluster: Cluster, timing: Timing) -> None:
        """Create the policy and wait until the API server enforces it; HarnessError when it does not."""
        for manifest in self._manifests():
            cluster.kube.apply(manifest).demand(f"Creating {manifest['kind']} {self.name}")
        wait_until(
            lambda: self._is_enforced(cluster),
            lambda refused: refused,
            what=f"{POLICY} {self.name} in force",
            within_s=timing.policy_in_force_within_s,
            every_s=timing.poll_every_s,
            next_step="Is the API server older than Kubernetes 1.30?",
        )

    def lift(self, cluster: Cluster) -> None:
        """Delete the policy, and make the controllers retry once it is out of force; HarnessError until then."""
        for ref in self._refs:
            ref.delete(cluster)
        if self._is_enforced(cluster):
            raise HarnessError(f"{POLICY} {self.name} is deleted but still in force.")
        for patch in self._nudges(cluster):
            patch.apply(cluster)

    def left(self, cluster: Cluster) -> str:
        """Return which of the two objects still exist, "" for none."""
        left = [ref.title for ref in self._refs if ref.find(cluster) is not None]
        return f"{', '.join(left)} still exist" if left else ""

    @property
    def _title(self) -> str:
        return f"{self.component.kind} {self.component.namespace}/{self.component.name}"

    @property
    def _refs(self) -> tuple[ObjectRef, ObjectRef]:
        return ObjectRef(_API, BINDING, self.name), ObjectRef(_API, POLICY, self.name)

    def _manifests(self) -> tuple[Json, Json]:
        """Return the policy and its binding."""
        matched = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.component.namespace}},
            "objectSelector": self.selector,
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        }
        where = f" on {self.node}" if self.node else ""
        says = f"meshdrill makes {self._title} unavailable{where}"
        admits = {"expression": self._admits, "message": says, "reason": "Forbidden"}
        binding, policy = (ref.manifest for ref in self._refs)
        return (
            {**policy, "spec": {"failurePolicy": "Fail", "matchConstraints": matched, "validations": [admits]}},
            {**binding, "spec": {"policyName": self.name, "validationActions": ["Deny"]}},
        )

    @property
    def _admits(self) -> str:
        """The CEL expression that is true for a pod that may be created."""
        if not self.node:
            return "false"
        affinity = "object.spec.affinity"
        required = f"{affinity}.nodeAffinity.{_REQUIRED}"
        is_for_node = (
            f"f.key == 'metadata.name' && f.operator == 'In' && has(f.values) && f.values.exists(v, v == '{self.node}')"
        )
        terms = f"{required}.nodeSelectorTerms.exists(t, has(t.matchFields) && t.matchFields.exists(f, {is_for_node}))"
        return f"!(has({affinity}) && has({affinity}.nodeAffinity) && has({required}) && {terms})"

    def _is_enforced(self, cluster: Cluster) -> bool:
        """Return whether the policy refuses a pod of the workload in a dry run; HarnessError when the API fails."""
        answer = cluster.kube.try_pod(self._pod(workload(cluster, self.component)))
        if answer.outcome == "failed":
            raise HarnessError(f"The dry run of a pod of {self._title} failed: {answer.message}")
        return answer.outcome == "refused" and self.name in answer.message

    def _pod(self, found: Json) -> Json:
        """Return a pod as the workload's controller would create it, with volumes in place of claims."""
        template, claims = found["spec"]["template"], found["spec"].get("volumeClaimTemplates") or ()
        metadata = {key: template["metadata"][key] for key in ("labels", "annotations") if key in template["metadata"]}
        volumes = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
        spec = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *volumes]}
        if self.node:
            field = {"key": "metadata.name", "operator": "In", "values": [self.node]}
            required = {_REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]}}
            spec["affinity"] = {**(spec.get("affinity") or {}), "nodeAffinity": required}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "name": _TRIED, "namespace": found["metadata"]["namespace"]},
            "spec": spec,
        }

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


def _is_owned(found: Json, owner: Component) -> bool:
    owners = found["metadata"].get("ownerReferences") or ()
    return any((it["kind"], it["name"]) == (owner.kind, owner.name) for it in owners)
