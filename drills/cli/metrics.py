"""`meshdrill metrics`: stored runs as OpenMetrics text."""

from collections.abc import Sequence
from pathlib import Path

from clusters.runtime import InconclusiveError
from drills.judge import files
from drills.report import bundles, openmetrics


def write(folders: Sequence[Path], out: Path | None) -> str:
    """Return the text, and write it to the file if one is named: atomically, because a collector may be reading it.

    Raises InconclusiveError for a bundle that does not match its statement, FileError when the file cannot be written.
    """
    try:
        text = openmetrics.render(bundles.read_all(folders))
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    if out is not None:
        files.write(out, text.encode())
    return text
