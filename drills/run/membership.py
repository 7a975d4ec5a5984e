"""Records the pods of the lab, and whether each is in the mesh exactly when it should be."""

import time
from contextlib import suppress

from clusters.lab import LAB, OUTSIDE, members
from clusters.runtime import HarnessError, TimeUpError, wait_until
from drills.judge.events import MembershipSeen, PodListed
from drills.run.context import Context
from drills.run.inventory import Inventory


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
