"""Is every pod of the lab in the mesh exactly when it belongs there? Written down at both ends of a run."""

import time

from clusters.errors import HarnessError
from clusters.lab import LAB, OUTSIDE, members
from drills.run.context import Context
from drills.run.inventory import Inventory


def note_membership(context: Context, pods: Inventory) -> None:
    """Write one `membership` event per pod: whether it belongs in the mesh, and whether the API shows it there.

    A pod that is gone, or an API that cannot be asked, leaves null: it was not found out.
    """
    at_ns = time.time_ns()
    shown = {**_shown(context, LAB), **_shown(context, OUTSIDE)}
    for pod in pods.services:
        is_expected, is_meshed = pod.namespace == LAB or context.mesh.enrols_all, shown.get(pod.name)
        context.recorder.note("membership", pod.name, at_ns=at_ns, expected=is_expected, meshed=is_meshed)


def _shown(context: Context, namespace: str) -> dict[str, bool]:
    try:
        return members(context.place, context.mesh, namespace)
    except HarnessError:
        return {}
