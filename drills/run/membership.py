"""Records the pods of the lab, whether each is in the mesh exactly when it should be, and the pods of the mesh."""

import time
from contextlib import suppress
from datetime import datetime

import msgspec

from clusters.lab import LAB, OUTSIDE, members
from clusters.runtime import HarnessError, TimeUpError, wait_until
from drills.judge.events import ComponentPod, MembershipSeen, PodListed
from drills.judge.records import NS_PER_S
from drills.run.context import Context
from drills.run.inventory import Inventory


class _Meta(msgspec.Struct):
    name: str


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class _Container(msgspec.Struct, rename="camel"):
    restart_count: int = 0


class _Status(msgspec.Struct, rename="camel"):
    start_time: str | None = None
    container_statuses: tuple[_Container, ...] = ()


class _Pod(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def note_pods(context: Context, pods: Inventory) -> None:
    """Record one PodListed per pod: what policies select pods by, so that a reader can tell which of them apply."""
    for pod in pods.services:
        listed = PodListed.Detail(
            service=pod.service,
            namespace=pod.namespace,
            service_account=pod.service_account,
            node=pod.node,
            address=pod.address,
            labels=tuple(f"{key}={value}" for key, value in sorted(pod.labels.items())),
        )
        context.recorder.note(PodListed(time.time_ns(), pod.name, listed))


def note_components(context: Context) -> None:
    """Record one ComponentPod per pod of each component. A pod that several roles share is recorded for each."""
    for component in context.mesh.components:
        for stored in context.cluster.kube.pods(component.namespace, component.selector):
            pod = msgspec.convert(stored, _Pod)
            seen = ComponentPod.Detail(
                role=component.role.value,
                node=pod.spec.node_name,
                started_ns=_started_ns(pod.status.start_time),
                restarts=sum(it.restart_count for it in pod.status.container_statuses),
            )
            context.recorder.note(ComponentPod(time.time_ns(), pod.metadata.name, seen))


def _started_ns(text: str | None) -> int | None:
    return round(datetime.fromisoformat(text).timestamp() * NS_PER_S) if text else None


def note_membership(context: Context, pods: Inventory, *, within_s: float = 0.0) -> None:
    """Record one MembershipSeen per pod: whether it should be in the mesh, and whether the API shows it there.

    Repeats the query for up to within_s while an existing pod shows neither yet. For a pod that is gone, or if the API
    does not answer, the result is null: unknown.
    """
    if within_s:
        with suppress(TimeUpError):  # what is unknown by then is recorded as unknown
            wait_until(
                lambda: _shown(context),
                lambda shown: None not in shown.values(),
                what="Proof of each pod's membership",
                within_s=within_s,
                every_s=context.timing.poll_every_s,
            )
    at_ns = time.time_ns()
    shown = _shown(context)
    for pod in pods.services:
        is_expected = pod.namespace == LAB or context.mesh.membership.is_cluster_wide
        seen = MembershipSeen.Detail(expected=is_expected, meshed=shown.get(pod.name))
        context.recorder.note(MembershipSeen(at_ns, pod.name, seen))


def _shown(context: Context) -> dict[str, bool | None]:
    try:
        return {
            pod: seen
            for namespace in (LAB, OUTSIDE)
            for pod, seen in members(context.cluster, context.mesh, namespace).items()
        }
    except HarnessError:
        return {}
