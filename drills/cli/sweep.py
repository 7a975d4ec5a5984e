"""`meshdrill sweep`: undo what killed runs left in clusters."""

from collections.abc import Iterator

from clusters import kind
from clusters.runtime import HarnessError, Progress
from drills.run.undo import sweep


def sweep_all(progress: Progress) -> Iterator[str]:
    """Carry out every pending undo in every existing cluster of ours, and yield a line for each cluster.

    The shared directory of a cluster that no longer exists is removed, with a line for it, too. Every cluster is tried;
    HarnessError then names those whose undo failed.
    """
    found, failed = False, []
    for cluster in kind.existing(progress):
        found = True
        try:
            subjects = sweep(cluster, progress)
        except HarnessError as error:
            failed.append(str(error))
            continue
        yield f"{cluster.name}: {', '.join(subjects) or 'nothing to undo'}"
    if not found:
        yield "No cluster of ours exists: nothing to undo."
    for name in kind.remove_orphans(progress):
        yield f"{name}: the cluster no longer exists; its shared directory is removed"
    if failed:
        raise HarnessError(" ".join(failed))
