"""Who the pods of the lab are, and whether each is in the mesh exactly when it belongs there."""

import time
from contextlib import suppress

from clusters.lab import LAB, OUTSIDE, members
from clusters.runtime import HarnessError, wait_until
from drills.judge.events import MembershipSeen, PodListed
from drills.run.context import Context
from drills.run.inventory import Inventory


def note_pods(context: Context, pods: Inventory) -> None:
    """Write one PodListed per pod: what policies know it by, so that a reader can tell which of them select it."""
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
    """Write one MembershipSeen per pod: whether it belongs in the mesh, and whether the API shows it there.

    Looks again for within_s while a pod that is there has nothing to show yet. A pod that is gone, or an API that
    cannot be asked, leaves null: it was not found out.
    """
    if within_s:
        with suppress(HarnessError):  # what is not found out by then is written down as that
            wait_until(
                lambda: _shown(context),
                lambda shown: None not in shown.values(),
                what="Proof of each pod's membership",
                within_s=within_s,
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
