"""`meshdrill sweep`: put right what a killed run left in a cluster."""

from collections.abc import Iterator

from clusters import kind
from clusters.progress import Progress
from drills.run.undo import sweep


def sweep_all(progress: Progress) -> Iterator[str]:
    """Carry out every pending undo in every cluster of ours that stands, and yield a line for each cluster."""
    found = False
    for place in kind.standing(progress):
        found = True
        subjects = sweep(place, progress)
        yield f"{place.name}: {', '.join(subjects) or 'nothing to undo'}"
    if not found:
        yield "No cluster of ours stands: nothing to undo."
