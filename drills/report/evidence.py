"""The files of a bundle that are made from its history and verdict, and the indexes over all bundles."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from securesystemslib.signer import Signer

from drills.judge import files
from drills.judge.history import History
from drills.judge.verdict import Verdict
from drills.report import board, index, junit, page, statement, webpage
from drills.report.names import JUNIT_FILE, PAGE_FILE, REPORT_FILE, RUN_FILE
from drills.report.numbers import measured
from drills.report.record import Surroundings

INDEX_FILE: Final = "README.md"
MAX_BUNDLE_BYTES: Final = 2_000_000

_NOTHING_UNASKED: Final[Mapping[tuple[str, str], str]] = MappingProxyType({})


def write(bundle: Path, verdict: Verdict, stood_on: Surroundings, signer: Signer | None = None) -> None:
    """Complete run.json with what the run stood on and measured; write report.md, report.html and junit.xml beside it.

    The statement over all of them goes last, signed when there is a signer.
    """
    _complete_run_file(bundle / RUN_FILE, stood_on, History.load(bundle))
    files.write_all(bundle, drawn(bundle, verdict, stood_on))
    statement.write(bundle, verdict, signer)


def drawn(bundle: Path, verdict: Verdict, stood_on: Surroundings) -> dict[str, bytes]:
    """Return the pages of a bundle by name, from its history and the files that are there.

    What was just judged is drawn as it will be read from disk, so that drawing again gives the same bytes.
    """
    verdict = msgspec.json.decode(verdict.encode(), type=Verdict)
    stood_on = msgspec.json.decode(msgspec.json.encode(stood_on, order="sorted"), type=Surroundings)
    history = History.load(bundle)
    return {
        REPORT_FILE: page.render(history, verdict, stood_on, bundle.name).encode(),
        PAGE_FILE: webpage.render(history, verdict, stood_on, bundle).encode(),
        JUNIT_FILE: junit.render(history, verdict),
    }


def write_index(reports: Path, unasked: Mapping[tuple[str, str], str] = _NOTHING_UNASKED) -> None:
    """Write the tables drill x mesh over the bundles that lie there, for a repository and for a browser.

    unasked: why a drill cannot be asked of a mesh, by (drill, mesh). Raises FileError where it cannot be written.
    """
    pages = {INDEX_FILE: index.render(reports), board.PAGE_FILE: board.render(reports, unasked)}
    files.write_all(reports, {name: text.encode() for name, text in pages.items()})


def size_bytes(bundle: Path) -> int:
    """Return the size of the bundle: MAX_BUNDLE_BYTES is what a repository should be asked to keep."""
    return sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())


def _complete_run_file(path: Path, stood_on: Surroundings, history: History) -> None:
    """Add to the file; the facts and the seal that the judge reads stay as they are."""
    record = files.decode(path, dict[str, object])
    record |= {"surroundings": msgspec.to_builtins(stood_on), "measured": msgspec.to_builtins(measured(history))}
    files.write(path, msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n")
