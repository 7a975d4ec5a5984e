"""`meshdrill metrics`: stored runs as OpenMetrics text."""

from collections.abc import Sequence
from pathlib import Path

from clusters.runtime import InconclusiveError
from drills.cli.keyring import public_key_in
from drills.cli.output import write_out
from drills.report import bundles, openmetrics


def write(folders: Sequence[Path], out: Path | None, key: Path | None = None) -> str:
    """Return the text, and write it to the file if one is named: atomically, because a collector may be reading it.

    Raises InconclusiveError for a bundle that does not match its statement, UsageError when the file cannot be written.
    """
    try:
        text = openmetrics.render(bundles.read_all(folders, public_key_in(key)))
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    if out is not None:
        write_out(out, text)
    return text
