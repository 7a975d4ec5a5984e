"""New pods that are put into the mesh no more: its webhook fails, is passed over, or the namespace is not enrolled.

What is changed are fields of objects, and to read them back would prove nothing: what is stored is not in force yet,
and a mesh may repair its own webhook within moments. So the receipt is what the API server does with a pod that it is
asked about and does not keep (a dry run): that very webhook fails it, or it is admitted as it came. It is taken all
along the hold. The undo puts the fields of before back, and is verified by a pod that gets the same containers again.
"""

import base64
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from clusters.ca import stranger
from clusters.cluster import Cluster
from clusters.kube import Json
from clusters.lab import LAB, tried_pod, try_pod
from clusters.model import Component, Mesh
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.injury import Injury, Receipt
from drills.run.undo_entry import Undo

_API, _KIND = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
_OBSERVER = "dry run of a new pod"
_NOBODY = "meshdrill"  # an owner whom no mesh knows


@dataclass(frozen=True)
class Change:
    """One object changed and changed back, as merge patches, and how the API server then treats a new pod."""

    subject: str
    there: Json
    back: Json
    refused_by: tuple[str, ...] = ()  # webhooks, one of which a refusal names; none: the pod is admitted as it came


class Uninjected(Injury):
    """One object changed, and the injector stopped if one is given; seen by what becomes of a pod in a dry run."""

    def __init__(self, cluster: Cluster, change: Change, injector: Component | None = None, replicas: int = 0) -> None:
        self._cluster = cluster
        self._change = change
        self._injector = injector
        self._replicas = replicas
        self._own = _containers(tried_pod())
        answer = try_pod(cluster)
        self._whole = _containers(answer.object)
        if answer.outcome != "accepted" or self._whole <= self._own:
            raise HarnessError(
                f"Before the fault a new pod of {LAB} gets nothing from the mesh: {answer.message or 'admitted as is'}."
                " Are its webhook and the namespace's label in force?"
            )

    def undo(self, run_id: str) -> Undo:
        """Put the fields back, start the injector if it was stopped, and wait until a pod is injected as before."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="reinject",
            subject=f"{self._change.subject} as before",
            component=self._injector,
            replicas=self._replicas,
            manifest=self._change.back,
            containers=tuple(sorted(self._whole)),
        )

    def inject(self) -> str:
        """Change the object, then stop the injector: in this order no pod is refused in between."""
        self._cluster.kube.patch(self._change.there)
        if self._injector is None:
            return f"{self._change.subject} changed"
        self._cluster.kube.scale(self._injector, 0)
        return f"{self._change.subject} changed, {self._injector.kind} {self._injector.name} scaled to 0"

    def observe(self) -> Receipt:
        """Landed: one of the webhooks is what refuses a pod, or, where none should, the pod is admitted as it came."""
        answer = try_pod(self._cluster)
        if answer.outcome == "refused":
            landed = any(f'"{name}"' in answer.message for name in self._change.refused_by)
            return Receipt(landed, _OBSERVER, f"refused: {answer.message}")
        found = _containers(answer.object)
        landed = not self._change.refused_by and found == self._own
        return Receipt(landed, _OBSERVER, f"admitted with {', '.join(sorted(found))}")

    def glance(self, turn: int) -> Receipt | None:
        """Look again: it is one request, and costs the nodes nothing."""
        del turn
        return self.observe()


def broken(cluster: Cluster, mesh: Mesh) -> Change:
    """Give every hook of the injector the certificate of an authority that signed nothing.

    The configuration is taken from whoever repairs it, as a configuration of another owner would be: what is asked is
    how a webhook fails that stays broken, not how fast it is put right.
    """
    name, found, keeper = _configuration(cluster, mesh)
    strange = base64.b64encode(stranger().encode()).decode()
    hooks = deepcopy(found["webhooks"])
    for hook in hooks:
        hook["clientConfig"]["caBundle"] = strange
    closed = tuple(hook["name"] for hook in hooks if hook["failurePolicy"] == "Fail")
    labels = found["metadata"].get("labels") or {}
    there, back = ({"labels": {keeper: owner}} if keeper else {} for owner in (_NOBODY, labels.get(keeper)))
    return Change(
        f"CA bundle of {_KIND} {name}",
        _patch(_API, _KIND, name, there, webhooks=hooks),
        _patch(_API, _KIND, name, back, webhooks=found["webhooks"]),
        closed,
    )


def ignored(cluster: Cluster, mesh: Mesh) -> Change:
    """Let the API server do without every hook of the injector."""
    name, found, _ = _configuration(cluster, mesh)
    hooks = [{**hook, "failurePolicy": "Ignore"} for hook in found["webhooks"]]
    return Change(
        f"failure policy of {_KIND} {name}",
        _patch(_API, _KIND, name, {}, webhooks=hooks),
        _patch(_API, _KIND, name, {}, webhooks=found["webhooks"]),
    )


def unlabelled(_cluster: Cluster, mesh: Mesh) -> Change:
    """Take from the lab's namespace what enrols it."""
    marks = {"labels": mesh.membership.namespace_labels, "annotations": mesh.membership.namespace_annotations}
    if not any(marks.values()):
        raise UsageError(f"{mesh.title} enrols a namespace by no label or annotation that could be taken away.")
    gone = {where: dict.fromkeys(named) for where, named in marks.items() if named}
    back = {where: dict(named) for where, named in marks.items() if named}
    return Change(
        f"enrolment of namespace {LAB}", _patch("v1", "Namespace", LAB, gone), _patch("v1", "Namespace", LAB, back)
    )


CHANGES: Mapping[str, Callable[[Cluster, Mesh], Change]] = {
    "break-webhook": broken,
    "ignore-webhook": ignored,
    "unlabel": unlabelled,
}
"""Kind of fault -> what it changes."""


def reinject(cluster: Cluster, undo: Undo) -> None:
    """Put the fields back, and the injector's replicas where it was stopped."""
    cluster.kube.patch(undo.manifest)
    if undo.component is not None:
        cluster.kube.scale(undo.component, undo.replicas)


def uninjected(cluster: Cluster, undo: Undo) -> str:
    """Say what a new pod lacks of what it had before the fault, "" when nothing."""
    answer = try_pod(cluster)
    lacking = set(undo.containers) - _containers(answer.object)
    return f"a new pod lacks {', '.join(sorted(lacking))}: {answer.message or 'admitted without'}" if lacking else ""


def _configuration(cluster: Cluster, mesh: Mesh) -> tuple[str, Json, str]:
    """Return name and object of the injector's webhook configuration, and the label by which its repairer knows it."""
    hook = next((hook for hook in mesh.webhooks if hook.kind == "mutating"), None)
    if hook is None:
        raise UsageError(f"{mesh.title} has no mutating webhook: the drill must say @requires(Capability.INJECTION).")
    found = cluster.kube.get(_API, _KIND, hook.configuration)
    if found is None:
        raise HarnessError(f"{_KIND} {hook.configuration} does not exist. Is the mesh installed?")
    return hook.configuration, found, hook.keeper


def _patch(api_version: str, kind: str, name: str, metadata: Json, **fields: object) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}, **fields}


def _containers(pod: Mapping[str, object]) -> frozenset[str]:
    spec = pod.get("spec")
    found = spec if isinstance(spec, Mapping) else {}
    return frozenset(it["name"] for it in (*(found.get("initContainers") or ()), *(found.get("containers") or ())))
