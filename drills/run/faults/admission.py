"""`replace_webhook_ca`, `ignore_webhook`, `remove_enrolment`: new pods no longer join the mesh.

The faults change fields of objects. Reading the fields back would prove nothing: a stored field is not yet in force,
and a mesh may repair its own webhook at once. So the receipt is a dry run of a new pod: that webhook refuses the pod,
or the pod is admitted unchanged. Receipts are taken all through the hold. The revert restores the fields, and is
verified by a dry run in which the pod gets the same containers as before.
"""

import base64
from collections.abc import Mapping
from copy import deepcopy

from clusters.ca import unrelated_ca
from clusters.cluster import Cluster
from clusters.kube import Json
from clusters.lab import LAB, tried_pod, try_pod
from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.base import BaseFault, PreparedFault, Receipt
from drills.run.faults.unavailable import MadeUnavailable, made_unavailable
from drills.run.timing import Timing
from drills.run.undo_entry import Name, ObjectRef, Patch

_API, _KIND = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
_OBSERVER = "dry run of a new pod"
_OWNER_OF_NO_MESH = "meshdrill"


class ReplaceWebhookCa(BaseFault, tag="replace-webhook-ca", frozen=True, kw_only=True):
    """Replace the CA bundle of every injector webhook by that of an authority that signed nothing."""

    role: Role = Role.INJECTOR

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Uninjected":
        """Read the injector's webhook configuration.

        The fault also changes the label by which a controller finds the configuration to repair it: the drill asks how
        a broken webhook fails, not how fast it is repaired.
        """
        webhook, found, owner_label = _configuration(cluster, mesh)
        bundle = base64.b64encode(unrelated_ca().encode()).decode()
        hooks = deepcopy(found["webhooks"])
        for hook in hooks:
            hook["clientConfig"]["caBundle"] = bundle
        labels = found["metadata"].get("labels") or {}
        away, back = (
            {"metadata": {"labels": {owner_label: owner}}} if owner_label else {}
            for owner in (_OWNER_OF_NO_MESH, labels.get(owner_label))
        )
        return _uninjected(
            cluster,
            run_id,
            what=f"CA bundle of {_KIND} {webhook.name}",
            away=Patch(webhook, {**away, "webhooks": hooks}),
            back=Patch(webhook, {**back, "webhooks": found["webhooks"]}),
            refused_by=tuple(hook["name"] for hook in hooks if hook["failurePolicy"] == "Fail"),
        )


class IgnoreWebhook(BaseFault, tag="ignore-webhook", frozen=True, kw_only=True):
    """Set failurePolicy Ignore on every injector webhook, and make the injector unavailable."""

    role: Role = Role.INJECTOR

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Uninjected":
        """Read the injector's webhook configuration, and find its workload."""
        webhook, found, _ = _configuration(cluster, mesh)
        hooks = [{**hook, "failurePolicy": "Ignore"} for hook in found["webhooks"]]
        return _uninjected(
            cluster,
            run_id,
            what=f"failure policy of {_KIND} {webhook.name}",
            away=Patch(webhook, {"webhooks": hooks}),
            back=Patch(webhook, {"webhooks": found["webhooks"]}),
            injector=made_unavailable(cluster, self.component(mesh), run_id, self.title),
        )


class RemoveEnrolment(BaseFault, tag="remove-enrolment", frozen=True, kw_only=True):
    """Remove the labels and annotations that enrol the lab's namespace."""

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Uninjected":
        """Return the change of the namespace; UsageError for a mesh that enrols by neither."""
        enrolling = {"labels": mesh.membership.namespace_labels, "annotations": mesh.membership.namespace_annotations}
        if not any(enrolling.values()):
            raise UsageError(f"{mesh.title} enrols a namespace by no label or annotation that could be removed.")
        away = {where: dict.fromkeys(named) for where, named in enrolling.items() if named}
        back = {where: dict(named) for where, named in enrolling.items() if named}
        namespace = ObjectRef("v1", "Namespace", LAB)
        return _uninjected(
            cluster,
            run_id,
            what=f"enrolment of namespace {LAB}",
            away=Patch(namespace, {"metadata": away}),
            back=Patch(namespace, {"metadata": back}),
        )


class Uninjected(PreparedFault, tag="uninjected", kw_only=True):
    """One changed object, and optionally an unavailable injector; observed by a dry run of a new pod."""

    what: str  # what is changed, for people
    away: Patch
    back: Patch
    refused_by: tuple[str, ...] = ()  # webhooks that a refusal may name; empty: the pod is admitted unchanged
    injector: MadeUnavailable | None = None
    own: frozenset[Name]  # containers of the pod without the mesh
    whole: frozenset[Name]  # containers of the pod in the mesh

    @property
    def subject(self) -> str:
        """The object has its old fields."""
        return f"{self.what} as before"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which the injector may run."""
        return self.injector.nodes if self.injector else ()

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Change the object, then make the injector unavailable: in this order no pod is refused in between."""
        self.away.apply(cluster)
        if self.injector is None:
            return f"{self.what} changed"
        return f"{self.what} changed; {self.injector.inject(cluster, timing)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: one of the webhooks refuses the pod, or, if none should, the pod is admitted unchanged."""
        # With a turn, too, it asks everything: one request costs the nodes nothing.
        answer = try_pod(cluster)
        if answer.outcome == "refused":
            landed = any(f'"{name}"' in answer.message for name in self.refused_by)
            return Receipt(landed, _OBSERVER, f"refused: {answer.message}")
        found = _containers(answer.object)
        landed = not self.refused_by and found == self.own
        return Receipt(landed, _OBSERVER, f"admitted with {', '.join(sorted(found))}")

    def revert(self, cluster: Cluster) -> None:
        """Restore the fields, and admit the injector's pods again."""
        self.back.apply(cluster)
        if self.injector is not None:
            self.injector.revert(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return what the injector lacks, or which containers a new pod lacks."""
        lacks = self.injector.reverted(cluster) if self.injector else ""
        if lacks:
            return lacks
        answer = try_pod(cluster)
        lacking = self.whole - _containers(answer.object)
        return (
            f"a new pod lacks {', '.join(sorted(lacking))}: {answer.message or 'admitted without'}" if lacking else ""
        )


def replace_webhook_ca(*, hold_s: float = 30.0) -> ReplaceWebhookCa:
    """Give the injector's webhook the CA bundle of another authority: the API server no longer trusts the webhook."""
    return ReplaceWebhookCa(hold_s=hold_s)


def ignore_webhook(*, hold_s: float = 30.0) -> IgnoreWebhook:
    """Set failurePolicy Ignore on the injector's webhook, and make the injector unavailable."""
    return IgnoreWebhook(hold_s=hold_s)


def remove_enrolment(*, hold_s: float = 30.0) -> RemoveEnrolment:
    """Remove from the lab's namespace the labels and annotations that enrol its pods in the mesh."""
    return RemoveEnrolment(hold_s=hold_s)


def _uninjected(
    cluster: Cluster,
    run_id: str,
    *,
    what: str,
    away: Patch,
    back: Patch,
    refused_by: tuple[str, ...] = (),
    injector: MadeUnavailable | None = None,
) -> Uninjected:
    """Return the fault; HarnessError when a new pod gets nothing from the mesh before the fault."""
    own = _containers(tried_pod())
    answer = try_pod(cluster)
    whole = _containers(answer.object)
    if answer.outcome != "accepted" or whole <= own:
        raise HarnessError(
            f"Before the fault a new pod of {LAB} gets nothing from the mesh: {answer.message or 'admitted unchanged'}."
            " Are its webhook and the namespace's label in force?"
        )
    return Uninjected(
        run_id=run_id,
        what=what,
        away=away,
        back=back,
        refused_by=refused_by,
        injector=injector,
        own=own,
        whole=whole,
    )


def _configuration(cluster: Cluster, mesh: Mesh) -> tuple[ObjectRef, Json, str]:
    """Return the injector's webhook configuration, and the label by which its controller finds it."""
    hook = next((hook for hook in mesh.webhooks if hook.kind == "mutating"), None)
    if hook is None:
        raise UsageError(f"{mesh.title} has no mutating webhook: the drill must say @requires(Capability.INJECTION).")
    ref = ObjectRef(_API, _KIND, hook.configuration)
    found = ref.find(cluster)
    if found is None:
        raise HarnessError(f"{_KIND} {hook.configuration} does not exist. Is the mesh installed?")
    return ref, found, hook.owner_label


def _containers(pod: Mapping[str, object]) -> frozenset[str]:
    spec = pod.get("spec")
    found = spec if isinstance(spec, Mapping) else {}
    return frozenset(it["name"] for it in (*(found.get("initContainers") or ()), *(found.get("containers") or ())))
