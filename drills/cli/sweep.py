"""`meshdrill sweep`: put right what a killed run left in a cluster."""

from collections.abc import Iterator

from clusters import kind
from clusters.runtime import HarnessError, Progress
from drills.run.undo import sweep


def sweep_all(progress: Progress) -> Iterator[str]:
    """Revert every pending undo entry in every cluster of ours that stands, and yield a line for each cluster.

    What clusters shared with us that no longer exist is removed, with a line for each, too. Every cluster is tried;
    HarnessError afterwards says what is wrong with those that could not be put right.
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
        yield "No cluster of ours stands: nothing to undo."
    for name in kind.remove_orphans(progress):
        yield f"{name}: the cluster no longer exists, what it shared with us is removed"
    if failed:
        raise HarnessError(" ".join(failed))
