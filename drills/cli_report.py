"""`meshdrill report`: the pages of stored runs, and the index over them, drawn again from their own files."""

from collections.abc import Iterator
from pathlib import Path

from clusters.errors import InconclusiveError, UsageError
from drills import unasked
from drills.keyring import signer_in
from drills.report import evidence
from drills.report.names import RUN_FILE, VERDICT_FILE
from drills.report.redraw import RedrawError, redraw


def draw(place: Path, key: Path | None = None) -> str:
    """Draw one bundle, or every bundle `<drill>/<mesh>/<utc>/` below a folder and its index; return lines for a person.

    Raises UsageError when the place is neither, and InconclusiveError when a bundle cannot be drawn; the others, and
    the index, are drawn all the same.
    """
    signer = signer_in(key)
    is_bundle = (place / RUN_FILE).exists()
    bundles = [place] if is_bundle else sorted(path.parent for path in place.glob(f"*/*/*/{VERDICT_FILE}"))
    if not bundles:
        raise UsageError(f"{place} holds neither a {RUN_FILE} nor bundles DRILL/MESH/UTC with a {VERDICT_FILE}.")
    lines: list[str] = []
    refused: list[str] = []
    for bundle in bundles:
        try:
            lines.append(_told(bundle, redraw(bundle, signer)))
        except RedrawError as error:
            refused.append(str(error))
    if not is_bundle:
        lines += _index(place)
    if refused:
        raise InconclusiveError("\n".join([*lines, *refused]))
    return "\n".join(lines)


def _index(reports: Path) -> Iterator[str]:
    try:
        evidence.write_index(reports, unasked.reasons())
    except OSError as error:
        raise UsageError(f"The index cannot be written to {reports}: {error.strerror}.") from error
    yield f"Index written to {reports}."


def _told(bundle: Path, changed: tuple[str, ...]) -> str:
    return f"{bundle}: {'drew ' + ', '.join(changed) if changed else 'its pages are as this version draws them'}."
