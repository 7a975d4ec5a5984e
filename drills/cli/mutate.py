"""`meshdrill mutate`: change one thing at a time in a stored history, and show which claims detect it."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from clusters.runtime import InconclusiveError, UsageError
from drills.cli.judge import replay
from drills.judge import files
from drills.judge.bundle_files import MUTATIONS_FILE
from drills.judge.history import History
from drills.judge.mutations.matrix import Matrix, matrix
from drills.judge.storage import read_facts
from drills.report import folders, mutations


def mutate(bundle: Path) -> tuple[str, bool]:
    """Return the matrix of one bundle as text, and whether every mutation that its claims cover was detected.

    Raises FileError when the bundle cannot be read, and InconclusiveError when no claim passed on it: such a run shows
    nothing about its claims.
    """
    found = _matrix(bundle)
    if not found.passing:
        raise InconclusiveError(f"{bundle}: {mutations.summary(found)}. Mutate a run that passed.")
    return mutations.as_text(found), found.is_proof


def write_page(reports: Path) -> tuple[str, bool]:
    """Write reports/mutations.md over the newest bundle of each drill and mesh; return a line for each, as `mutate`.

    A no-fault control is no run of its drill, and is left out. Raises UsageError when there is none. Each bundle takes
    about ten seconds of one processor; they are independent, so they run in parallel.
    """
    newest = {path.parts[-3:-1]: path for path in folders.runs_in(reports) if not _is_no_fault_control(path)}
    bundles = [bundle for _, bundle in sorted(newest.items())]
    if not bundles:
        raise UsageError(f"{reports} holds no bundle DRILL/MESH/UTC with a verdict, so there is nothing to mutate.")
    # Spawned, because polars has threads: a forked copy of this process could hang.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        matrices = list(workers.map(_matrix, bundles))
    found = [(bundle.relative_to(reports).as_posix(), one) for bundle, one in zip(bundles, matrices, strict=True)]
    page = _write(reports, found)
    lines = [*(mutations.summary(one) for _, one in found), f"Written to {page}."]
    return "\n".join(lines), all(one.is_proof for _, one in found)


def _is_no_fault_control(bundle: Path) -> bool:
    """Whether it is one; a bundle that cannot be read is none, so that it is refused if it is the newest."""
    try:
        return read_facts(bundle).without_fault
    except files.FileError:
        return False


def _write(reports: Path, found: Sequence[tuple[str, Matrix]]) -> Path:
    page = reports / MUTATIONS_FILE
    files.write(page, mutations.as_page(found).encode())
    return page


def _matrix(bundle: Path) -> Matrix:
    return matrix(History.load(bundle), replay)
