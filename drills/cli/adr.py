"""`meshdrill adr`: write a decision record from bundles, or update an existing one."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clusters import meshes
from clusters.runtime import InconclusiveError, UsageError
from drills.cli.keyring import public_key_in
from drills.cli.output import write_out
from drills.judge import files
from drills.report import blocks, bundles
from drills.report.adr import record
from drills.report.adr.citations import Citations
from drills.run import catalogue


def write(
    folders: Sequence[Path], out: Path, *, title: str | None, stale_after_days: int, key: Path | None = None
) -> str:
    """Write the record, or renew the generated parts of an existing one, and return a text for a person.

    Raises InconclusiveError for a bundle that does not match its statement, UsageError for a record that cannot be
    read, updated or written.
    """
    try:
        runs = bundles.read_all(folders, public_key_in(key))
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    folder = Path(os.path.realpath(out.parent))
    citations = Citations(runs, _titles(runs), folder, catalogue.skipped(), catalogue.controls())
    is_new = not files.is_there(out)
    text = (
        _new(out, citations, title, stale_after_days) if is_new else _updated(out, citations, title, stale_after_days)
    )
    write_out(out, text)
    return "\n".join((f"Written to {out}, from {len(runs)} runs.", *_to_do(text, runs, stale_after_days)))


def _new(out: Path, citations: Citations, title: str | None, stale_after_days: int) -> str:
    if not title:
        raise UsageError(f"{out} does not exist yet: a new record needs --title.")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is no directory: create it, or give another --out.")
    return record.render(title, citations, stale_after_days)


def _updated(out: Path, citations: Citations, title: str | None, stale_after_days: int) -> str:
    try:
        text = files.read(out).decode()
        if title and f"# {title}" not in (line.strip() for line in text.splitlines()):
            raise UsageError(f"{out} has another title than {title!r}: change it in the file, or omit --title.")
        return record.update(text, citations, stale_after_days)
    except (UnicodeDecodeError, blocks.BlockError, files.FileError) as error:
        raise UsageError(f"{out} cannot be updated and stays as it was. {error}") from error


def _titles(runs: Sequence[bundles.Run]) -> dict[str, str]:
    """Return the titles of all alternatives: the meshes of this package, and the variants in the bundles."""
    known = {name: meshes.load(name) for name in meshes.products()}
    titles = {name: mesh.title for name, mesh in known.items() if not mesh.is_control}
    titles |= {run.verdict.mesh: run.environment.mesh_title for run in runs if not run.verdict.is_control}
    return dict(sorted(titles.items()))


def _to_do(text: str, runs: Sequence[bundles.Run], stale_after_days: int) -> list[str]:
    """Return what a person has to do: fields to fill in, and evidence that is stale today."""
    waiting, today = text.count(record.FOR_A_PERSON), datetime.now(UTC).date()
    stale = [run for run in runs if record.stale_on(run, stale_after_days) <= today]
    lines = [f"{waiting} fields are for a person to fill in: search for {record.FOR_A_PERSON!r}."] if waiting else []
    return lines + [f"STALE: {run.bundle} is older than {stale_after_days} days; run its drill again." for run in stale]
