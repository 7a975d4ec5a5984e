"""`meshdrill report`: draw the pages of stored runs, and their index, again from the bundles' own files."""

from pathlib import Path

from clusters.runtime import InconclusiveError, UsageError
from drills.cli.keyring import signer_in
from drills.judge import files
from drills.judge.bundle_files import RUN_FILE, VERDICT_FILE
from drills.report import evidence, folders
from drills.report.redraw import RedrawError, redraw
from drills.run import catalogue


def draw(place: Path, key: Path | None = None) -> str:
    """Draw one bundle, or every bundle `<drill>/<mesh>/<utc>/` below a folder and its index; return lines for a person.

    Raises UsageError when the place is neither, and InconclusiveError naming each bundle or index that cannot be drawn,
    after the others were drawn.
    """
    signer = signer_in(key)
    is_bundle = files.is_there(place / RUN_FILE)
    bundles = [place] if is_bundle else folders.runs_in(place)
    if not bundles:
        raise UsageError(f"{place} holds neither a {RUN_FILE} nor bundles DRILL/MESH/UTC with a {VERDICT_FILE}.")
    lines: list[str] = []
    refused: list[str] = []
    for bundle in bundles:
        try:
            if not is_bundle:
                _refuse_links_to(bundle)
            lines.append(_describe(bundle, redraw(bundle, signer)))
        except RedrawError as error:
            refused.append(str(error))
    if not is_bundle:
        try:
            evidence.write_index(place, catalogue.skipped(), catalogue.controls())
            lines.append(f"Index written to {place}.")
        except files.FileError as error:
            refused.append(str(error))
    if refused:
        raise InconclusiveError("\n".join([*lines, *refused]))
    return "\n".join(lines)


def _refuse_links_to(bundle: Path) -> None:
    """Raise RedrawError when UTC, MESH or DRILL is a link: the bundle would be written elsewhere."""
    if link := next((it for it in (bundle, *bundle.parents[:2]) if it.is_symlink()), None):
        raise RedrawError(f"{link} is a link, expected a folder of runs: draw the bundle at its own path.")


def _describe(bundle: Path, changed: tuple[str, ...]) -> str:
    return f"{bundle}: {'drew ' + ', '.join(changed) if changed else 'its pages are up to date'}."
