"""`meshdrill diff`: what changed between two sets of runs."""

from collections.abc import Sequence
from pathlib import Path

from clusters.errors import InconclusiveError
from drills import exits
from drills.report import bundles, compare, diff


def compare_folders(old: Path, new: Path, meshes: Sequence[str] = ()) -> tuple[str, int]:
    """Return the comparison as Markdown, and the exit code. meshes: compare only these; none means all.

    Raises InconclusiveError for a bundle that is not as stated, and when a side has no run to compare.
    """
    try:
        sides = [bundles.read_all([folder]) for folder in (old, new)]
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    before, now = ([run for run in side if not meshes or run.verdict.mesh in meshes] for side in sides)
    if not before or not now:
        empty = new if before else old
        raise InconclusiveError(f"{empty} has no run of mesh {' or '.join(meshes)}: nothing can be compared.")
    found = compare.compare(before, now)
    return diff.render(found), code_of(found)


def code_of(found: compare.Comparison) -> int:
    """Return 1 when anything is worse, else 2 when something is not known any more, else 0."""
    if found.is_worse:
        return exits.VIOLATED
    return exits.INCONCLUSIVE if found.is_lost else exits.PASSED
