"""The double of a cluster whose API server asks a webhook about each new pod, for faults of injection.

Like the double under it, it is no mesh and proves nothing about one.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clusters.kube import Admission, Json
from clusters.lab import LAB
from clusters.model import Membership, Mesh, Role, Webhook
from drills.run import faults
from drills.run.faults import Fault
from drills.selftest.doubles.cluster_double import COMPONENT, SOURCE, FileCluster, mesh
from drills.selftest.doubles.node_double import merged

CONFIGURATION, HOOK = "brain-injector", "injector.brain"
LABEL, KEEPER = "brain-injection", "brain/owner"
ROOT = "Z29vZA=="
REPLACED_CA, IGNORED, UNENROLLED = faults.replace_webhook_ca(), faults.ignore_webhook(), faults.remove_enrolment()
FAULTS: dict[str, Fault] = {fault.kind: fault for fault in (REPLACED_CA, IGNORED, UNENROLLED)}
_WEBHOOK = f"MutatingWebhookConfiguration/None/{CONFIGURATION}"
_NAMESPACE = f"Namespace/None/{LAB}"


class InjectedCluster(FileCluster):
    """The double with a webhook, its namespace, and a controller that repairs it."""

    def __init__(self, root: Path, policy: str = "Fail") -> None:
        super().__init__(root)
        world = self.load()
        if _WEBHOOK not in world.objects:
            hook = {"name": HOOK, "failurePolicy": policy, "clientConfig": {"caBundle": ROOT}}
            world.objects[_WEBHOOK] = _object(_WEBHOOK, {KEEPER: "brain"}) | {"webhooks": [hook]}
            world.objects[_NAMESPACE] = _object(_NAMESPACE, {LABEL: "on", "other": "x"})
            self.save(world)

    @property
    def hook(self) -> Json:
        """The webhook as it stands."""
        webhook: Json = self.load().objects[_WEBHOOK]
        return dict(webhook["webhooks"][0])

    @property
    def labels(self) -> Json:
        """The namespace's labels as they stand."""
        namespace: Json = self.load().objects[_NAMESPACE]
        return dict(namespace["metadata"]["labels"])

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge changes into an object; the webhook's owner_label repairs what it knows as its own."""
        if changes["kind"] == "ReplicaSet":
            super().patch(changes)
            return
        world = self._alive()
        given: Json = dict(changes)
        key = f"{given['kind']}/None/{given['metadata']['name']}"
        found = merged(world.objects[key], given)
        if key == _WEBHOOK and found["metadata"]["labels"].get(KEEPER) == "brain":
            found["webhooks"][0]["clientConfig"]["caBundle"] = ROOT
        if not world.survives:
            world.objects[key] = found
        self.save(world)

    def try_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Answer what would become of a pod."""
        if self.load().is_api_dead:
            return Admission("failed", "dead")
        pod: Json = dict(manifest)
        if pod["metadata"]["namespace"] != LAB:
            return super().try_pod(manifest)
        if LABEL not in self.labels:
            return Admission("accepted", object=manifest)
        if self.hook["clientConfig"]["caBundle"] == ROOT and self.load().brains():
            spec = {**pod["spec"], "initContainers": [{"name": "proxy"}]}
            return Admission("accepted", object={**pod, "spec": spec})
        if self.hook["failurePolicy"] == "Ignore":
            return Admission("accepted", object=manifest)
        return Admission("refused", f'failed calling webhook "{HOOK}": no')


def _object(key: str, labels: dict[str, str]) -> Json:
    kind, _, name = key.split("/")
    version = "v1" if kind == "Namespace" else "admissionregistration.k8s.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}}


def injected_mesh(**changes: object) -> Mesh:
    """Return the double's mesh with a webhook that puts pods into it."""
    hook = Webhook(CONFIGURATION, "mutating", "Fail", ("CREATE",), SOURCE, owner_label=KEEPER)
    injector = replace(COMPONENT, role=Role.INJECTOR)
    membership = Membership(proves=lambda _pod, _witness: True, namespace_labels={LABEL: "on"})
    return mesh(**{"components": (injector,), "webhooks": (hook,), "membership": membership, **changes})
