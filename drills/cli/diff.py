"""`meshdrill diff`: what changed between two sets of runs."""

from collections.abc import Sequence
from pathlib import Path

from clusters.runtime import InconclusiveError
from drills.cli import exits
from drills.cli.keyring import public_key_in
from drills.report import bundles
from drills.report.compare import diff_md, runs


def compare_folders(
    old: Sequence[Path],
    new: Sequence[Path],
    meshes: Sequence[str] = (),
    drills: Sequence[str] = (),
    *,
    key: Path | None = None,
) -> tuple[str, int]:
    """Return the comparison as Markdown, and the exit code.

    No-fault controls are left out: they are no runs of the drill, and each says by itself whether it passed.
    meshes, drills: compare only these; () is all. key: the public key by which every bundle must be signed. Raises
    InconclusiveError for a bundle that cannot be cited, and when a side has no run to compare.
    """
    public = public_key_in(key)
    try:
        sides = [bundles.read_all(side, public) for side in (old, new)]
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    before, now = ([run for run in side if _is_asked(run, meshes, drills)] for side in sides)
    if not before or not now:
        empty, asked = new if before else old, " or ".join((*meshes, *drills))
        raise InconclusiveError(f"{', '.join(map(str, empty))}: no run of {asked}, so nothing can be compared.")
    found = runs.compare(before, now)
    return diff_md.render(found), code_of(found)


def _is_asked(run: bundles.Run, meshes: Sequence[str], drills: Sequence[str]) -> bool:
    drill, mesh = run.pair
    if run.verdict.without_fault:
        return False
    return (not meshes or mesh in meshes) and (not drills or drill in drills)


def code_of(found: runs.Comparison) -> int:
    """Return 1 for anything worse, not promised or not asked any more, else 2 for anything not known any more, or 0."""
    if found.is_worse:
        return exits.VIOLATED
    return exits.INCONCLUSIVE if found.is_lost else exits.PASSED
